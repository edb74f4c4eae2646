"""What changes while a run goes on: adapters at the RSUs and in the cloud, budgets, and what was last heard of whom."""

from __future__ import annotations

from dataclasses import dataclass, field

from iovsim.domain import Adapter, Aggregator, BudgetPolicy, Forecast, Policy, Trainer, World
from iovsim.energy.ledger import Ledger
from iovsim.results.recorder import Recorder


@dataclass(frozen=True, slots=True)
class Method:
    """What is compared: who is asked to do what, how updates are joined, and what is foreseen."""

    policy: Policy
    aggregator: Aggregator
    budget: BudgetPolicy
    forecast: Forecast


@dataclass(frozen=True, slots=True)
class Setting:
    """Everything a run is given."""

    world: World
    method: Method
    trainer: Trainer
    recorder: Recorder


@dataclass(slots=True)
class Contribution:
    """What an RSU has aggregated for a task since the last merge: its weight there."""

    updates: int = 0
    samples: int = 0
    weight: float = 0.0  # sum of samples times fraction


@dataclass(slots=True)
class State:
    """The run so far. Keys of pairs are (rsu, task) or (vehicle, task)."""

    merged: dict[str, Adapter]
    local: dict[tuple[str, str], Adapter]
    budget_j: dict[str, float]
    accuracy: dict[str, float]
    contributions: dict[tuple[str, str], Contribution] = field(default_factory=dict)
    last_loss: dict[tuple[str, str], float] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)
    ledger: Ledger = field(default_factory=Ledger)
    jobs: int = 0
    merges: int = 0
