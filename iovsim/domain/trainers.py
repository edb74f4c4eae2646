"""Jobs become updates by a trainer, of a kind, a precision and a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from iovsim.domain.arrays import IntArray
from iovsim.domain.tasks import Tuning
from iovsim.domain.training import Adapter, Evaluation, Failure, Head, Metrics, TrainJob, Update


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
