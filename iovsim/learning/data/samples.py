"""Pictures or sentences with labels: the records that readers make, shards index and trainers train on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iovsim.domain import IntArray
from iovsim.errors import TrainingError
from iovsim.rng import stream

Pictures = NDArray[np.uint8]
"""Colour pictures (n, side, side, 3) of 0-255."""

Texts = tuple[tuple[str, ...], ...]
"""One or two sentences a sample; all samples of a set have the same number."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Inputs, labels (n,) in [0, classes), class names and, if known, the district (n,) each sample is from."""

    inputs: Pictures | Texts
    labels: IntArray
    classes: tuple[str, ...]
    districts: IntArray | None = None

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """A task's training pool, from which vehicles' shards are drawn, and its global held-out set."""

    train: Samples
    test: Samples


def take(samples: Samples, rows: IntArray) -> Samples:
    """The samples at `rows`, in that order."""
    inputs = samples.inputs
    chosen = inputs[rows] if isinstance(inputs, np.ndarray) else tuple(inputs[int(row)] for row in rows)
    districts = None if samples.districts is None else samples.districts[rows]
    return Samples(chosen, samples.labels[rows], samples.classes, districts)


def split(pool: Samples, where: str, test_fraction: float, seed: int) -> Data:
    """Holds back a part of the pool, drawn by seed. Raises `TrainingError`, naming `where`, if a part is empty."""
    count = round(len(pool) * test_fraction)
    if not 0 < count < len(pool):
        raise TrainingError(
            f"{where}: holding back {test_fraction} of {len(pool)} samples leaves training or test empty; "
            "choose a fraction between 0 and 1, or give more samples."
        )
    order = stream(seed, "split").permutation(len(pool))
    return Data(train=take(pool, np.sort(order[count:])), test=take(pool, np.sort(order[:count])))
