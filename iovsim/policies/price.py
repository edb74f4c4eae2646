"""Rules that price a task's energy at an RSU by what its rounds really spent."""

from __future__ import annotations

import math
from dataclasses import dataclass

from iovsim.domain import RoundUse
from iovsim.policies.budget import expect


@dataclass(frozen=True)
class NoPrice:
    """Energy has no price, and none is broadcast."""

    bits = 0.0

    def update(self, price: float, use: RoundUse) -> float:
        return 0.0


@dataclass(frozen=True)
class DualPrice:
    """Once a round, price = clip(price + step (used - budget) / (reference_j n), 0, price_max): dual ascent.

    The price rises where rounds spend more than their budget and falls to 0 where they spend less. It is in reward per
    `reference_j` joules (e_ref), whatever reward a policy counts in; one that weighs it against costs must count these
    in the same joules. n is the mean number of vehicles that could have been chosen, over the rounds so far that had
    any. A round without any leaves the price as it is (ours), and so does a change of the budget.

    With a round's own number in place of n (lost) the price holds the mean of (used - budget) / clients, not that of
    what is spent: a poor round lowers it by more than a busy one raises it, and busy rounds overspend.

    The dual price is of the paper (Zheng et al., arXiv 2508.09532, v3: "primal-dual"). Inferred: the division by a
    number of vehicles; step 4 / sqrt(T), here for T = 100 rounds; price_max 2 / slack, here for a slack of a fifth of
    the budget; 32 bits. Ours: what a job costs is not cut off at `reference_j`, since an overrun that is not seen is
    not priced; 50 J, a little more than a job of the demo takes. The authors' code has step 0.01 in rank units every
    third round, and a price that stays at 0, since its ranks are cut to fit the budget beforehand.

    With `falling` the k-th round's step is step / sqrt(k), and step = 4 then (ours): no horizon has to be known, and on
    the synthetic bandit of `iovsim regret` a fiftieth of what constant steps overspend is overspent.
    """

    step: float = 0.4
    reference_j: float = 50.0
    price_max: float = 10.0
    bits: float = 32.0
    falling: bool = False

    def __post_init__(self) -> None:
        expect(self.step > 0, "step", self.step, "be above 0")
        expect(self.reference_j > 0, "reference_j", self.reference_j, "be above 0")
        expect(self.price_max > 0, "price_max", self.price_max, "be above 0")
        expect(self.bits >= 0, "bits", self.bits, "be at least 0")

    def update(self, price: float, use: RoundUse) -> float:
        if not use.clients:
            return price
        step = self.step / math.sqrt(use.number + 1) if self.falling else self.step
        moved = price + step * (use.used_j - use.budget_j) / (self.reference_j * use.mean_clients)
        return min(max(moved, 0.0), self.price_max)
