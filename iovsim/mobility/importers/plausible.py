"""Tells degrees from metres by how fast vehicles move: nobody drives slower than 1 cm/s or faster than 10 km/s.

At 10 m/s a vehicle moves by about 0.0001 degrees a second, so the two kinds are a factor of 100,000 apart.
"""

from __future__ import annotations

import numpy as np

from iovsim.domain import FloatArray, IntArray
from iovsim.errors import TraceError
from iovsim.mobility.importers.records import BoolArray

SLOWEST_M, FASTEST_DEG = 0.01, 0.1
"""If 95 % of the vehicles' moves are below the first (a second), these are no metres; if half are above the second,
these are no degrees (ours)."""


def check_metres(time_s: FloatArray, vehicle: IntArray, x: FloatArray, y: FloatArray, where: str, advice: str) -> bool:
    """Whether there was a move to judge by. Raises `TraceError` where positions look like degrees."""
    speeds = _speeds(time_s, vehicle, x, y)
    if len(speeds) and in_degrees(x, y).all() and float(np.quantile(speeds, 0.95)) < SLOWEST_M:
        raise TraceError(
            f"{where}: positions such as ({x[0]:.6g}, {y[0]:.6g}) look like degrees where metres are expected: no "
            f"vehicle moves by more than {speeds.max():.2g} a second. {advice}"
        )
    return len(speeds) > 0


def check_degrees(time_s: FloatArray, vehicle: IntArray, x: FloatArray, y: FloatArray, where: str, advice: str) -> bool:
    """Whether there was a move to judge by. Raises `TraceError` where positions look like metres."""
    within = in_degrees(x, y)
    if not within.all():
        odd = int(np.argmin(within))
        raise TraceError(
            f"{where}: position ({x[odd]:.6g}, {y[odd]:.6g}) is no longitude and latitude; these look like metres "
            f"where degrees are expected. {advice}"
        )
    speeds = _speeds(time_s, vehicle, x, y)
    if len(speeds) and float(np.median(speeds)) > FASTEST_DEG:
        raise TraceError(
            f"{where}: positions such as ({x[0]:.6g}, {y[0]:.6g}) look like metres where degrees are expected: half of "
            f"the moves are over {np.median(speeds):.2g} degrees a second. {advice}"
        )
    return len(speeds) > 0


def in_degrees(x: FloatArray, y: FloatArray) -> BoolArray:
    """Whether each position could be a longitude and a latitude."""
    within: BoolArray = (np.abs(x) <= 180.0) & (np.abs(y) <= 90.0)
    return within


def _speeds(time_s: FloatArray, vehicle: IntArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Units a second of all moves of a vehicle from one sample to its next, standing left out."""
    order = np.lexsort((time_s, vehicle))
    dt = np.diff(time_s[order])
    way = np.hypot(np.diff(x[order]), np.diff(y[order]))
    moved = (np.diff(vehicle[order]) == 0) & (dt > 0) & (way > 0)
    speeds: FloatArray = way[moved] / dt[moved]
    return speeds
