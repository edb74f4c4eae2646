"""Turns a trace into tables about its traffic: vehicles connected over time, where time is spent, who is where when.

Each function streams the trace once.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iovsim.domain import FloatArray, IntArray
from iovsim.mobility.contact_table import ContactTable
from iovsim.mobility.trace import Trace


def connectivity(
    trace: Trace, table: ContactTable, *, start_s: float | None = None, end_s: float | None = None
) -> pd.DataFrame:
    """Per trace step in `[start_s, end_s)`: time_s, vehicles (on the road), connected (`start_s <= t < end_s`)."""
    times: list[float] = []
    vehicles: list[int] = []
    for window in trace.windows(begin_s=start_s, end_s=end_s):
        for time_s, rows in window.steps():
            times.append(time_s)
            vehicles.append(rows.stop - rows.start)
    time_s_all = np.array(times, dtype=np.float64)
    begun = np.searchsorted(table.columns.start_s, time_s_all, side="right")
    ended = np.searchsorted(np.sort(table.columns.end_s), time_s_all, side="right")
    return pd.DataFrame(
        {"time_s": time_s_all, "vehicles": np.array(vehicles, dtype=np.int64), "connected": begun - ended}
    )


def density(trace: Trace, cell_m: float, *, start_s: float | None = None, end_s: float | None = None) -> pd.DataFrame:
    """Vehicle-seconds by square cell of side `cell_m`: x_m, y_m (cell centre), vehicle_s; cells aligned to (0, 0)."""
    if not cell_m > 0:
        raise ValueError(f"cell_m must be positive, got {cell_m}")
    half = np.int64(1 << 31)
    cells = np.zeros(0, dtype=np.int64)  # column and row in one number, the row moved above 0: sorted as both would be
    counts = np.zeros(0, dtype=np.int64)
    for window in trace.windows(begin_s=start_s, end_s=end_s):
        column, row = (np.floor(place_m / cell_m).astype(np.int64) for place_m in (window.x_m, window.y_m))
        new, times = np.unique(column * (2 * half) + (row + half), return_counts=True)
        cells, owner = np.unique(np.concatenate([cells, new]), return_inverse=True)
        counts = np.bincount(owner, weights=np.concatenate([counts, times])).astype(np.int64)
    column, row = cells // (2 * half), cells % (2 * half) - half
    return pd.DataFrame(
        {"x_m": (column + 0.5) * cell_m, "y_m": (row + 0.5) * cell_m, "vehicle_s": counts * trace.step_s}
    )


def district_stays(
    trace: Trace,
    bounds: tuple[float, float, float, float],
    per_side: int,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
) -> pd.DataFrame:
    """Where each vehicle was, from its samples in `[start_s, end_s)`: vehicle, district, start_s, end_s.

    Rows are sorted by vehicle, then start_s; a vehicle's first is where the trace first sees it. A stay lasts from its
    first sample to the first one in another district, the last stay to the vehicle's last sample; a vehicle that the
    trace loses and sees again counts as having waited where it was lost. `bounds` are west, south, east and north in
    metres; districts are `per_side * per_side` equal rectangles of them, row by row from the south-west, and the ones
    at the edge reach beyond it. Raises `ValueError` where `per_side` or the bounds leave no districts.
    """
    if per_side < 1 or not (bounds[0] < bounds[2] and bounds[1] < bounds[3]):
        raise ValueError(f"per_side must be at least 1 and bounds must span an area, got {per_side} and {bounds}")
    names: tuple[str, ...] = ()
    now = np.zeros(0, dtype=np.int64)  # by vehicle code: the district of its latest sample
    last_s = np.zeros(0)
    entries: list[tuple[NDArray[np.int32], IntArray, FloatArray]] = [(np.zeros(0, dtype=np.int32), now, last_s)]
    for window in trace.windows(begin_s=start_s, end_s=end_s):
        names = window.names
        now = np.pad(now, (0, len(names) - len(now)), constant_values=-1)
        last_s = np.pad(last_s, (0, len(names) - len(last_s)))
        order = np.argsort(window.vehicle, kind="stable")
        vehicle, time_s = window.vehicle[order], window.time_s[order]
        district = districts_of(window.x_m[order], window.y_m[order], bounds, per_side)
        before = np.roll(district, 1)
        first = np.flatnonzero(np.diff(vehicle, prepend=-1))
        before[first] = now[vehicle[first]]
        entered = district != before
        entries.append((vehicle[entered], district[entered], time_s[entered]))
        last = np.append(first[1:], len(vehicle)) - 1
        now[vehicle[last]], last_s[vehicle[last]] = district[last], time_s[last]
    vehicle, district, begun_s = (np.concatenate(column) for column in zip(*entries, strict=True))
    order = np.argsort(vehicle, kind="stable")
    vehicle, district, begun_s = vehicle[order], district[order], begun_s[order]
    stays_on = np.diff(vehicle, append=-1) == 0
    table = pd.DataFrame(
        {
            "vehicle": pd.Series([names[code] for code in vehicle.tolist()], dtype=object),
            "district": district,
            "start_s": begun_s,
            "end_s": np.where(stays_on, np.roll(begun_s, -1), last_s[vehicle]),
        }
    )
    return table.sort_values(["vehicle", "start_s"], ignore_index=True)


def districts_of(
    x_m: FloatArray, y_m: FloatArray, bounds: tuple[float, float, float, float], per_side: int
) -> IntArray:
    """The district (n,) of each position; positions beyond the bounds belong to the nearest one."""
    west, south, east, north = bounds
    column = np.clip(((x_m - west) / (east - west) * per_side).astype(np.int64), 0, per_side - 1)
    row = np.clip(((y_m - south) / (north - south) * per_side).astype(np.int64), 0, per_side - 1)
    return row * per_side + column
