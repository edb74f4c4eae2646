"""Formulas become the arms of vehicles with known means: what a bandit is played on in the laboratory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from iovsim.domain import FloatArray, IntArray
from iovsim.errors import ScenarioError

Outcome = Callable[[IntArray, FloatArray, int], tuple[FloatArray, FloatArray]]
"""Takes arms played (seeds, vehicles), uniform numbers (seeds, vehicles, 2) and the phase; gives rewards and costs."""

BUDGET_SHARE = 0.45


@dataclass(frozen=True, slots=True, eq=False)
class Arms:
    """Ranks as arms of some vehicles. Mean costs are (vehicles, arms); vehicles of one tier have equal arms.

    Mean rewards are (phases, vehicles, arms). Arms that drift have several phases, which take turns every `period`
    rounds; all others have one.
    """

    name: str
    ranks: tuple[int, ...]
    tiers: tuple[str, ...]  # by vehicle
    rewards: FloatArray
    costs: FloatArray
    context: FloatArray  # (vehicles, features), what a contextual bandit sees
    outcome: Outcome
    budget_share: float = BUDGET_SHARE  # of what a round costs where all play their dearest arm
    period: int = 0  # rounds of a phase; 0: one phase for ever

    def __post_init__(self) -> None:
        cheapest = float(self.costs.min(axis=1).sum())
        if not self.budget > cheapest:
            raise ScenarioError(
                f"arms {self.name!r}: a budget of {self.budget_share:g} of the dearest arms' costs, {self.budget:.3g} "
                f"a round, does not exceed that of the cheapest, {cheapest:.3g}; raise the share."
            )

    @property
    def budget(self) -> float:
        """Cost that a round may have, summed over vehicles."""
        return self.budget_share * float(self.costs.max(axis=1).sum())

    def phase(self, number: int) -> int:
        """That of the round of this number, counted from 1."""
        return (number - 1) // self.period % len(self.rewards) if self.period else 0

    @property
    def slack_share(self) -> float:
        """Share of the budget that is left when all play their cheapest arm."""
        return 1.0 - float(self.costs.min(axis=1).sum()) / self.budget

    @property
    def alike(self) -> FloatArray:
        """(vehicles, vehicles): 1 where two vehicles have equal arms."""
        tiers = np.array(self.tiers)
        same: FloatArray = np.equal.outer(tiers, tiers).astype(np.float64)
        return same


def synthetic(budget_share: float = BUDGET_SHARE, period: int = 0) -> Arms:
    """Six vehicles of three tiers, five ranks, concave quality: mean reward 0.9 (1 - exp(-rank / 12)), reward 0 or 1.

    Mean cost tier (0.2 + 0.8 rank / 64), tier 1, 0.85 or 0.7; what is paid is up to a fifth more or less. A reward that
    is 0 or 1 has the most variance that one of its mean can have. The kind of bandit and its budget, 0.45 of the
    maximum, are those on which P1's algorithm was first checked (inferred); these formulas are ours.

    With `period` rewards drift (ours): every so many rounds low ranks become better than high ones, with a mean of
    0.9 exp(-rank / 40), or the other way round again. Raises `ScenarioError` for a period below 2.
    """
    if period and period < 2:
        raise ScenarioError(f"--drift {period}: must be 2 rounds or more.")
    ranks = np.array([4, 8, 16, 32, 64])
    factors = np.repeat([1.0, 0.85, 0.7], 2)
    quality = [0.9 * -np.expm1(-ranks / 12), 0.9 * np.exp(-ranks / 40)][: 2 if period else 1]
    rewards = np.stack([np.broadcast_to(one, (6, 5)) for one in quality])
    costs = factors[:, None] * (0.2 + 0.8 * ranks / 64)
    first = np.arange(6) * len(ranks)

    def outcome(arm: IntArray, drawn: FloatArray, phase: int) -> tuple[FloatArray, FloatArray]:
        at = first + arm
        reward = (drawn[..., 0] < rewards[phase].reshape(-1)[at]).astype(np.float64)
        return reward, costs.reshape(-1)[at] * (0.8 + 0.4 * drawn[..., 1])

    return Arms(
        name=f"drifting every {period}" if period else "synthetic",
        ranks=tuple(ranks.tolist()),
        tiers=tuple(f"tier-{k}" for k in np.repeat([1, 2, 3], 2)),
        rewards=rewards,
        costs=costs,
        context=np.stack([np.ones(6), factors], axis=1),
        outcome=outcome,
        budget_share=budget_share,
        period=period,
    )
