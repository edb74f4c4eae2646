"""The nouns of a run, in the order in which they appear in it, and the protocols between the parts. Read this first.

Nothing here computes: parts exchange these frozen records and know each other only through the protocols at the end.
Units are in the names: `_s _m _mps _hz _bps _bits _j _w _flops`. Gains are linear power ratios.
Arrays inside a record are read-only by convention; no part writes into what it was given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]


# ---------------------------------------------------------------------------------------------------------------------
# The world: what no policy can change
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rsu:
    """A road-side unit: antenna position, coverage radius and the tasks whose rounds it runs."""

    rsu: str
    x_m: float
    y_m: float
    height_m: float
    range_m: float
    tasks: tuple[str, ...]


class ContactEnd(StrEnum):
    """Why a contact ended."""

    RANGE = "range"  # the vehicle drove out of coverage
    HANDOVER = "handover"  # another RSU took over
    VANISHED = "vanished"  # the vehicle left the trace (arrived or parked)
    HORIZON = "horizon"  # the trace ended


@dataclass(frozen=True, slots=True, eq=False)
class Contact:
    """One vehicle attached to one RSU over `[start_s, end_s)`, with its track. It contains the future: engine only.

    The track has n >= 2 samples, `time_s` strictly increasing, `time_s[0] == start_s`, `time_s[-1] == end_s`; positions
    between samples are linear. `vx_mps, vy_mps` at a sample are what the vehicle knows of its motion at that instant
    (they look backwards only).
    """

    contact: int
    vehicle: str
    rsu: str
    start_s: float
    end_s: float
    end: ContactEnd
    time_s: FloatArray
    x_m: FloatArray
    y_m: FloatArray
    vx_mps: FloatArray
    vy_mps: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """The radio channel over one contact, sampled at the track's times; reciprocal (the same up and down).

    `mean_gain` holds path loss, shadowing and antenna gains (what a receiver can average); `fading` is the factor of
    small-scale fading, mean 1. The power gain at a sample is their product. `los` is 0 LOS, 1 NLOSv, 2 NLOS.
    """

    contact: int
    time_s: FloatArray
    mean_gain: FloatArray
    fading: FloatArray
    los: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Device:
    """What one vehicle's computer and radio draw and deliver.

    `active_w` is the whole platform while it trains, `idle_w` while it only waits or talks; the radio comes on top:
    `rx_w` while receiving, `tx_circuit_w` plus radiated power over `pa_efficiency` while sending.
    `compute_flops` is the *effective* speed in training (peak times utilisation), in FLOP/s.
    """

    tier: str
    compute_flops: float
    active_w: float
    idle_w: float
    rx_w: float
    tx_circuit_w: float
    pa_efficiency: float
    memory_bits: float
    memory_share: float = 0.75  # what training may take of it; the rest holds the system and the driving functions


@dataclass(frozen=True, slots=True)
class Radio:
    """Both ends of every link: bandwidth, power and noise. Powers and densities are linear."""

    bandwidth_up_hz: float
    bandwidth_down_hz: float
    rsu_power_w: float  # over the whole downlink band; a share of the band gets the same share of it
    vehicle_power_w: float  # the most a vehicle may radiate
    rsu_noise_w_per_hz: float
    vehicle_noise_w_per_hz: float
    efficiency: float  # part of the Shannon rate that is left after overhead
    max_bps_per_hz: float  # what the highest modulation carries, before `efficiency`
    rsu_pa_efficiency: float
    rsu_rx_w: float  # an RSU's receiver, shared by its links in proportion to bandwidth


@dataclass(frozen=True, slots=True)
class Architecture:
    """The model whose size is charged: FLOPs, adapter bits and memory of one task's model.

    `widths` lists (inputs, outputs) of every adapted linear layer, so LoRA of rank r has `r * sum(inputs + outputs)`
    parameters; `tokens` is the sequence length that each of them sees, on average over the samples.
    """

    name: str
    forward_flops: float  # one sample, frozen base
    backward_flops: float  # gradients of the activations, one sample: from the end down to the lowest adapted block
    tokens: int
    widths: tuple[tuple[int, int], ...]
    base_parameters: int
    long_tokens: int  # of a long sample, the 99th percentile: a batch of such must fit into memory
    activation_bits: float  # kept for the backward pass, one long sample, frozen base
    full_activation_bits: float  # the same where the base's own weights are trained too
    parameter_bits: int  # of a transmitted adapter parameter
    head_parameters: int


class Tuning(StrEnum):
    """Which parameters a method trains and sends. All methods train the head."""

    LORA = "lora"  # low-rank adapters beside frozen weights
    HEAD = "head"  # the head alone, on frozen features
    FULL = "full"  # everything


class Scaling(StrEnum):
    """What the product of a rank-r adapter's factors is multiplied with."""

    LORA = "lora"  # alpha / r (Hu et al. 2022)
    RSLORA = "rslora"  # alpha / sqrt(r) (Kalajdzievski 2023)

    def scale(self, alpha: float, rank: int) -> float:
        return alpha / rank if self is Scaling.LORA else alpha / math.sqrt(rank)


