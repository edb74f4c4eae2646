"""Outcomes of plays become what is known of each arm: how often it was played, and its mean reward and cost."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from iovsim.domain import FloatArray, IntArray
from iovsim.errors import ScenarioError


@dataclass(frozen=True, slots=True)
class Forgetting:
    """How fast old outcomes lose weight, since training makes rewards drift.

    discount  every round multiplies what was seen before (D-UCB, Garivier and Moulines 2011); 0.98 suits 100 (ours)
    window    only the last so many rounds count (SW-UCB, same source); 20 suits 100 (ours); 0: all count

    Raises `ScenarioError` for a discount outside (0, 1], a negative window, or both at once.
    """

    discount: float = 1.0
    window: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.discount <= 1:
            raise ScenarioError(f"discount = {self.discount:g}: must lie in (0, 1]; 1 forgets nothing.")
        if self.window < 0:
            raise ScenarioError(f"window = {self.window}: must be 0 (no window) or more rounds.")
        if self.window and self.discount < 1:
            raise ScenarioError(f"window = {self.window} and discount = {self.discount:g}: give one of them.")


ALL = Forgetting()
"""Nothing is forgotten."""


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """What is known of the arms in one round, arrays (*batch, arms). Discounted counts are no integers."""

    counts: FloatArray
    rewards: FloatArray  # sums
    costs: FloatArray  # sums

    def __add__(self, other: Tally) -> Tally:
        """What both have seen together; they must not have seen the same plays."""
        return Tally(self.counts + other.counts, self.rewards + other.rewards, self.costs + other.costs)

    def pooled(self, shares: FloatArray) -> Tally:
        """The same with the last batch axis mixed: the i-th knows the sum of all j with `shares[i, j]` = 1."""
        return Tally(shares @ self.counts, shares @ self.rewards, shares @ self.costs)

    def with_costs(self, costs: FloatArray) -> Tally:
        """The same as if these mean costs had been seen: for who knows them, as an energy model does."""
        return Tally(self.counts, self.rewards, self.counts * costs)

    def means(self) -> tuple[FloatArray, FloatArray]:
        """Mean reward and mean cost of each arm; 0 where it was never played."""
        plays = np.where(self.counts > 0, self.counts, 1.0)
        return self.rewards / plays, self.costs / plays


@dataclass(slots=True, eq=False)
class Statistics:
    """The arms' statistics: an object of its own, so that several may share one, and a vehicle may carry a copy.

    `round` is the last one up to which it was aged; rounds never go back.
    """

    shape: tuple[int, ...]  # (*batch, arms)
    forgetting: Forgetting = ALL
    round: int = 0
    plays: int = 0  # outcomes ever observed, forgotten ones included
    _all: FloatArray = field(init=False)  # (3, *batch, arms): counts, rewards, costs
    _recent: deque[tuple[int, FloatArray]] = field(init=False, default_factory=deque)  # the window's, by round

    def __post_init__(self) -> None:
        self._all = np.zeros((3, *self.shape))

    def observe(self, at_round: int, arm: IntArray, reward: FloatArray, cost: FloatArray) -> None:
        """Adds the outcomes of one play each, (*batch)."""
        self._age(at_round)
        kept = [self._all]
        if self.forgetting.window:
            if not self._recent or self._recent[-1][0] != self.round:
                self._recent.append((self.round, np.zeros_like(self._all)))
            kept.append(self._recent[-1][1])
        at = played(arm, self.shape[-1])
        for into in kept:
            for sums, more in zip(into, (1.0, reward, cost), strict=True):
                sums.reshape(-1)[at] += more
        self.plays += arm.size

    def tally(self, at_round: int) -> Tally:
        """What is known at the beginning of `at_round`. Read it before the next outcome: it is no copy."""
        self._age(at_round)
        return Tally(*self._all)

    def copy(self) -> Statistics:
        """One of its own, with all that this one has seen."""
        other = Statistics(self.shape, self.forgetting, self.round, self.plays)
        other._all = self._all.copy()
        other._recent = deque((number, seen.copy()) for number, seen in self._recent)
        return other

    def aged(self, at_round: int) -> Statistics:
        """The same at the beginning of a later round: itself where nothing is forgotten until then."""
        if at_round <= self.round or self.forgetting == ALL:
            return self
        other = self.copy()
        other._age(at_round)
        return other

    def _age(self, at_round: int) -> None:
        if at_round <= self.round:
            return
        if self.forgetting.discount < 1:
            self._all *= self.forgetting.discount ** (at_round - self.round)
        while self._recent and self._recent[0][0] < at_round - self.forgetting.window:
            self._all -= self._recent.popleft()[1]
            self._all[:, self._all[0] == 0] = 0.0  # what rounding has left of sums that have nothing in them
        self.round = at_round


def played(arm: IntArray, arms: int) -> IntArray:
    """Where the arms played, (*batch), are in a contiguous array (*batch, arms) that is laid out as one row."""
    return _first(arm.shape, arms) + arm


@lru_cache(maxsize=64)
def _first(batch: tuple[int, ...], arms: int) -> IntArray:
    return np.arange(0, math.prod(batch) * arms, arms).reshape(batch)
