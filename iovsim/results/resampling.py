"""Turns a handful of seeds into many resamples of them, and their means into a bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from iovsim.domain import IntArray
from iovsim.results.intervals import CONFIDENCE
from iovsim.rng import stream

RESAMPLES = 9_999
FEWEST = 5
"""Below so many seeds nothing is resampled: four have 35 different means, and an interval of them is far too narrow."""


def bootstrap_interval(values: Sequence[float], *names: str) -> tuple[float, float] | None:
    """Two-sided 95 % bootstrap interval of the mean, bias-corrected and accelerated (BCa); None below `FEWEST` values.

    `names` choose the stream of random numbers. The interval of the values with all signs changed is exactly this one
    mirrored, and their order does not matter (ours: of the values and their mirror image the same one is resampled).
    Source: Efron and Tibshirani, An Introduction to the Bootstrap, section 14.3.
    """
    from scipy import stats  # late: takes half a second, which runs need not wait for

    if len(values) < FEWEST:
        return None
    if min(values) == max(values):
        return values[0], values[0]
    mirrored = sorted(-v for v in values)
    chosen = max(sorted(values), mirrored)
    found = stats.bootstrap(
        (np.array(chosen),),
        np.mean,
        n_resamples=RESAMPLES,
        vectorized=True,
        confidence_level=CONFIDENCE,
        method="BCa",
        rng=stream(0, "bootstrap", *names),
    ).confidence_interval
    low, high = float(found.low), float(found.high)
    return (-high, -low) if chosen == mirrored else (low, high)


def resamples(count: int, *names: str) -> IntArray:
    """Numbers of the resampled seeds, (`RESAMPLES`, count): each row draws `count` of `count` with replacement."""
    drawn: IntArray = stream(0, "resamples", *names).integers(count, size=(RESAMPLES, count))
    return drawn
