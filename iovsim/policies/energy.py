"""The stage that keeps a plan's predicted energy within each task's budget of the round."""

from __future__ import annotations

from dataclasses import dataclass, replace

from iovsim.domain import Assignment, RoundPlan, RoundView, TaskView
from iovsim.errors import ScenarioError
from iovsim.policies.draft import clients_of, keep
from iovsim.policies.in_time import check_safety, slack_s


@dataclass(frozen=True)
class KeepToBudget:
    """Drops the costliest clients until each task's budget holds, then raises all ranks while it still does (ours).

    Energy is that of vehicle and RSU together, as predicted from the current mean gain. Ranks are raised in step for
    all clients of a task, and only as far as all have the memory and the time (`safety` as in `keep-in-time`).
    `reserve` is the part of the budget held back for what the prediction leaves out: fading, and clients that idle
    until the round closes.
    """

    safety: float = 0.8
    reserve: float = 0.1

    def __post_init__(self) -> None:
        check_safety(self.safety)
        if not 0 <= self.reserve < 1:
            raise ScenarioError(f"reserve = {self.reserve:g}: must lie in [0, 1).")

    def __call__(self, view: RoundView, plan: RoundPlan) -> RoundPlan:
        while costliest := self._costliest_over_budget(view, plan):
            plan = keep(view, plan, (v for v in plan.assignments if v not in costliest))
        assignments = dict(plan.assignments)
        for task in view.tasks:
            assignments.update(self._raised(view, task, _of(plan, task)))
        return RoundPlan(assignments)

    def _costliest_over_budget(self, view: RoundView, plan: RoundPlan) -> set[str]:
        """For each task above its budget, its costliest client."""
        found: set[str] = set()
        for task in view.tasks:
            energy_j = {a.vehicle: view.estimate(a).energy_j for a in _of(plan, task)}
            if sum(energy_j.values()) > self._budget_j(task):
                found.add(max(energy_j, key=lambda v: (energy_j[v], v)))
        return found

    def _budget_j(self, task: TaskView) -> float:
        return (1 - self.reserve) * task.energy_budget_j

    def _raised(self, view: RoundView, task: TaskView, own: list[Assignment]) -> dict[str, Assignment]:
        """The task's assignments, none lowered, raised to the largest rank that all can hold, finish and afford."""
        clients = clients_of(view)
        best = own
        for rank in task.ranks:
            raised = [replace(a, rank=max(a.rank, rank)) for a in own]
            if not all(
                a.rank in clients[a.vehicle].feasible_ranks[task.task]
                and slack_s(view, a, clients[a.vehicle], self.safety) >= 0
                for a in raised
            ):
                break
            if sum(view.estimate(a).energy_j for a in raised) > self._budget_j(task):
                break
            best = raised
        return {a.vehicle: a for a in best}


def _of(plan: RoundPlan, task: TaskView) -> list[Assignment]:
    return [a for a in plan.assignments.values() if a.task == task.task]
