"""Jobs of many kinds, and a backbone in double precision, for the tests of batched training."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from iovsim.domain import IntArray, LoraRule, Recipe, TrainJob, Tuning, Update
from iovsim.learning.backbones.backbone import Backbone, Inputs
from iovsim.learning.prepared import LearningTask
from iovsim.learning.trainer import PeftTrainer
from iovsim.rng import stream


@dataclass(frozen=True, slots=True, eq=False)
class InDouble:
    """Inputs whose pixels are doubles."""

    inputs: Inputs

    @property
    def lengths(self) -> IntArray:
        return self.inputs.lengths

    def batch(self, rows: IntArray) -> tuple[Tensor, ...]:
        return tuple(part.double() if part.is_floating_point() else part for part in self.inputs.batch(rows))

    def digest(self) -> str:
        return f"{self.inputs.digest()} in double"


def in_double(backbone: Backbone) -> Backbone:
    """The backbone computing in double precision, so that `PeftTrainer` does."""
    return replace(
        backbone,
        trunk=copy.deepcopy(backbone.trunk).double(),
        prepare=lambda inputs: InDouble(backbone.prepare(inputs)),
    )


def with_rule(learning: LearningTask, rule: LoraRule, recipe: Recipe | None = None) -> LearningTask:
    """The task with another rule for adapters, and perhaps another recipe."""
    return replace(learning, task=replace(learning.task, lora=rule, recipe=recipe or learning.task.recipe))


def make_job(
    trainer: PeftTrainer, number: int, *, rank: int, samples: int, epochs: int = 1, tuning: Tuning = Tuning.LORA
) -> TrainJob:
    """The job of one vehicle: its adapter, samples and seed follow from its number."""
    learning = trainer.prepared("signs").learning
    pool = len(learning.data.train)
    return TrainJob(
        task="signs",
        vehicle=f"v{number}",
        round=0,
        rsu="r0",
        adapter=trainer.initial("signs", rank, number, tuning),
        samples=stream(number, "a test's samples").permutation(pool)[:samples].astype(np.int64),
        epochs=epochs,
        recipe=learning.task.recipe,
        dropout=learning.task.lora.dropout,
        seed=number,
    )


def distance(ours: object, theirs: object, job: TrainJob) -> float:
    """The largest difference of two updates' adapters over the largest change that training made."""
    assert isinstance(ours, Update)
    assert isinstance(theirs, Update)
    a, b, start = (u.tensors for u in (ours.adapter, theirs.adapter, job.adapter))
    assert list(a) == list(b) == list(start)
    assert all(a[k].shape == b[k].shape for k in a)
    changed = max(np.abs(b[k] - start[k]).max() for k in b)
    return float(max(np.abs(a[k].astype(np.float64) - b[k]).max() for k in a) / changed)


def equal_bits(ours: object, theirs: object) -> bool:
    """Whether two updates are the same in every bit."""
    assert isinstance(ours, Update)
    assert isinstance(theirs, Update)
    a, b = ours.adapter.tensors, theirs.adapter.tensors
    losses = (ours.loss_before, ours.loss_after) == (theirs.loss_before, theirs.loss_after)
    return losses and a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)
