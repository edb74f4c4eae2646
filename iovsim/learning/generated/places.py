"""Turns a district's number into what is special there: its light, weather and backdrop, and who and what is met."""

from __future__ import annotations

import numpy as np

from iovsim.domain import FloatArray
from iovsim.learning.generated.scene import WEATHERS, Climate
from iovsim.rng import stream

QUARTERS = ("centre", "harbour", "suburb", "trunk road")


def climate(district: int, seed: int) -> Climate:
    """The light, weather and background of a district, drawn by its number; every task sees the same."""
    rng = stream(seed, "climate", district)
    weather = rng.dirichlet(np.full(len(WEATHERS), 0.6))
    return Climate(
        weather=tuple(0.8 * float(w) + 0.2 / len(WEATHERS) for w in weather),
        brightness=float(rng.uniform(0.7, 1.2)),
        warmth=float(rng.uniform(-0.12, 0.12)),
        clutter=float(rng.uniform(0.5, 1.5)),
        backdrop=tuple(float(c) for c in rng.uniform(0.25, 0.65, 3)),  # type: ignore[arg-type]
    )


def character(district: int) -> FloatArray:
    """How much of each of `QUARTERS` a district is: shares (4,) that sum to 1; most districts lean to one."""
    shares: FloatArray = stream(0, "character", district).dirichlet(np.full(len(QUARTERS), 0.4))
    return shares


def mix(by_quarter: FloatArray, district: int) -> FloatArray:
    """Class probabilities (classes,) of a district from how often each class is met in each quarter (4, classes)."""
    shares = by_quarter / by_quarter.sum(axis=1, keepdims=True)
    found: FloatArray = character(district) @ shares
    found /= found.sum()  # away with the rounding
    return found
