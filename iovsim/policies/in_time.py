"""The stage that drops clients which, as predicted, would not finish before they leave or the round ends."""

from __future__ import annotations

from dataclasses import dataclass

from iovsim.domain import Assignment, ClientView, RoundPlan, RoundView
from iovsim.errors import ScenarioError
from iovsim.policies.draft import clients_of, keep


@dataclass(frozen=True)
class KeepInTime:
    """Drops the latest client and shares the band anew, until all finish within `safety` times their contact (ours)."""

    safety: float = 0.8

    def __post_init__(self) -> None:
        check_safety(self.safety)

    def __call__(self, view: RoundView, plan: RoundPlan) -> RoundPlan:
        clients = clients_of(view)
        while plan.assignments:
            slack = {v: slack_s(view, a, clients[v], self.safety) for v, a in plan.assignments.items()}
            latest = min(slack, key=lambda v: (slack[v], v))
            if slack[latest] >= 0:
                break
            plan = keep(view, plan, (v for v in plan.assignments if v != latest))
        return plan


def slack_s(view: RoundView, assignment: Assignment, client: ClientView, safety: float) -> float:
    """Seconds to spare: the time that is left (contact times `safety`, or the round's) minus the predicted course."""
    left_s = min(safety * client.residual_contact_s, assignment.deadline_s - view.start_s)
    return left_s - view.estimate(assignment).total_s


def check_safety(safety: float) -> None:
    """Raises `ScenarioError` unless `safety` lies in (0, 1]."""
    if not 0 < safety <= 1:
        raise ScenarioError(f"safety = {safety:g}: must lie in (0, 1].")
