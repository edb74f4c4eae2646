"""The budget rule that moves nothing, and what those share that do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from iovsim.domain import CloudView
from iovsim.errors import ScenarioError


@dataclass(frozen=True)
class KeepBudgets:
    """Every task keeps the budget that the scenario gives it."""

    def check(self, tasks: int) -> None:
        """Any number will do."""

    def redistribute(self, view: CloudView) -> Mapping[str, float]:
        return unchanged(view)


def unchanged(view: CloudView) -> dict[str, float]:
    """The budgets as they are, to the last bit."""
    return {t.task: t.budget_j for t in view.tasks}


def is_due(before: int, now: int, every_rounds: int) -> bool:
    """Whether, between `before` and `now` rounds, a multiple of `every_rounds` was reached: merges may be rarer."""
    return now // every_rounds > before // every_rounds


def expect(fits: bool, name: str, value: float, allowed: str) -> None:
    """Raises `ScenarioError` for a parameter that does not fit: `allowed` goes on after "must"."""
    if not fits:
        raise ScenarioError(f"{name} = {value:g}: must {allowed}.")
