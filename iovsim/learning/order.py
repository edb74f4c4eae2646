"""A job becomes the batches that it trains on, in an order drawn by seed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

import numpy as np

from iovsim.domain import IntArray, TrainJob
from iovsim.rng import stream

WINDOW = 16
"""Batches within which samples of like length are put together."""


def epochs_of(job: TrainJob, lengths: IntArray) -> list[list[IntArray]]:
    """The batches of each planned epoch that is at least begun; `lengths` (pool,) are the tokens of the task's samples.

    Epoch k of the vehicle's own samples is drawn from `stream(job.seed, "order", k)`. What a carrier does is drawn from
    its own samples, epoch by epoch, from "carrier order", until the planned steps are done.
    """
    planned = job.planned_steps
    own = _drawn(job, job.samples, lengths, "order")
    made = list(islice(own, planned if job.steps is None else job.steps))
    if job.carrier_samples is not None:
        made += islice(_drawn(job, job.carrier_samples, lengths, "carrier order"), planned - len(made))
    steps = planned // job.epochs
    return [made[k : k + steps] for k in range(0, len(made), steps)]


def _drawn(job: TrainJob, samples: IntArray, lengths: IntArray, what: str) -> Iterator[IntArray]:
    """Batches of one epoch after the other, without end."""
    for epoch in count():
        yield from batches(samples, lengths[samples], job.recipe.batch_size, stream(job.seed, what, epoch))


def batches(samples: IntArray, lengths: IntArray, size: int, rng: np.random.Generator) -> list[IntArray]:
    """All samples (n,) once, in batches of `size`, of which one may be smaller; `lengths` (n,) are their tokens.

    Samples of equal length come in the order of one permutation. Otherwise each stretch of 16 batches of it is sorted
    by length and its batches are shuffled: a batch is as long as its longest sentence, and padding is computed like any
    token. So sentences meet others of about their own length, the same for every method.
    """
    shuffled = rng.permutation(len(samples))
    if lengths.min() == lengths.max():
        return _cut(samples[shuffled], size)
    grouped: list[IntArray] = []
    for stretch in _cut(shuffled, WINDOW * size):
        alike = stretch[np.argsort(lengths[stretch], kind="stable")]
        parts = _cut(alike, size)
        grouped += [samples[parts[k]] for k in rng.permutation(len(parts))]
    return grouped


def _cut(rows: IntArray, size: int) -> list[IntArray]:
    return [rows[k : k + size] for k in range(0, len(rows), size)]
