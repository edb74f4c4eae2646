"""What changes while a run goes on: adapters at RSUs and in the cloud, budgets, prices, what was last heard of whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from iovsim.domain import (
    Adapter,
    Aggregator,
    BudgetPolicy,
    Fallback,
    Forecast,
    Head,
    Metrics,
    Policy,
    PriceRule,
    Pruning,
    Traffic,
    TrafficRule,
    Trainer,
    Tuning,
    World,
)
from iovsim.learning.adapter import head_of
from iovsim.policies.price import NoPrice
from iovsim.results.recorder import Recorder


@dataclass(frozen=True, slots=True)
class Method:
    """What is compared: who is asked to do what, how updates are joined, how budgets and prices move, what is foreseen,
    what becomes of jobs whose vehicles leave, and what is done to traffic."""

    policy: Policy
    aggregator: Aggregator
    budget: BudgetPolicy
    forecast: Forecast
    tuning: Tuning = Tuning.LORA
    price: PriceRule = field(default_factory=NoPrice)
    fallback: Fallback | None = None
    traffic: TrafficRule | None = None  # in live runs only
    stacks: bool = False  # clients train new adapters beside the global one (`Aggregator`)
    pruning: Pruning | None = None
    partial: bool = False  # clients need not have all blocks


KeepAdapter = Callable[[str, str, Adapter, Mapping[str, Head]], None]
"""Takes the task, the name of the moment ("final"), the merged adapter, and by vehicle the heads that stay there."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Everything a run is given."""

    world: World
    method: Method
    trainer: Trainer
    recorder: Recorder
    keep_adapter: KeepAdapter
    traffic: Traffic | None = None  # of a live run, which drives it


@dataclass(slots=True)
class Contribution:
    """What an RSU has aggregated for a task since the last merge: its weight there."""

    updates: int = 0
    samples: int = 0
    weight: float = 0.0  # sum of samples times fraction
    ranks: int = 0  # sum of the updates' ranks
    held: set[str] = field(default_factory=set)  # the tensors that any of the updates had


@dataclass(slots=True)
class Spent:
    """What a task's RSU rounds were granted and spent since the budget rule was last asked."""

    granted_j: float = 0.0
    used_j: float = 0.0
    overrun_j: float = 0.0  # above budget, round by round


@dataclass(slots=True)
class Crowd:
    """How many clients a task met at an RSU, in the rounds that had any."""

    rounds: int = 0
    clients: int = 0

    def meet(self, clients: int) -> float:
        """Counts a round's; gives the mean so far, 0 before the first."""
        self.rounds += clients > 0
        self.clients += clients
        return self.clients / self.rounds if self.rounds else 0.0


@dataclass(slots=True)
class State:
    """The run so far. Keys of pairs are (rsu, task) or (vehicle, task)."""

    initial: Mapping[str, Adapter]
    merged: dict[str, Adapter]
    local: dict[tuple[str, str], Adapter]
    budget_j: dict[str, float]  # of one round of one RSU
    validated: dict[str, Metrics]  # the latest, by task
    validated_before: dict[str, Metrics]  # when the budget rule was last asked
    spent: dict[str, Spent]
    price: dict[tuple[str, str], float]
    crowd: dict[tuple[str, str], Crowd]
    contributions: dict[tuple[str, str], Contribution] = field(default_factory=dict)
    last_loss: dict[tuple[str, str], float] = field(default_factory=dict)
    best_loss: dict[str, float] = field(default_factory=dict)  # by task: of the latest period that brought updates
    merged_ranks: dict[str, int] = field(default_factory=dict)  # by task: sum of the ranks of all updates merged so far
    fetched_ranks: dict[tuple[str, str], int] = field(default_factory=dict)  # what that was at the last download
    heads: dict[tuple[str, str], Head] = field(default_factory=dict)  # of tasks whose heads stay in their vehicles
    busy: set[str] = field(default_factory=set)
    spent_j: dict[str, float] = field(default_factory=dict)  # by vehicle: what jobs of this period took that are over
    jobs: int = 0
    merges: int = 0

    def ranks_behind(self, rsu: str, vehicle: str, task: str) -> int:
        """How many ranks a vehicle would download here if updates were stacked: all that it has not got.

        Those merged since its last download, and those that this RSU has joined since the last merge. What it got
        from an RSU before a merge counts for nothing after it, since the merge weighs it anew.
        """
        here = self.contributions.get((rsu, task))
        merged = self.merged_ranks.get(task, 0) - self.fetched_ranks.get((vehicle, task), 0)
        return merged + (here.ranks if here else 0)

    def head(self, vehicle: str, task: str) -> Head:
        """The vehicle's own head: that of its latest delivered update, or the one that everybody begins with."""
        return self.heads.get((vehicle, task)) or head_of(self.initial[task])