ROLES: tuple[str, ...] = ("query", "key", "value", "output", "mlp_in", "mlp_out")
"""The linear layers of a transformer's block, by what they do."""


@dataclass(frozen=True, slots=True)
class LoraRule:
    """The one rule by which a task's adapters of all ranks are made, for every method."""

    alpha: float
    scaling: Scaling = Scaling.LORA
    dropout: float = 0.0  # of an adapter's input
    targets: tuple[str, ...] = ("query", "value")  # `ROLES` of the adapted layers
    top_blocks: int | None = None  # only the last so many transformer blocks are adapted; None: all


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a client trains, the same for every method."""

    learning_rate: float
    batch_size: int
    optimiser: str = "adamw"  # or "sgd"
    weight_decay: float = 0.01
    clip_norm: float = math.inf  # the largest norm of a gradient
    balanced: bool = False  # weight classes by the inverse of their frequency in the training pool


@dataclass(frozen=True, slots=True)
class Task:
    """One federated fine-tuning problem: its adapter family, local training and budget per RSU round."""

    task: str
    classes: int
    ranks: tuple[int, ...]  # the ranks a policy may choose from, ascending
    lora: LoraRule
    recipe: Recipe  # with the learning rate for adapters
    learning_rates: Mapping[Tuning, float]  # those that the scenario gives; a method needs that of its tuning
    local_epochs: int
    local_head: bool  # heads stay in their vehicles: neither sent nor averaged
    round_energy_j: float  # budget of one RSU round for this task: vehicles and RSU together
    charged: Architecture

    def ranks_of(self, tuning: Tuning) -> tuple[int, ...]:
        """The ranks that a method may choose from: without adapters there is only 0."""
        return self.ranks if tuning is Tuning.LORA else (0,)


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """The samples one vehicle holds for one task: indices into the task's training pool."""

    task: str
    train: IntArray
    test: IntArray  # the vehicle's own held-out samples, in no vehicle's `train`
    seen_s: FloatArray  # when each of `train` came to be held, ascending; -inf: held from the start
    test_seen_s: FloatArray  # likewise, of `test`

    def held(self, time_s: float) -> IntArray:
        """The training samples that the vehicle holds at `time_s`."""
        return self.train[: int(np.searchsorted(self.seen_s, time_s, side="right"))]

    def held_test(self, time_s: float) -> IntArray:
        """The samples of its own test that the vehicle holds at `time_s`; none before the first came."""
        return self.test[: int(np.searchsorted(self.test_seen_s, time_s, side="right"))]


@dataclass(frozen=True, slots=True, eq=False)
class Vehicle:
    """A vehicle apart from its motion: its device, its district and its data by task."""

    vehicle: str
    device: Device
    district: int
    shards: Mapping[str, Shard]


# ---------------------------------------------------------------------------------------------------------------------
# What a policy sees and says
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClientView:
    """What a policy may know of one candidate at the start of a round.

    `residual_contact_s` is a forecast (the policy file says which); `mean_gain` is the link's current average gain.
    """

    vehicle: str
    tier: str
    distance_m: float
    mean_gain: float
    residual_contact_s: float
    busy: bool
    tasks: tuple[str, ...]  # for which it holds data, among those the RSU hosts
    samples: Mapping[str, int]  # by task: training samples held now
    feasible_ranks: Mapping[str, tuple[int, ...]]  # by task: what fits into its memory
    last_loss: Mapping[str, float]  # by task: training loss at its last delivered update; absent if there was none


@dataclass(frozen=True, slots=True)
class TaskView:
    """What a policy may know of one task at an RSU."""

    task: str
    ranks: tuple[int, ...]
    local_epochs: int
    energy_budget_j: float  # for this round
    price: float  # dual price of energy; 0 with every budget rule that there is so far
    accuracy: float  # latest accuracy of the merged adapter on the task's validation samples, in [0, 1]


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


@dataclass(frozen=True, slots=True)
class Estimate:
    """Predicted course of an assignment at the current mean gain: seconds and joules (vehicle and RSU together)."""

    downlink_s: float
    compute_s: float
    uplink_s: float
    energy_j: float

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


# ---------------------------------------------------------------------------------------------------------------------
# What happens
# ---------------------------------------------------------------------------------------------------------------------


