"""What rounds spent becomes prices of energy, and at the cloud new budgets: what those rules see, and must do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TaskUse:
    """What a budget rule may know of one task. Joules are those of vehicles and RSUs, over all RSUs that host it.

    Loss and accuracy are the merged adapter's on validation samples; a loss may be infinite or NaN.
    """

    task: str
    budget_j: float  # of one round of all its RSUs, as it is now
    granted_j: float  # the budgets of all its RSUs' rounds since the last call
    used_j: float  # what those rounds really spent
    overrun_j: float  # what of that was above budget, RSU round by RSU round
    loss: float
    accuracy: float  # in [0, 1]
    loss_before: float  # at the last call, or before any training
    accuracy_before: float

    @property
    def utilisation(self) -> float:
        """The part of what was granted that was used, in [0, 1]; one round's overrun makes up for no other's rest."""
        return min(max((self.used_j - self.overrun_j) / self.granted_j, 0.0), 1.0) if self.granted_j > 0 else 0.0


@dataclass(frozen=True, slots=True)
class CloudView:
    """What a budget rule may know after a merge: nothing of held-out samples, nothing of single vehicles."""

    rounds: int  # of every RSU, since the last call
    tasks: tuple[TaskUse, ...]

    @property
    def total_j(self) -> float:
        """Of one round of all RSUs and tasks: what budgets must sum to."""
        return math.fsum(t.budget_j for t in self.tasks)


class BudgetPolicy(Protocol):
    """Moves energy budget between tasks at the cloud. It is made anew for every run, and may remember."""

    def check(self, tasks: int) -> None:
        """Raises `ScenarioError` where the rule cannot serve so many tasks; asked before anything is run."""
        ...

    def redistribute(self, view: CloudView) -> Mapping[str, float]:
        """By task the joules of one round of all its RSUs, which share them equally; their sum is `view.total_j`.

        Asked after every merge but the last; most calls of most rules return what was given.
        """
        ...


@dataclass(frozen=True, slots=True)
class RoundUse:
    """What a price rule may know of a task's round at one RSU."""

    number: int  # of the round, from 0
    budget_j: float
    used_j: float  # what vehicles and RSU really spent
    clients: int  # vehicles that could have been chosen
    mean_clients: float  # over the RSU's rounds up to this one that had any; 0 where none had


class PriceRule(Protocol):
    """Sets the dual price of a task's energy at an RSU, which begins at 0 and is broadcast with every download."""

    @property
    def bits(self) -> float:
        """What the price adds to every download; 0 where none is broadcast."""
        ...

    def update(self, price: float, use: RoundUse) -> float:
        """The price after a round that spent so much."""
        ...
