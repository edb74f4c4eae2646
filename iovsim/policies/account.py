"""The stage that keeps a task's energy within its budget on average, whatever else a method does."""

from __future__ import annotations

from dataclasses import dataclass, field

from iovsim.domain import RoundOutcome, RoundPlan, RoundView
from iovsim.policies.draft import keep


@dataclass
class AverageBudget:
    """Clients in random order, as long as anything is left of what their task may spend at this RSU (ours).

    Each task has an account at each RSU: a round puts its budget in, and what vehicles and RSU really spent goes out.
    The last client taken may overdraw it, and later rounds pay that back, so that over many rounds a task spends its
    budget and no more, with no client preferred for being cheap. A round without any client of the task leaves its
    account as it is. This is for methods that do not heed energy themselves, so that they can be compared with those
    that do at the same joules; it comes after the stages that choose clients and ranks.
    """

    _account_j: dict[tuple[str, str], float] = field(default_factory=dict, init=False)  # by RSU and task

    def __call__(self, view: RoundView, plan: RoundPlan) -> RoundPlan:
        kept: list[str] = []
        for task in view.tasks:
            left_j = self._account_j.get((view.rsu, task.task), 0.0) + task.energy_budget_j
            own = sorted(v for v, a in plan.assignments.items() if a.task == task.task)
            for i in view.rng.permutation(len(own)):
                if left_j <= 0:
                    break
                kept.append(own[i])
                left_j -= view.estimate(plan.assignments[own[i]]).energy_j
        return plan if len(kept) == len(plan.assignments) else keep(view, plan, kept)

    def feedback(self, outcome: RoundOutcome) -> None:
        """Books the round."""
        for task in outcome.view.tasks:
            if any(task.task in client.tasks for client in outcome.view.clients):
                key = outcome.rsu, task.task
                left_j = task.energy_budget_j - outcome.energy_j.get(task.task, 0.0)
                self._account_j[key] = self._account_j.get(key, 0.0) + left_j
