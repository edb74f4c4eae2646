"""Rank stages: at which LoRA rank each chosen client trains."""

from __future__ import annotations

from dataclasses import dataclass, replace

from iovsim.domain import RoundPlan, RoundView
from iovsim.errors import PolicyError, ScenarioError
from iovsim.policies.draft import clients_of, feasible_rank
from iovsim.policies.in_time import check_safety, slack_s


@dataclass(frozen=True)
class FixedRank:
    """The same rank for all (HomoLoRA / FedIT); a client without the memory for it gets the largest that fits.

    Where a method trains no adapters, all ranks are 0.
    """

    rank: int = 8

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ScenarioError(f"rank = {self.rank}: must be at least 1.")

    def __call__(self, view: RoundView, plan: RoundPlan) -> RoundPlan:
        clients = clients_of(view)
        for task in view.tasks:
            if task.ranks != (0,) and self.rank not in task.ranks:
                raise PolicyError(
                    f"fixed rank {self.rank}: not among the ranks of task {task.task!r}, {list(task.ranks)}; change "
                    "the policy's 'rank' or the task's 'ranks'."
                )
        return RoundPlan(
            {v: replace(a, rank=feasible_rank(clients[v], a.task, self.rank)) for v, a in plan.assignments.items()}
        )


@dataclass(frozen=True)
class ResidualContactRank:
    """The largest rank whose predicted course fits into `safety` times the residual contact time (ours).

    A client that fits at no rank keeps the one it has; put `keep-in-time` before this stage to leave it out.
    """

    safety: float = 0.8

    def __post_init__(self) -> None:
        check_safety(self.safety)

    def __call__(self, view: RoundView, plan: RoundPlan) -> RoundPlan:
        clients = clients_of(view)
        assignments = dict(plan.assignments)
        for vehicle, assignment in plan.assignments.items():
            for rank in clients[vehicle].feasible_ranks[assignment.task]:
                raised = replace(assignment, rank=rank)
                if slack_s(view, raised, clients[vehicle], self.safety) >= 0:
                    assignments[vehicle] = raised
        return RoundPlan(assignments)
