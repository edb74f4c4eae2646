"""A job's samples become the batches of one epoch, in an order drawn by seed."""

from __future__ import annotations

import numpy as np

from iovsim.domain import IntArray

WINDOW = 16
"""Batches within which samples of like length are put together."""


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
