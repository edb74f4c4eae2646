"""A training job becomes work that can be done some steps at a time, beside other jobs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from iovsim.domain import Adapter, IntArray, Pruning, Recipe, TrainJob
from iovsim.learning.batched.flat import Layout, from_row, layout_of
from iovsim.learning.order import epochs_of
from iovsim.rng import seed_of


@dataclass(slots=True, eq=False)
class Work:
    """One job and how far it is."""

    job: TrainJob
    layout: Layout
    batches: list[IntArray]  # of all epochs
    epoch_ends: list[int]  # number of batches up to the end of each epoch
    generator: torch.Generator | None  # of dropout, where there is any
    losses: list[float] = field(default_factory=list)  # before each step done

    @property
    def done(self) -> int:
        return len(self.losses)

    @property
    def left(self) -> int:
        return len(self.batches) - self.done

    @property
    def batch_size(self) -> int:
        """The samples of the largest batch."""
        return max(len(batch) for batch in self.batches)

    def begin_anew(self) -> None:
        """As if no step had been done."""
        self.losses = []
        self.generator = _generator(self.job)

    def adapter(self, row: NDArray[np.floating]) -> Adapter | None:
        """The adapter whose parameters a row (n,) holds; None where one of them is not finite."""
        given = self.job.adapter
        if not np.isfinite(row).all():
            return None
        return Adapter(given.rank, given.alpha, from_row(row, self.layout, given.tensors), given.scaling, given.tuning)

    def epoch_losses(self) -> list[float]:
        """The mean over the batches of each epoch that is over."""
        starts = [0, *self.epoch_ends]
        over = [(a, b) for a, b in zip(starts, self.epoch_ends, strict=False) if b <= self.done]
        return [math.fsum(self.losses[a:b]) / (b - a) for a, b in over]

    def group(self) -> tuple[str, Recipe, Pruning | None]:
        """Jobs of one group lie beside each other: they share samples, classes and the optimiser's settings."""
        return self.job.task, self.job.recipe, self.job.pruning

    def shapes(self) -> tuple[Any, ...]:
        """Of all that the computed part of the trunk sees: equal for jobs that can be trained together."""
        factors = tuple((name, shape) for name, shape in self.layout.shapes.items() if ".lora_" in name)
        return self.job.adapter.tuning, self.job.dropout, self.batch_size, factors


def work_of(job: TrainJob, lengths: IntArray, rank: int) -> Work:
    """A job not yet begun, factors padded to `rank`; batches and dropout are drawn as `PeftTrainer` draws them."""
    epochs = epochs_of(job, lengths)
    return Work(
        job=job,
        layout=layout_of(job.adapter.tensors, rank),
        batches=[batch for epoch in epochs for batch in epoch],
        epoch_ends=np.cumsum([len(epoch) for epoch in epochs]).tolist(),
        generator=_generator(job),
    )


def filled(batches: Sequence[IntArray], size: int) -> IntArray:
    """Batches of several works as rows (V, size), short ones filled up with their first sample."""
    rows = np.empty((len(batches), size), dtype=np.int64)
    for row, batch in zip(rows, batches, strict=True):
        row[: len(batch)] = batch
        row[len(batch) :] = batch[0]
    return rows


def _generator(job: TrainJob) -> torch.Generator | None:
    return torch.Generator().manual_seed(seed_of(job.seed, "dropout")) if job.dropout > 0 else None