class PhaseKind(StrEnum):
    """What a job does for a stretch of time."""

    DOWNLINK = "downlink"
    COMPUTE = "compute"
    UPLINK = "uplink"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class PhaseEnd:
    """One finished or broken-off phase. `bits` were really carried; joules were really spent."""

    kind: PhaseKind
    start_s: float
    end_s: float
    completed: bool
    bits: float
    vehicle_j: float
    rsu_j: float


class JobStatus(StrEnum):
    """How a job ended."""

    DELIVERED = "delivered"
    DELIVERED_EARLY = "delivered_early"
    MIGRATED = "migrated"
    LOST_DOWNLINK = "lost_downlink"
    LOST_COMPUTE = "lost_compute"
    LOST_UPLINK = "lost_uplink"
    ABANDONED = "abandoned"
    FAILED = "failed"  # delivered, but its training gave nothing usable
    IN_FLIGHT = "in_flight"


ARRIVED = (JobStatus.DELIVERED, JobStatus.DELIVERED_EARLY, JobStatus.MIGRATED)
"""Statuses of jobs whose update reached an RSU; the energy of all others bought nothing."""


class LossReason(StrEnum):
    """What a job was lost for; `NONE` where it was not lost."""

    NONE = "none"
    CONTACT = "contact"  # the vehicle left the RSU
    DEADLINE = "deadline"  # the round was over
    DIVERGED = "diverged"  # its loss or weights were no longer finite
    MEMORY = "memory"  # the simulating computer had not enough memory to train it


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """What is trained of a task's model and sent: a LoRA adapter and the head, as arrays under PEFT's names.

    Each adapted layer L has `L.lora_A.weight` (rank, inputs) and `L.lora_B.weight` (outputs, rank); its update of the
    frozen weight is `scale * B @ A`. Every other key is trained in full: the head, and with `Tuning.FULL` all the rest.
    """

    rank: int  # 0 without adapted layers
    alpha: float
    tensors: Mapping[str, Float32Array]
    scaling: Scaling = Scaling.LORA
    tuning: Tuning = Tuning.LORA

    @property
    def scale(self) -> float:
        return self.scaling.scale(self.alpha, self.rank)


Head = Mapping[str, Float32Array]
"""The part of an adapter's tensors that belongs to the head."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainJob:
    """Everything that local training depends on; equal jobs give equal updates, bit for bit."""

    task: str
    vehicle: str
    round: int
    rsu: str
    adapter: Adapter
    samples: IntArray  # indices into the task's training pool
    epochs: int
    recipe: Recipe
    dropout: float
    seed: int  # data order and dropout


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """What local training gives back."""

    adapter: Adapter
    samples: int
    loss_before: float  # mean over the first local epoch's batches, each before its step
    loss_after: float  # the same over the last epoch
    fraction: float  # of the planned epochs that were done


@dataclass(frozen=True, slots=True)
class Failure:
    """What local training gives back where it went wrong; other jobs are unharmed."""

    reason: LossReason  # `DIVERGED` or `MEMORY`
    message: str  # names task, vehicle and round, and says what to do


@dataclass(frozen=True, slots=True)
class Metrics:
    """Quality of an adapter on a set of samples."""

    samples: int
    accuracy: float
    macro_f1: float  # mean F1 score of the classes: what accuracy hides where classes are unequal in number
    loss: float
    calibration_error: float  # mean distance of confidence from accuracy


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Quality on a task's held-out set as a whole, on the samples of each class, and on those of each district."""

    overall: Metrics
    by_class: Mapping[str, Metrics]  # accuracy is the class's recall, macro_f1 its F1 score
    by_district: Mapping[int, Metrics]  # empty where the data name no districts


@dataclass(frozen=True, slots=True, eq=False)
class JobEnd:
    """A job that is over (or still in flight at the horizon), with all its phases and, if delivered, its update."""

    assignment: Assignment
    contact: int
    start_s: float
    end_s: float
    status: JobStatus
    reason: LossReason
    phases: tuple[PhaseEnd, ...]
    update: Update | None
    message: str = ""  # why its training failed

    @property
    def energy_j(self) -> float:
        return math.fsum(j for p in self.phases for j in (p.vehicle_j, p.rsu_j))


@dataclass(frozen=True, slots=True, eq=False)
class RoundOutcome:
    """What became of a round: told to the policy and to the recorder."""

    rsu: str
    round: int
    start_s: float
    end_s: float
    view: RoundView
    plan: RoundPlan
    jobs: tuple[JobEnd, ...]
    energy_j: Mapping[str, float]  # by task, vehicles and RSU together


# ---------------------------------------------------------------------------------------------------------------------
# The protocols between the parts
# ---------------------------------------------------------------------------------------------------------------------


