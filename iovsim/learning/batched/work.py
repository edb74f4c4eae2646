"""A training job becomes work that can be done some steps at a time, beside other jobs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from iovsim.domain import Adapter, IntArray, TrainJob
from iovsim.learning.batched.flat import Layout, from_row, layout_of, to_row
from iovsim.learning.batched.optimise import Flat
from iovsim.learning.order import batches
from iovsim.rng import seed_of, stream


@dataclass(slots=True, eq=False)
class Work:
    """One job and how far it is."""

    job: TrainJob
    layout: Layout
    batches: list[IntArray]  # of all epochs
    epoch_ends: list[int]  # number of batches up to the end of each epoch
    generator: torch.Generator | None  # of dropout, where there is any
    state: tuple[Tensor, Tensor, Tensor] | None = None  # parameters and moments (n,); None before the first step
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

    def adapter(self) -> Adapter | None:
        """The adapter as it is now; None where a number of it is not finite."""
        given = self.job.adapter
        if self.state is None:
            return given
        values = self.state[0].numpy()
        if not np.isfinite(values).all():
            return None
        tensors = from_row(values, self.layout, given.tensors)
        return Adapter(given.rank, given.alpha, tensors, given.scaling, given.tuning)

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


def work_of(job: TrainJob, lengths: IntArray, rank: int) -> Work:
    """A job not yet begun, factors padded to `rank`; batches and dropout are drawn as `PeftTrainer` draws them."""
    own = lengths[job.samples]
    epochs = [
        batches(job.samples, own, job.recipe.batch_size, stream(job.seed, "order", epoch))
        for epoch in range(job.epochs)
    ]
    return Work(
        job=job,
        layout=layout_of(job.adapter.tensors, rank),
        batches=[batch for epoch in epochs for batch in epoch],
        epoch_ends=np.cumsum([len(epoch) for epoch in epochs]).tolist(),
        generator=torch.Generator().manual_seed(seed_of(job.seed, "dropout")) if job.dropout > 0 else None,
    )


def gathered(works: Sequence[Work], dtype: torch.dtype, device: torch.device) -> Flat:
    """The works' states as rows of one: where they were left, or at their jobs' adapters."""
    values, first, second, gradients = torch.zeros(4, len(works), works[0].layout.length, dtype=dtype)
    for k, work in enumerate(works):
        if work.state is None:
            to_row(work.job.adapter.tensors, work.layout, values[k].numpy())
        else:
            values[k], first[k], second[k] = work.state
    return Flat(
        values.to(device), gradients.to(device), first.to(device), second.to(device), [work.done for work in works]
    )


def scattered(works: Sequence[Work], flat: Flat, losses: Sequence[Tensor]) -> None:
    """Gives the works their rows, and the losses (V,) of the steps done."""
    states = zip(flat.values.cpu(), flat.first.cpu(), flat.second.cpu(), strict=True)
    by_work = torch.stack(list(losses)).cpu().T.tolist()
    for work, state, found in zip(works, states, by_work, strict=True):
        work.state = state
        work.losses += found


def filled(works: list[IntArray], size: int) -> tuple[IntArray, tuple[int, ...]]:
    """Batches of several works as rows (V, size), short ones filled up with their first sample, and their counts."""
    rows = np.empty((len(works), size), dtype=np.int64)
    for row, batch in zip(rows, works, strict=True):
        row[: len(batch)] = batch
        row[len(batch) :] = batch[0]
    return rows, tuple(len(batch) for batch in works)
