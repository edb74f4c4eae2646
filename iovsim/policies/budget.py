"""Rules that move energy budget between tasks at the cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from iovsim.domain import TaskView


@dataclass(frozen=True)
class KeepBudgets:
    """Every task keeps the budget that the scenario gives it."""

    def redistribute(self, tasks: Sequence[TaskView]) -> Mapping[str, float]:
        return {t.task: t.energy_budget_j for t in tasks}