class ContactBook(Protocol):
    """All contacts of a world (mobility makes it, the engine reads it)."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Contact]: ...

    def active(self, rsu: str, time_s: float) -> Sequence[Contact]:
        """Contacts of `rsu` with `start_s <= time_s < end_s`, sorted by vehicle."""
        ...


class LinkBook(Protocol):
    """The links of a world by contact number (radio makes it, the engine reads it)."""

    def link(self, contact: int) -> Link: ...


class Forecast(Protocol):
    """Predicts how long a contact will last, from what is known at `time_s`."""

    def residual_s(self, contact: Contact, rsu: Rsu, time_s: float) -> float: ...


class Policy(Protocol):
    """Decides who does what in each RSU round."""

    def plan(self, view: RoundView) -> RoundPlan: ...

    def feedback(self, outcome: RoundOutcome) -> None: ...


class Stage(Protocol):
    """One step of a staged policy: takes the plan so far and returns a changed one."""

    def __call__(self, view: RoundView, plan: RoundPlan) -> RoundPlan: ...


class BudgetPolicy(Protocol):
    """Moves energy budget between tasks at the cloud; the budgets returned sum to the ones given."""

    def redistribute(self, tasks: Sequence[TaskView]) -> Mapping[str, float]: ...


class Aggregator(Protocol):
    """Joins updates into a new global adapter, and cuts that to the rank a client is asked to train."""

    def aggregate(self, current: Adapter, updates: Sequence[Update]) -> Adapter:
        """Weights are `samples * fraction`. `updates` is never empty."""
        ...

    def redistribute(self, current: Adapter, rank: int, seed: int) -> Adapter:
        """The client's starting point at `rank`; new directions, if any, are drawn from `seed` and change nothing."""
        ...


class TrainerKind(StrEnum):
    """Two ways to the same updates."""

    BATCHED = "batched"  # many vehicles' adapters at once
    PEFT = "peft"  # one by one with plain PEFT: the reference


class Precision(StrEnum):
    """What the frozen model and the activations are computed in; adapters stay in single precision."""

    FP32 = "fp32"
    BF16 = "bf16"  # sooner where the processor has it; other rounding, see `iovsim bench precision`
    FP64 = "fp64"  # slow: to compare ways of computing


@dataclass(frozen=True, slots=True)
class TrainerSpec:
    """How a run trains. It belongs to no world: results differ in rounding alone."""

    kind: TrainerKind = TrainerKind.BATCHED
    precision: Precision = Precision.FP32
    device: str = "cpu"  # as torch names it: "cpu", "cuda", "cuda:1"


class Trainer(Protocol):
    """Trains and evaluates adapters. A submitted job is owed only when a result is asked for, so that jobs gather."""

    def initial(self, task: str, rank: int, seed: int, tuning: Tuning) -> Adapter: ...

    def submit(self, job: TrainJob) -> int:
        """Takes a job whose result will be asked for; a handle for that is returned."""
        ...

    def result(self, handle: int) -> Update | Failure:
        """The outcome of a job, once."""
        ...

    def evaluate(self, task: str, adapter: Adapter, heads: Sequence[Head] = ()) -> Evaluation:
        """On the task's global held-out set, which nobody may learn from; with heads, the mean over them."""
        ...

    def validate(self, task: str, adapter: Adapter, heads: Sequence[Head] = ()) -> Metrics:
        """On the task's validation samples, which nobody trains on and policies may learn from."""
        ...

    def evaluate_shards(
        self, task: str, adapter: Adapter, shards: Sequence[IntArray], heads: Sequence[Head | None]
    ) -> list[Metrics]:
        """On each of the given sets of training-pool indices, each with its own head (None: the adapter's)."""
        ...


# ---------------------------------------------------------------------------------------------------------------------
# The world as a whole
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """All that no policy can change, under one content hash."""

    name: str
    hash: str
    seed: int
    start_s: float
    end_s: float
    rsus: tuple[Rsu, ...]  # sorted by name
    contacts: ContactBook
    links: LinkBook
    vehicles: Mapping[str, Vehicle]
    tasks: tuple[Task, ...]
    radio: Radio
    round_period_s: float
    round_deadline_s: float  # after the round's start; at most the period
    merge_every_rounds: int
    refuse_over_budget: bool  # a plan estimated above budget is an error, instead of being recorded as an overrun
    evaluate_every_merges: int
    evaluate_vehicles_every_merges: int | None  # None: after the last merge only
    keep_adapters_every_merges: int | None  # None: the last only
    evaluated_vehicles: Mapping[str, tuple[str, ...]]  # by task: on whose own held-out samples adapters are evaluated
