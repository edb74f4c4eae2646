"""Rewards of ranks become a running maximum of their indices: UCB-DUAL as P1's authors' code has it, defects kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from iovsim.domain import FloatArray, IntArray
from iovsim.policies.bandits.offers import Choice, Noise, Offer, adjacent, best
from iovsim.policies.bandits.statistics import played

EVERY = 3
"""Rounds between choices, and between updates of the price."""

BASE_RANKS = (8, 16, 24, 32, 40, 48, 56, 64, 128, 168, 200)
"""The arms, up to the vehicle's cap; the cap itself is one too."""

PRICE_STEP = 0.01
"""lam <- max(0, lam + 0.01 (sum of selected ranks - budget in ranks)), however many vehicles there are."""


@dataclass(slots=True, eq=False)
class AuthorsUcbDual:
    """Every third round the best stored index among the current rank and its neighbours; in between the current one.

    The index of the arm just played is sum / n - price rank + sqrt(2 ln t / n), t the round. Not the cost is priced but
    the rank. The current rank begins at the largest feasible one, and falls to it where it lies above. Where it is
    below and no arm any more, it stays until the next choice, which is between the arms next to it (ours).

    Defects, kept:
    * a stored index is replaced by larger ones only, so an arm once overrated stays so, and a rising price is not felt;
    * the initial index is 0 (or 155, set by hand, for segmentation) while rewards are about 100 to 180 and the bonus at
      most 3, so with 0 nothing is ever explored;
    * caps that share out the budget keep the sum of ranks at or below it, so the price stays 0.
    """

    ranks: Sequence[float]
    batch: tuple[int, ...] = ()
    initial: float = 0.0
    _current: IntArray = field(init=False)
    _counts: FloatArray = field(init=False)
    _rewards: FloatArray = field(init=False)
    _index: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        shape = (*self.batch, len(self.ranks))
        self._current = np.full(self.batch, -1)
        self._counts, self._rewards = np.zeros(shape), np.zeros(shape)
        self._index = np.full(shape, self.initial)

    def choose(self, offer: Offer, noise: Noise) -> Choice:
        fresh = self._current < 0
        largest = len(self.ranks) - 1 - offer.feasible[..., ::-1].argmax(axis=-1)
        arm = np.where(fresh, largest, np.minimum(self._current, largest))
        if offer.round % EVERY == 0:
            near = Offer(offer.round, adjacent(offer.feasible, arm), offer.price)
            arm = np.where(fresh, arm, best(self._index, near).arm)
        self._current = arm
        return Choice(offer, arm, np.ones(arm.shape))

    def restart(self) -> None:
        """Next comes the largest feasible arm, as at first; what was learnt stays."""
        self._current = np.full(self.batch, -1)

    def observe(self, choice: Choice, reward: FloatArray, cost: FloatArray) -> None:
        """Takes the reward in the authors' units (see `rewards.authors_reward`); `cost` is not looked at."""
        at = played(choice.arm, len(self.ranks))
        counts, rewards, index = (part.reshape(-1) for part in (self._counts, self._rewards, self._index))
        counts[at] += 1.0
        rewards[at] += reward
        bonus = np.sqrt(2.0 * math.log(choice.offer.round) / counts[at])
        found = rewards[at] / counts[at] - choice.offer.price * np.array(self.ranks)[choice.arm] + bonus
        index[at] = np.where((found > index[at]) | (index[at] == self.initial), found, index[at])
