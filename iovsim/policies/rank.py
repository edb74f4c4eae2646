"""Rank stages: at which LoRA rank each chosen client trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from iovsim.domain import RoundPlan, RoundView
from iovsim.errors import PolicyError, ScenarioError, near_match
from iovsim.policies.draft import clients_of, feasible_rank, keep
from iovsim.policies.in_time import check_safety, slack_s


@dataclass(frozen=True)
class FixedRank:
    """The same rank for all (HomoLoRA / FedIT); a client without the memory for it gets the largest that fits.

    With `exact` such a client is left out, for aggregators that need equal ranks. Where a method trains no adapters,
    all ranks are 0.
    """

    rank: int = 8
    exact: bool = False

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
        ranks = {v: feasible_rank(clients[v], a.task, self.rank) for v, a in plan.assignments.items()}
        if self.exact:
            plan = keep(view, plan, (v for v, rank in ranks.items() if rank in (0, self.rank)))
        return RoundPlan({v: replace(a, rank=ranks[v]) for v, a in plan.assignments.items()})


@dataclass(frozen=True)
class TierRank:
    """A rank for each device tier: strong vehicles train high ranks, weak ones low ranks.

    A client gets the largest of the task's ranks that it has the memory for and that is not above its tier's; if all
    are above, the smallest.
    """

    ranks: Mapping[str, int]

    def __post_init__(self) -> None:
        wrong = [f"{tier} = {rank!r}" for tier, rank in self.ranks.items() if not _is_rank(rank)]
        if wrong or not self.ranks:
            raise ScenarioError(
                f"ranks: found {', '.join(wrong) or 'no tier'}; give each device tier a whole number from 1 on, like "
                "ranks = { orin-nano = 4, agx-orin = 32 }."
            )

    def __call__(self, view: RoundView, plan: RoundPlan) -> RoundPlan:
        clients = clients_of(view)
        return RoundPlan(
            {
                v: replace(a, rank=feasible_rank(clients[v], a.task, self._of(clients[v].tier)))
                for v, a in plan.assignments.items()
            }
        )

    def _of(self, tier: str) -> int:
        if tier not in self.ranks:
            raise PolicyError(
                f"tier rank: the tier {tier!r} has none; {near_match(tier, self.ranks)} Add it to 'ranks'."
            )
        return self.ranks[tier]


def _is_rank(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


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
