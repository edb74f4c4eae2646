"""The next steps of several jobs become batches: all that is known before the first of them is put on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from iovsim.domain import IntArray
from iovsim.learning.batched.kind import Kind
from iovsim.learning.batched.model import Batch, Targets, joined
from iovsim.learning.batched.work import Work, filled


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The vehicles of a chunk that share task and recipe."""

    rows: slice
    works: Sequence[Work]

    @property
    def task(self) -> str:
        return self.works[0].job.task


@dataclass(frozen=True, slots=True, eq=False)
class Upcoming:
    """The next batches of V vehicles: all that is known before the first of these steps, on the device."""

    parts: tuple[Part, ...]
    numbers: IntArray  # (steps, V, b): of samples; short batches are filled up
    counts: IntArray  # (steps, V): of samples that are not filled in
    rows: Tensor  # the numbers
    labels: tuple[Tensor, ...]  # of each part, (steps, V, b)
    weights: tuple[Tensor, ...]  # likewise

    def alone(self, number: int, row: int) -> Upcoming:
        """Those of one vehicle, which belongs to the part of this number."""
        part, own = self.parts[number], slice(row, row + 1)
        within = slice(row - part.rows.start, row - part.rows.start + 1)
        return Upcoming(
            parts=(Part(slice(0, 1), part.works[within]),),
            numbers=self.numbers[:, own],
            counts=self.counts[:, own],
            rows=self.rows[:, own],
            labels=(self.labels[number][:, within],),
            weights=(self.weights[number][:, within],),
        )

    def batch(self, kind: Kind, step: int) -> Batch:
        """The batch of one step."""
        size = self.numbers.shape[2] if kind.alike else int(self.counts[step].max())
        rows = self.rows[step, :, :size]
        found = [kind.samples[p.task].source(rows[p.rows].flatten(), kind.dtype, padded=kind.alike) for p in self.parts]
        return Batch(
            states=joined([states for states, _ in found]),
            beside=tuple(joined(same) for same in zip(*(inputs for _, inputs in found), strict=True)),
            targets=tuple(
                Targets(labels[step, :, :size], weights[step, :, :size])
                for labels, weights in zip(self.labels, self.weights, strict=True)
            ),
            counts=tuple(self.counts[step].tolist()),
            size=size,
        )


def upcoming_of(kind: Kind, parts: tuple[Part, ...], count: int) -> Upcoming:
    works = [work for part in parts for work in part.works]
    size = works[0].batch_size
    next_ = [[work.batches[work.done + k] for work in works] for k in range(count)]
    numbers = np.stack([filled(batches, size) for batches in next_])
    counts = np.array([[len(batch) for batch in batches] for batches in next_])
    real = np.arange(size) < counts[:, :, None]
    labels, weights = [], []
    for part in parts:
        samples = kind.samples[part.task]
        samples.source.work_out(numbers[:, part.rows].ravel())
        own = samples.labels[numbers[:, part.rows]]
        of_samples = samples.class_weights[own] * real[:, part.rows] / counts[:, part.rows, None]
        labels.append(torch.from_numpy(own).to(kind.device))
        weights.append(torch.from_numpy(of_samples).to(kind.device, kind.trained))
    return Upcoming(parts, numbers, counts, torch.from_numpy(numbers).to(kind.device), tuple(labels), tuple(weights))
