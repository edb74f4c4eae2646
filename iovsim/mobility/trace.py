"""Turns a floating-car-data Parquet file, as SUMO writes it, into a stream of windows of vehicle positions.

A trace may be far larger than memory: nothing here ever holds more than one window and one batch of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from iovsim.domain import FloatArray
from iovsim.errors import TraceError

COLUMNS = ("timestep_time", "vehicle_id", "vehicle_x", "vehicle_y", "vehicle_angle", "vehicle_speed")
"""The columns that are read; a file may hold more. Names are those of SUMO 1.28's `--fcd-output X.parquet`."""

BATCH_ROWS = 131_072
GRID_TOLERANCE = 1e-3
"""Part of a step by which a time may miss the trace's grid; SUMO's own clock counts whole milliseconds."""


@dataclass(frozen=True, slots=True, eq=False)
class TraceWindow:
    """All samples with `begin_s <= time_s < end_s`, sorted by time, then by vehicle id as text.

    Arrays have one entry a sample. `vehicle` holds codes: sample i belongs to `names[vehicle[i]]`. Codes count up in
    the order of first appearance and keep their meaning through all windows of one `Trace.windows` pass.
    Velocities point along +x (east) and +y (north).
    """

    begin_s: float
    end_s: float
    time_s: FloatArray
    vehicle: NDArray[np.int32]
    names: tuple[str, ...]
    x_m: FloatArray
    y_m: FloatArray
    vx_mps: FloatArray
    vy_mps: FloatArray

    def steps(self) -> Iterator[tuple[float, slice]]:
        """Each time in the window that has samples, with the rows that belong to it."""
        starts = np.flatnonzero(np.diff(self.time_s, prepend=-np.inf))
        for first, last in pairwise([*starts.tolist(), len(self.time_s)]):
            yield float(self.time_s[first]), slice(first, last)


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """What a trace holds, for tables and plausibility checks."""

    begin_s: float
    end_s: float
    step_s: float
    rows: int
    bytes: int
    vehicles: int
    peak_vehicles: int
    vehicle_s: float
    mean_speed_mps: float


