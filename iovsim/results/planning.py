"""Turns the paired differences of some seeds into how many seeds more would make their interval narrow enough."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from iovsim.results.intervals import half_width

MOST_SEEDS = 1_000_000
"""More are not searched for: a difference that needs them is none."""


def seeds_more(differences: Sequence[float], wished: float | None = None) -> int | None:
    """How many seeds more make the 95 % t interval's half-width at most `wished`, if the spread stays what it is.

    Without `wished` it is the size of the mean difference, so that the interval leaves out zero, if the mean stays what
    it is: a hopeful number, because a mean that chance has made large will shrink. None where it cannot be told: fewer
    than two values, no difference at all, or more than `MOST_SEEDS`. Source: the half-width is t(0.975, n - 1) s /
    sqrt(n), and t is worked out anew for each n, as in Law, Simulation Modeling and Analysis, 5th ed., section 9.4.1.
    """
    n = len(differences)
    if n < 2:
        return None
    aim = abs(statistics.mean(differences)) if wished is None else wished
    needed = seeds_needed(statistics.stdev(differences), aim)
    return None if needed is None else max(needed - n, 0)


def seeds_needed(deviation: float, wished: float) -> int | None:
    """The fewest values, at least two, with a half-width of at most `wished`; None above `MOST_SEEDS`."""
    if wished <= 0 or half_width(deviation, MOST_SEEDS) > wished:
        return None
    too_few, enough = 1, 2
    while half_width(deviation, enough) > wished:
        too_few, enough = enough, 2 * enough
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if half_width(deviation, middle) > wished:
            too_few = middle
        else:
            enough = middle
    return enough
