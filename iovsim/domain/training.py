"""A training job becomes an update or a failure, and an adapter its metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from iovsim.domain.arrays import Float32Array, IntArray
from iovsim.domain.tasks import Recipe, Scaling, Tuning


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


@dataclass(frozen=True, slots=True)
class Pruning:
    """A client gives up ranks of its own while it trains (HetLoRA; see `learning.pruning`)."""

    keep: float  # what is left of its rank if it gives any up, in (0, 1)
    penalty: float  # weight of the regulariser that pulls the last ranks towards zero


@dataclass(frozen=True, slots=True, eq=False)
class TrainJob:
    """Everything that local training depends on; equal jobs give equal updates, bit for bit.

    A job that is stopped early does only its first `steps`. With `carrier_samples` another vehicle goes on from exactly
    there, optimiser and dropout included, and does the rest of the planned steps on samples of its own.
    """

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
    steps: int | None = None  # of the planned ones; None: all
    carrier_samples: IntArray | None = None  # likewise indices
    base: Adapter | None = None  # merged into the frozen weights before; its head counts for nothing
    pruning: Pruning | None = None
    left_out: tuple[str, ...] = ()  # blocks (`Task.blocks`) that the client's model has not

    @property
    def planned_steps(self) -> int:
        """One step a batch, in all epochs."""
        return self.epochs * -(-len(self.samples) // self.recipe.batch_size)


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """What local training gives back."""

    adapter: Adapter
    samples: int
    loss_before: float  # mean over the first local epoch's batches, each before its step
    loss_after: float  # the same over the last epoch
    fraction: float  # of the planned steps that were done


class LossReason(StrEnum):
    """What a job was lost for; `NONE` where it was not lost."""

    NONE = "none"
    CONTACT = "contact"  # the vehicle left the RSU
    DEADLINE = "deadline"  # the round was over
    BATTERY = "battery"  # a vehicle's battery came down to its reserve
    DIVERGED = "diverged"  # its loss or weights were no longer finite
    MEMORY = "memory"  # the simulating computer had not enough memory to train it


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


class Aggregator(Protocol):
    """Joins updates into a new global adapter, and cuts that to the rank a client is asked to train.

    Three attributes may say more. `stacks = True`: `redistribute` gives an adapter to be trained beside the global one,
    which clients merge into their frozen weights; both together are then what is aggregated, and what goes down is all
    that was stacked since a vehicle last came. `partial = True`: updates may lack layers, since clients need not have
    all blocks; a client is then whoever has the memory for one block. `pruning`, a `Pruning`: how clients give up ranks
    in training.
    """

    def aggregate(self, current: Adapter, updates: Sequence[Update]) -> Adapter:
        """Weights are `samples * fraction`. `updates` is never empty."""
        ...

    def redistribute(self, current: Adapter, rank: int, seed: int) -> Adapter:
        """The client's starting point at `rank`; new directions, if any, are drawn from `seed` and change nothing."""
        ...
