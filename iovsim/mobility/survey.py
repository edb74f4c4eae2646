"""Turns a trace into tables about its traffic: vehicles connected over time, where they spend time, where they start.

Each function streams the trace once.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iovsim.domain import FloatArray
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
    cells = np.zeros((0, 2), dtype=np.int64)
    counts = np.zeros(0, dtype=np.int64)
    for window in trace.windows(begin_s=start_s, end_s=end_s):
        new = np.floor(np.column_stack([window.x_m, window.y_m]) / cell_m).astype(np.int64)
        joined = np.concatenate([cells, new])
        weights = np.concatenate([counts, np.ones(len(new), dtype=np.int64)])
        cells, owner = np.unique(joined, axis=0, return_inverse=True)
        counts = np.bincount(owner.ravel(), weights=weights, minlength=len(cells)).astype(np.int64)
    centre_m = (cells + 0.5) * cell_m
    return pd.DataFrame({"x_m": centre_m[:, 0], "y_m": centre_m[:, 1], "vehicle_s": counts * trace.step_s})


def first_positions(trace: Trace, *, start_s: float | None = None, end_s: float | None = None) -> pd.DataFrame:
    """One row a vehicle, sorted by name: vehicle, time_s, x_m, y_m of its first sample in `[start_s, end_s)`."""
    names: list[str] = []
    seen: set[int] = set()
    parts: list[FloatArray] = []
    for window in trace.windows(begin_s=start_s, end_s=end_s):
        codes, first = np.unique(window.vehicle, return_index=True)
        new: NDArray[np.intp] = first[~np.isin(codes, list(seen))]
        seen.update(codes.tolist())
        names = list(window.names)
        parts.append(
            np.column_stack([window.vehicle[new], window.time_s[new], window.x_m[new], window.y_m[new]]).astype(
                np.float64
            )
        )
    rows = np.concatenate(parts) if parts else np.zeros((0, 4))
    table = pd.DataFrame(
        {
            "vehicle": pd.Series([names[int(code)] for code in rows[:, 0]], dtype=object),
            "time_s": rows[:, 1],
            "x_m": rows[:, 2],
            "y_m": rows[:, 3],
        }
    )
    return table.sort_values("vehicle", ignore_index=True)
