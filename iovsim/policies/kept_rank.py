"""The stage that gives a client no more rank than it has kept, where local training gives ranks up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from iovsim.domain import RoundOutcome, RoundPlan, RoundView


@dataclass(frozen=True)
class KeptRank:
    """The rank of the plan so far, or the lower one that the client's latest update had (HetLoRA's self-pruning).

    Put it after the stage that gives ranks. A vehicle keeps its rank of a task from RSU to RSU.
    """

    kept: dict[tuple[str, str], int] = field(default_factory=dict, init=False)  # by vehicle and task

    def __call__(self, view: RoundView, plan: RoundPlan) -> RoundPlan:
        return RoundPlan(
            {v: replace(a, rank=min(a.rank, self.kept.get((v, a.task), a.rank))) for v, a in plan.assignments.items()}
        )

    def feedback(self, outcome: RoundOutcome) -> None:
        """Remembers the ranks of the updates that arrived."""
        for job in outcome.jobs:
            if job.update is not None:
                self.kept[job.assignment.vehicle, job.assignment.task] = job.update.adapter.rank
