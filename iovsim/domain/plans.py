"""What may be known at a round's start becomes a plan: who does what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from iovsim.domain.batteries import Battery


@dataclass(frozen=True, slots=True)
class ClientView:
    """What a policy may know of one candidate at the start of a round.

    `residual_contact_s` is a forecast (the policy file says which); `mean_gain` is the link's current average gain. No
    rank is feasible where the battery is at its reserve.
    """

    vehicle: str
    tier: str
    distance_m: float
    mean_gain: float
    residual_contact_s: float
    busy: bool
    tasks: tuple[str, ...]  # for which it holds data, among those the RSU hosts
    samples: Mapping[str, int]  # by task: training samples held now
    feasible_ranks: Mapping[str, tuple[int, ...]]  # by task: what fits into its memory (with one block: `Aggregator`)
    memory_bits: float  # what training may take
    last_loss: Mapping[str, float]  # by task: training loss at its last delivered update; absent if there was none
    battery: Battery | None = None  # in live runs, of vehicles that have one


@dataclass(frozen=True, slots=True)
class TaskView:
    """What a policy may know of one task at an RSU."""

    task: str
    ranks: tuple[int, ...]
    local_epochs: int
    energy_budget_j: float  # for this round
    price: float  # dual price of its energy at this RSU; 0 for methods without one
    accuracy: float  # latest accuracy of the merged adapter on the task's validation samples, in [0, 1]
    blocks: int = 0  # transformer blocks that are adapted, of which an assignment may leave out some


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one client is asked to do in a round."""

    vehicle: str
    task: str
    rank: int  # 0 where the method trains no adapters (`Tuning`)
    local_epochs: int
    bandwidth_down_hz: float
    bandwidth_up_hz: float
    power_w: float
    deadline_s: float  # absolute; nothing counts that ends later
    blocks: tuple[int, ...] | None = None  # those of the adapted ones that the client has, ascending; None: all


@dataclass(frozen=True, slots=True)
class Estimate:
    """Predicted course of an assignment at the current mean gain: seconds, and joules of vehicle and RSU together."""

    downlink_s: float
    compute_s: float
    uplink_s: float
    energy_j: float
    memory_bits: float  # that training takes

    @property
    def total_s(self) -> float:
        return self.downlink_s + self.compute_s + self.uplink_s


@dataclass(frozen=True, slots=True, eq=False)
class RoundView:
    """Everything a policy may know at the start of one RSU round."""

    rsu: str
    round: int
    start_s: float
    deadline_s: float  # absolute
    bandwidth_up_hz: float
    bandwidth_down_hz: float
    max_power_w: float
    tasks: tuple[TaskView, ...]
    clients: tuple[ClientView, ...]  # sorted by vehicle
    rng: np.random.Generator  # the policy's own stream for this RSU and round
    estimate: Callable[[Assignment], Estimate]


@dataclass(frozen=True, slots=True)
class RoundPlan:
    """Assignments by vehicle."""

    assignments: Mapping[str, Assignment] = field(default_factory=dict)
