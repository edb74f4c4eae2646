"""The stage that starts above the planned ranks and comes down to them by a cubic law (AdaLoRA's schedule)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from iovsim.domain import RoundPlan, RoundView
from iovsim.errors import ScenarioError
from iovsim.policies.draft import clients_of


@dataclass(frozen=True)
class CubicBudget:
    """Multiplies ranks by `start` in the first `warm_up` rounds and by 1 from the last `settled` of `rounds` on.

    Between them, in round t, by 1 + (start - 1) (1 - (t - warm_up) / (rounds - settled - warm_up))^3, after AdaLoRA
    (Zhang et al. 2023, arXiv:2303.10512, where t counts steps and the budget starts at 1.5 times its end). Rounds are
    the scenario's and are counted from 0. Ranks are rounded down, and never above what a client has the memory for.
    Ours: the schedule of a client's rank, and so of all its layers' budget, by rounds.
    """

    rounds: int
    warm_up: int = 0
    settled: int = 0
    start: float = 1.5

    def __post_init__(self) -> None:
        if min(self.warm_up, self.settled) < 0 or self.warm_up + self.settled >= self.rounds:
            raise ScenarioError(
                f"warm_up = {self.warm_up}, settled = {self.settled}, rounds = {self.rounds}: the first two must not "
                "be negative, and together less than the third."
            )
        if not self.start >= 1:
            raise ScenarioError(f"start = {self.start:g}: must be at least 1.")

    def __call__(self, view: RoundView, plan: RoundPlan) -> RoundPlan:
        clients, factor = clients_of(view), self.factor(view.round)
        return RoundPlan(
            {
                v: replace(a, rank=max(a.rank, min(int(factor * a.rank), clients[v].feasible_ranks[a.task][-1])))
                for v, a in plan.assignments.items()
            }
        )

    def factor(self, number: int) -> float:
        """What ranks are multiplied with in the round of this number."""
        done = (number - self.warm_up) / (self.rounds - self.settled - self.warm_up)
        return 1.0 + (self.start - 1.0) * (1.0 - min(max(done, 0.0), 1.0)) ** 3
