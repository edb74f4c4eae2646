"""A training job becomes work that can be done some steps at a time, beside other jobs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from iovsim.domain import IntArray, TrainJob
from iovsim.learning.batched.flat import Layout, layout_of, to_row
from iovsim.learning.batched.optimise import Flat
from iovsim.learning.order import batches
from iovsim.rng import seed_of, stream


@dataclass(slots=True, eq=False)
class Work:
    """One job, how far it is, and its parameters and moments (n,)."""

    job: TrainJob
    layout: Layout
    batches: list[IntArray]  # of all epochs
    epoch_ends: list[int]  # number of batches up to the end of each epoch
    values: Tensor
    first: Tensor
    second: Tensor
    generator: torch.Generator
    losses: list[float] = field(default_factory=list)  # before each step done

    @property
    def done(self) -> int:
        return len(self.losses)

    @property
    def left(self) -> int:
        return len(self.batches) - self.done

    @property
    def batch_size(self) -> int:
        """The samples of a full batch."""
        return min(self.job.recipe.batch_size, len(self.job.samples))

    def epoch_losses(self) -> list[float]:
        """The mean over the batches of each epoch that is over."""
        starts = [0, *self.epoch_ends]
        over = [(a, b) for a, b in zip(starts, self.epoch_ends, strict=False) if b <= self.done]
        return [math.fsum(self.losses[a:b]) / (b - a) for a, b in over]

    def kind(self) -> tuple[Any, ...]:
        """Jobs of one kind can be trained together; padded ranks, which the shapes show, are told apart."""
        job = self.job
        shapes = tuple(self.layout.shapes.items())
        return job.task, job.adapter.tuning, job.recipe, job.dropout, self.batch_size, shapes


def work_of(job: TrainJob, lengths: IntArray, dtype: torch.dtype, rank: int) -> Work:
    """The job's first state, factors padded to `rank`; batches and dropout are drawn as `PeftTrainer` draws them."""
    layout = layout_of(job.adapter.tensors, rank)
    own = lengths[job.samples]
    epochs = [
        batches(job.samples, own, job.recipe.batch_size, stream(job.seed, "order", epoch))
        for epoch in range(job.epochs)
    ]
    values = torch.zeros(layout.length, dtype=dtype)
    to_row(job.adapter.tensors, layout, values)
    return Work(
        job=job,
        layout=layout,
        batches=[batch for epoch in epochs for batch in epoch],
        epoch_ends=np.cumsum([len(epoch) for epoch in epochs]).tolist(),
        values=values,
        first=torch.zeros_like(values),
        second=torch.zeros_like(values),
        generator=torch.Generator().manual_seed(seed_of(job.seed, "dropout")),
    )


def gathered(works: list[Work], device: torch.device) -> Flat:
    """The works' states as rows of one."""
    return Flat(
        values=torch.stack([w.values for w in works]).to(device),
        gradients=torch.zeros(len(works), works[0].layout.length, dtype=works[0].values.dtype, device=device),
        first=torch.stack([w.first for w in works]).to(device),
        second=torch.stack([w.second for w in works]).to(device),
        steps=torch.tensor([float(w.done) for w in works], device=device),
    )


def scattered(works: list[Work], flat: Flat, losses: list[Tensor]) -> None:
    """Gives the works their rows back, and the losses (V,) of the steps done."""
    values, first, second = (t.cpu() for t in (flat.values, flat.first, flat.second))
    by_work = torch.stack(losses).cpu().T.tolist()
    for k, work in enumerate(works):
        work.values, work.first, work.second = values[k].clone(), first[k].clone(), second[k].clone()
        work.losses += by_work[k]


def filled(works: list[IntArray], size: int) -> tuple[IntArray, tuple[int, ...]]:
    """Batches of several works as rows (V, size), short ones filled up with their first sample, and their counts."""
    rows = np.empty((len(works), size), dtype=np.int64)
    for row, batch in zip(rows, works, strict=True):
        row[: len(batch)] = batch
        row[len(batch) :] = batch[0]
    return rows, tuple(len(batch) for batch in works)