class Trace:
    """A recorded trace. Opening reads the column of times once, checks it, and keeps four numbers.

    `begin_s, end_s` are the first and last time in the file, `step_s` the spacing of its times, `rows` the number of
    vehicle samples. All vehicles present at a time are expected to have a row at it, so a vehicle that has no row
    at the next step has left.

    Raises `TraceError` for a missing file, one that is no Parquet or cut short, missing columns, no vehicles, times
    that run backwards or lie off a regular grid, and (while streaming) positions or speeds that are not numbers.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        with self._open() as file:
            self.begin_s, self.end_s, self.step_s, self.rows = self._scan(file)

    def windows(
        self, window_s: float = 60.0, begin_s: float | None = None, end_s: float | None = None
    ) -> Iterator[TraceWindow]:
        """Yield the samples with `begin_s <= time_s < end_s` (None: all) in windows of `window_s`.

        Windows without samples are skipped. Raises `TraceError` at a sample that is not a number.
        """
        if not window_s > 0:
            raise ValueError(f"window_s must be positive, got {window_s}")
        first = self.begin_s if begin_s is None else begin_s
        names: list[str] = []
        codes: dict[str, int] = {}
        waiting: list[_Rows] = []
        index = 0  # of the window that is being filled: [first + index * window_s, first + (index + 1) * window_s)
        for rows in self._rows(begin_s, end_s, codes, names):
            rest = rows
            while len(rest.time_s) and rest.time_s[-1] >= first + (index + 1) * window_s:
                cut = int(np.searchsorted(rest.time_s, first + (index + 1) * window_s))
                waiting.append(rest.part(0, cut))
                yield from self._window(first, index, window_s, waiting, names)
                waiting, rest = [], rest.part(cut, len(rest.time_s))
                if len(rest.time_s):
                    index = max(index + 1, _window_index(float(rest.time_s[0]), first, window_s))
            waiting.append(rest)
        yield from self._window(first, index, window_s, waiting, names)

    def summary(self) -> TraceSummary:
        """Stream the whole trace once and count."""
        vehicles, peak, speed_sum = 0, 0, 0.0
        for window in self.windows():
            vehicles = len(window.names)
            peak = max(peak, *(rows.stop - rows.start for _, rows in window.steps()))
            speed_sum += float(np.hypot(window.vx_mps, window.vy_mps).sum())
        return TraceSummary(
            begin_s=self.begin_s,
            end_s=self.end_s,
            step_s=self.step_s,
            rows=self.rows,
            bytes=self.path.stat().st_size,
            vehicles=vehicles,
            peak_vehicles=peak,
            vehicle_s=self.rows * self.step_s,
            mean_speed_mps=speed_sum / self.rows,
        )

    def _open(self) -> pq.ParquetFile:
        if not self.path.is_file():
            raise TraceError(f"{self.path}: no such file; record a trace first, or name an existing Parquet file.")
        try:
            held = pq.read_schema(self.path).names
            missing = [name for name in COLUMNS if name not in held]
            if missing:
                raise TraceError(
                    f"{self.path}: column(s) {', '.join(missing)} missing; a trace needs {', '.join(COLUMNS)} "
                    f"(SUMO: --fcd-output X.parquet --fcd-output.attributes x,y,speed,angle)."
                )
            return pq.ParquetFile(
                self.path, read_dictionary=["vehicle_id"], buffer_size=1 << 20, pre_buffer=False, memory_map=False
            )
        except (pa.ArrowException, OSError) as error:
            raise TraceError(
                f"{self.path}: not a complete Parquet file ({_first_line(error)}); SUMO writes it out only at its end, "
                f"so a killed run leaves nothing to read. Record it again."
            ) from None

    def _batches(self, file: pq.ParquetFile, groups: list[int], columns: list[str]) -> Iterator[pa.RecordBatch]:
        try:
            yield from file.iter_batches(batch_size=BATCH_ROWS, row_groups=groups, columns=columns)
        except (pa.ArrowException, OSError) as error:
            raise TraceError(f"{self.path}: damaged Parquet file ({_first_line(error)}); record it again.") from None

    def _scan(self, file: pq.ParquetFile) -> tuple[float, float, float, int]:
        begin, last, step, rows = None, -np.inf, np.inf, 0
        gaps: set[float] = set()
        for batch in self._batches(file, list(range(file.num_row_groups)), ["timestep_time", "vehicle_id"]):
            time_s = self._float(batch.column(0), "timestep_time")
            rows += len(batch) - batch.column(1).null_count
            jumps = np.diff(time_s, prepend=time_s[0] if begin is None else last) if len(time_s) else time_s
            if (jumps < 0).any():
                at = int(np.argmax(jumps < 0))
                raise TraceError(
                    f"{self.path}: time runs backwards, from {time_s[at] - jumps[at]:g} s to {time_s[at]:g} s; rows "
                    f"must be sorted by timestep_time."
                )
            gaps.update(np.unique(jumps[jumps > 0]).tolist())
            if len(time_s):
                begin, last = time_s[0] if begin is None else begin, time_s[-1]
        if begin is None or rows == 0:
            raise TraceError(
                f"{self.path}: holds no vehicle at any time; check the demand and the begin and end times."
            )
        if not gaps:
            raise TraceError(f"{self.path}: holds a single instant ({begin:g} s); contacts need at least two steps.")
        step = min(gaps)
        odd = [gap for gap in sorted(gaps) if abs(gap / step - round(gap / step)) > GRID_TOLERANCE]
        if odd:
            raise TraceError(
                f"{self.path}: times are not multiples of one step: found spacings {step:g} s and {odd[0]:g} s; "
                f"resample the trace to a regular grid."
            )
        return float(begin), float(last), float(round(step, 6)), rows

    def _rows(
        self, begin_s: float | None, end_s: float | None, codes: dict[str, int], names: list[str]
    ) -> Iterator[_Rows]:
        with self._open() as file:
            groups = [
                group
                for group in range(file.num_row_groups)
                if _overlaps(file.metadata.row_group(group), file.schema_arrow.names, begin_s, end_s)
            ]
            for batch in self._batches(file, groups, list(COLUMNS)):
                time_s = self._float(batch.column("timestep_time"), "timestep_time")
                keep = np.asarray(batch.column("vehicle_id").is_valid())
                if begin_s is not None:
                    keep &= time_s >= begin_s
                if end_s is not None:
                    keep &= time_s < end_s
                if not keep.all():
                    batch = batch.filter(pa.array(keep))
                    time_s = time_s[keep]
                if len(time_s) == 0:
                    continue
                angle = np.deg2rad(self._float(batch.column("vehicle_angle"), "vehicle_angle"))
                speed = self._float(batch.column("vehicle_speed"), "vehicle_speed")
                yield _Rows(
                    time_s=time_s,
                    vehicle=_encode(batch.column("vehicle_id"), codes, names),
                    x_m=self._float(batch.column("vehicle_x"), "vehicle_x"),
                    y_m=self._float(batch.column("vehicle_y"), "vehicle_y"),
                    # SUMO's angle is navigational: degrees clockwise from north.
                    # https://sumo.dlr.de/docs/Simulation/Output/FCDOutput.html
                    vx_mps=speed * np.sin(angle),
                    vy_mps=speed * np.cos(angle),
                )

    def _window(
        self, first_s: float, index: int, window_s: float, parts: list[_Rows], names: list[str]
    ) -> Iterator[TraceWindow]:
        """The window of the joined parts, sorted; nothing where they are empty."""
        parts = [part for part in parts if len(part.time_s)]
        if not parts:
            return
        time_s = np.concatenate([part.time_s for part in parts])
        vehicle = np.concatenate([part.vehicle for part in parts])
        present = np.unique(vehicle)
        by_name = np.array(sorted(present.tolist(), key=names.__getitem__))
        rank = np.zeros(len(names), dtype=np.int64)
        rank[by_name] = np.arange(len(by_name))
        order = np.lexsort((rank[vehicle], time_s))
        time_s, vehicle = time_s[order], vehicle[order]
        twice = (np.diff(time_s) == 0) & (np.diff(vehicle) == 0)
        if twice.any():
            at = int(np.argmax(twice))
            raise TraceError(
                f"{self.path}: vehicle {names[vehicle[at]]!r} has two rows at {time_s[at]:g} s; one is allowed."
            )
        yield TraceWindow(
            begin_s=first_s + index * window_s,
            end_s=first_s + (index + 1) * window_s,
            time_s=time_s,
            vehicle=vehicle,
            names=tuple(names),
            x_m=np.concatenate([part.x_m for part in parts])[order],
            y_m=np.concatenate([part.y_m for part in parts])[order],
            vx_mps=np.concatenate([part.vx_mps for part in parts])[order],
            vy_mps=np.concatenate([part.vy_mps for part in parts])[order],
        )

    def _float(self, column: pa.Array, name: str) -> FloatArray:
        values = column.to_numpy(zero_copy_only=False)
        if not np.issubdtype(values.dtype, np.number):
            raise TraceError(f"{self.path}: column {name} holds {column.type}, not numbers.")
        result: FloatArray = values.astype(np.float64)
        if not np.isfinite(result).all():
            raise TraceError(f"{self.path}: column {name} holds a value that is not a number; record the trace again.")
        return result


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    time_s: FloatArray
    vehicle: NDArray[np.int32]
    x_m: FloatArray
    y_m: FloatArray
    vx_mps: FloatArray
    vy_mps: FloatArray

    def part(self, start: int, stop: int) -> _Rows:
        cut = slice(start, stop)
        return _Rows(
            self.time_s[cut], self.vehicle[cut], self.x_m[cut], self.y_m[cut], self.vx_mps[cut], self.vy_mps[cut]
        )


def _window_index(time_s: float, first_s: float, window_s: float) -> int:
    """The window that holds `time_s`, by the same comparison that cuts the rows."""
    index = int((time_s - first_s) // window_s)
    while time_s >= first_s + (index + 1) * window_s:
        index += 1
    while time_s < first_s + index * window_s:
        index -= 1
    return index


def _encode(column: pa.Array, codes: dict[str, int], names: list[str]) -> NDArray[np.int32]:
    """Vehicle ids of a batch as codes; ids that are new get the next codes in order of appearance."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    local = column.indices.to_numpy(zero_copy_only=False)
    used, first = np.unique(local, return_index=True)
    table = np.zeros(len(column.dictionary), dtype=np.int32)
    for entry in used[np.argsort(first)].tolist():
        name = str(column.dictionary[entry].as_py())
        if name not in codes:
            codes[name] = len(names)
            names.append(name)
        table[entry] = codes[name]
    encoded: NDArray[np.int32] = table[local]
    return encoded


def _overlaps(group: pq.RowGroupMetaData, columns: list[str], begin_s: float | None, end_s: float | None) -> bool:
    """Whether a row group may hold times of [begin_s, end_s); unknown statistics count as yes."""
    stats = group.column(columns.index("timestep_time")).statistics
    if stats is None or not stats.has_min_max:
        return True
    return (begin_s is None or stats.max >= begin_s) and (end_s is None or stats.min < end_s)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
