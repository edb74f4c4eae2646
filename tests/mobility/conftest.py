"""Tracks of points turned into trace files of SUMO's own layout."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from iovsim.mobility.trace import Trace

Track = tuple[list[float], list[float], list[float]]  # times, x, y


class MakeTrace(Protocol):
    def __call__(self, tracks: Mapping[str, Track], *, name: str = "trace.parquet") -> Trace: ...


def write_rows(path: Path, rows: list[tuple[float, str | None, float | None, float | None, float, float]]) -> Path:
    """Rows (time, vehicle, x, y, angle, speed) under SUMO's column names and types."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    names = ("timestep_time", "vehicle_id", "vehicle_x", "vehicle_y", "vehicle_angle", "vehicle_speed")
    types = (pa.float64(), pa.string(), pa.float64(), pa.float64(), pa.float64(), pa.float64())
    arrays = [pa.array(column, type=kind) for column, kind in zip(columns, types, strict=True)]
    pq.write_table(pa.table(dict(zip(names, arrays, strict=True))), path, row_group_size=50)
    return path


@pytest.fixture
def make_trace(tmp_path: Path) -> MakeTrace:
    """Write tracks as a trace; a sample's velocity is that of the way that led to it (the first: 0)."""

    def make(tracks: Mapping[str, Track], *, name: str = "trace.parquet") -> Trace:
        rows: list[tuple[float, str | None, float | None, float | None, float, float]] = []
        for vehicle, (time_s, x_m, y_m) in tracks.items():
            dt, dx, dy = np.diff(time_s), np.diff(x_m), np.diff(y_m)
            angle = [0.0, *np.rad2deg(np.arctan2(dx, dy)).tolist()]
            speed = [0.0, *(np.hypot(dx, dy) / dt).tolist()]
            rows += [(t, vehicle, x, y, a, v) for t, x, y, a, v in zip(time_s, x_m, y_m, angle, speed, strict=True)]
        return Trace(write_rows(tmp_path / name, sorted(rows, key=lambda row: (row[0], row[1]))), jump_mps=math.inf)

    return make
