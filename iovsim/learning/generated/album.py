"""Turns lists of labels and districts into photographs, so drawn that no picture depends on its neighbours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from iovsim.domain import IntArray
from iovsim.errors import TrainingError
from iovsim.learning.generated.places import climate
from iovsim.learning.generated.scene import SIDE, Cutouts, photograph
from iovsim.rng import stream

CHUNK = 256  # pictures drawn together; a fixed number, so that picture i does not depend on how many are asked for


def shown(drawings: int, part: str, count: int, rng: np.random.Generator) -> IntArray:
    """Which of `drawings` each of `count` pictures shows.

    The last quarter is for the part "test", the others for all else: no held-out picture shows an object that is in
    training, as in data sets that are split by physical object.
    """
    first = drawings - drawings // 4
    return rng.integers(first, drawings, size=count) if part == "test" else rng.integers(first, size=count)


def take(
    task: str,
    classes: int,
    cut: Callable[[IntArray, str, np.random.Generator], Cutouts],
    labels: IntArray,
    districts: IntArray,
    seed: int,
    *,
    part: str,
    strength: float = 1.0,
) -> NDArray[np.uint8]:
    """Photographs (n, 32, 32, 3); picture i depends on task, seed, part, i, its label and its district.

    `labels` and `districts` have shape (n,). `cut` makes the cut-outs of one chunk of labels for a part; how much it
    draws may depend on their number only. Raises `TrainingError` where the shapes differ or a label names no class.
    """
    if labels.shape != districts.shape or labels.ndim != 1:
        raise TrainingError(
            f"{task}: labels {labels.shape} and districts {districts.shape} must be equally long lists."
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise TrainingError(f"{task}: labels run from {labels.min()} to {labels.max()}; allowed: 0 to {classes - 1}.")
    climates = {int(d): climate(int(d), seed) for d in np.unique(districts)}
    images = np.empty((len(labels), SIDE, SIDE, 3), dtype=np.uint8)
    for number, start in enumerate(range(0, len(labels), CHUNK)):
        chunk = slice(start, min(start + CHUNK, len(labels)))
        # Always a full chunk: the draws then do not depend on the number of labels.
        some, places = np.resize(labels[chunk], CHUNK), np.resize(districts[chunk], CHUNK)
        rng = stream(seed, task, part, "photograph", number)
        pictures = photograph(cut(some, part, rng), [climates[int(d)] for d in places], rng, strength)
        images[chunk] = pictures[: chunk.stop - start]
    return images
