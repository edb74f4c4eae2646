"""Samples as rows, for comparison, and small files of tracks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from iovsim.mobility.samples import Samples

Row = tuple[float, str, float, float, float, float]  # time, vehicle, x, y, speed, angle


def rows_of(batches: Iterable[Samples]) -> list[Row]:
    """All samples; checks what every batch promises: sorted by time, then vehicle, and no time in two batches."""
    rows: list[Row] = []
    last_s = -np.inf
    for batch in batches:
        columns = (batch.x_m, batch.y_m, batch.speed_mps, batch.angle_deg)
        assert {len(column) for column in columns} == {len(batch)} == {len(batch.vehicle)}
        keys = list(zip(batch.time_s.tolist(), batch.vehicle, strict=True))
        assert keys == sorted(set(keys))
        assert keys[0][0] > last_s
        last_s = keys[-1][0]
        numbers = (column.tolist() for column in columns)
        rows += [(*key, *values) for key, *values in zip(keys, *numbers, strict=True)]
    return rows


def write_csv(path: Path, header: str, rows: Iterable[Sequence[object]]) -> Path:
    path.write_text(header + "\n" + "".join(",".join(str(field) for field in row) + "\n" for row in rows))
    return path
