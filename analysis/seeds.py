"""Turns the values of several seeds into means with 95 % t intervals, and says in words what is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from iovsim.domain import FloatArray
from iovsim.results import Run
from iovsim.results.intervals import interval

from .style import Look, policies


def mean_and_half(values: FloatArray) -> tuple[FloatArray, FloatArray | None]:
    """Means (n,) of values (seeds, n) and half-widths (n,) of their 95 % t intervals; no half-widths for one seed.

    NaN is a value that a seed does not have; a half-width is NaN where only one seed has a value.
    """
    found = [interval([float(v) for v in column if not np.isnan(v)]) for column in values.T]
    mean = np.array([np.nan if f is None else f.mean for f in found])
    if len(values) == 1:
        return mean, None
    return mean, np.array([np.nan if f is None or f.half is None else f.half for f in found])


def spread(runs: Sequence[Run], drawn: str = "Marker", bar: str = "bar") -> str:
    """The sentence of a caption that says what is drawn of the seeds; empty where every policy has only one."""
    if all(len(group) == 1 for group in policies(runs).values()):
        return ""
    return f"{drawn}: mean over seeds; {bar}: its 95 % t interval."


def draw_points(
    axes: Axes, x: FloatArray, values: FloatArray, look: Look, *, along: str, label: str, size: float
) -> None:
    """One marker for each column of `values` (seeds, n) at the places (n,), with bars; `along` is the value's axis."""
    mean, half = mean_and_half(values)
    shared: dict[str, Any] = {
        "color": look.color,
        "marker": look.marker,
        "markersize": size,
        "linestyle": "none",
        "elinewidth": 0.7,
        "capsize": 0,
        "label": label,
    }
    if along == "x":
        axes.errorbar(mean, x, xerr=half, **shared)
    else:
        axes.errorbar(x, mean, yerr=half, **shared)


def dodged(places: int, index: int, count: int) -> FloatArray:
    """Where the `index`-th of `count` series stands at the places 0, 1, ...: beside each other, in 3/4 of the room."""
    return np.arange(places, dtype=np.float64) + (index - (count - 1) / 2) * 0.75 / count
