"""Turns times, of which some were only seen not to have come yet, into the share of runs still waiting.

A run that ends before its event is censored: it says no more than that the event would come later. Leaving such runs
out would favour a policy of which only the lucky runs come through. Source: Kaplan and Meier, Journal of the American
Statistical Association 53 (1958) 457.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from iovsim.domain import FloatArray


def still_waiting(times: Sequence[float], reached: Sequence[bool]) -> tuple[FloatArray, FloatArray]:
    """Distinct times of events, ascending (k,), and the estimated share that still waits right after each (k,).

    The product over events up to then of 1 - d / n: d events among n runs, neither through nor censored before. A run
    that is censored at the very time of an event counts among the n. `times` holds for a run that reached its event the
    time of it, otherwise the time up to which it was seen.
    """
    at, through = np.array(times, dtype=np.float64), np.array(reached, dtype=bool)
    moments = np.unique(at[through])
    events = np.array([(at[through] == moment).sum() for moment in moments])
    seen = np.array([(at >= moment).sum() for moment in moments])
    shares: FloatArray = np.cumprod(1 - events / seen)
    return moments, shares


def median(times: Sequence[float], reached: Sequence[bool]) -> float | None:
    """The first time by which at most half still wait; None where it never comes to that."""
    moments, shares = still_waiting(times, reached)
    half = np.flatnonzero(shares <= 0.5 + 1e-12)
    return float(moments[half[0]]) if len(half) else None
