"""A round's view becomes a plan by a policy, whole or in stages: their protocols."""

from __future__ import annotations

from typing import Protocol

from iovsim.domain.outcomes import RoundOutcome
from iovsim.domain.plans import RoundPlan, RoundView


class Policy(Protocol):
    """Decides who does what in each RSU round."""

    def plan(self, view: RoundView) -> RoundPlan: ...

    def feedback(self, outcome: RoundOutcome) -> None: ...


class Stage(Protocol):
    """One step of a staged policy: takes the plan so far and returns a changed one."""

    def __call__(self, view: RoundView, plan: RoundPlan) -> RoundPlan: ...
