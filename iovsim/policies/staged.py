"""A chain of stages becomes a policy: each takes the plan so far and returns a changed one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from iovsim.domain import RoundOutcome, RoundPlan, RoundView, Stage


@dataclass(frozen=True)
class StagedPolicy:
    """Runs its stages in order on an empty plan, and passes feedback on to those that have a method for it."""

    stages: Sequence[Stage]

    def plan(self, view: RoundView) -> RoundPlan:
        plan = RoundPlan()
        for stage in self.stages:
            plan = stage(view, plan)
        return plan

    def feedback(self, outcome: RoundOutcome) -> None:
        for stage in self.stages:
            listen = getattr(stage, "feedback", None)
            if listen is not None:
                listen(outcome)
