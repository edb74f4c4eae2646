"""SUMO's own floating-car-data Parquet becomes blocks. https://sumo.dlr.de/docs/Simulation/Output/FCDOutput.html"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from iovsim.domain import FloatArray
from iovsim.errors import TraceError
from iovsim.mobility.planes import Plane
from iovsim.mobility.samples import Repairs
from iovsim.mobility.trace.block import Codes, TraceBlock, by_vehicle, joined
from iovsim.mobility.trace.parquet import Range, check_columns, column_range, open_parquet, reading

COLUMNS = ("timestep_time", "vehicle_id", "vehicle_x", "vehicle_y", "vehicle_angle", "vehicle_speed")
"""The columns that are read; a file may hold more. Names are those of SUMO 1.28's `--fcd-output X.parquet`."""

BATCH_ROWS = 131_072
GRID_TOLERANCE = 1e-3
"""Part of a step by which a time may miss the trace's grid; SUMO's own clock counts whole milliseconds."""


@dataclass(slots=True)
class FcdReader:
    """A trace that SUMO wrote. Opening reads the column of times once, checks it, and keeps four numbers.

    Raises `TraceError` for missing columns, no vehicles, and times that run backwards or lie off a regular grid.
    """

    path: Path
    begin_s: float = field(init=False)
    end_s: float = field(init=False)
    step_s: float = field(init=False)
    rows: int = field(init=False)
    complete: bool = True  # SUMO's file is whole or not a file
    source: str = "SUMO's floating-car data"
    net: bool = True
    counts: dict[str, int] = field(default_factory=dict)
    plane: Plane | None = None  # SUMO does not say

    def __post_init__(self) -> None:
        with self._open() as file:
            self._scan(file)

    def blocks(self, begin_s: float | None, end_s: float | None, repairs: Repairs) -> Iterator[TraceBlock]:
        """Blocks of the samples in `[begin_s, end_s)`, of about `BATCH_ROWS` rows, cut between two times."""
        codes = Codes()
        waiting: list[TraceBlock] = []
        for rows in self._blocks(begin_s, end_s, codes):
            cut = int(np.searchsorted(rows.time_s, rows.time_s[-1]))  # the last time may go on in the next batch
            held = sum(len(block) for block in waiting)
            if held + cut < BATCH_ROWS or (cut == 0 and rows.time_s[0] == waiting[-1].time_s[-1]):
                waiting.append(rows)
                continue
            yield by_vehicle(joined([*waiting, rows.take(slice(0, cut))]), self.path, repairs)
            waiting = [rows.take(slice(cut, None))]
        if waiting:
            yield by_vehicle(joined(waiting), self.path, repairs)

    def ranges(self) -> tuple[Range, Range] | None:
        """Of all x and all y; None where the file does not say."""
        x, y = (column_range([self.path], name) for name in ("vehicle_x", "vehicle_y"))
        return None if x is None or y is None else (x, y)

    def _open(self) -> pq.ParquetFile:
        file = open_parquet(self.path, read_dictionary=["vehicle_id"])
        check_columns(self.path, file.schema_arrow.names, COLUMNS)
        return file

    def _batches(self, file: pq.ParquetFile, groups: list[int], columns: list[str]) -> Iterator[pa.RecordBatch]:
        with reading(self.path):
            yield from file.iter_batches(batch_size=BATCH_ROWS, row_groups=groups, columns=columns)

    def _scan(self, file: pq.ParquetFile) -> None:
        begin, last, rows = None, -np.inf, 0
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
        self.begin_s, self.end_s, self.step_s, self.rows = float(begin), float(last), float(round(step, 6)), rows

    def _blocks(self, begin_s: float | None, end_s: float | None, codes: Codes) -> Iterator[TraceBlock]:
        """Batches of rows as they lie in the file; none is empty."""
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
                vehicle = batch.column("vehicle_id")
                if not pa.types.is_dictionary(vehicle.type):
                    vehicle = vehicle.dictionary_encode()
                local = vehicle.indices.to_numpy()
                known = np.zeros(len(vehicle.dictionary), dtype=np.int32)
                used = np.unique(local)
                known[used] = codes.of([str(name) for name in vehicle.dictionary.take(pa.array(used)).to_pylist()])
                yield TraceBlock(
                    time_s=time_s,
                    vehicle=known[local],
                    names=codes.names,
                    x_m=self._float(batch.column("vehicle_x"), "vehicle_x"),
                    y_m=self._float(batch.column("vehicle_y"), "vehicle_y"),
                    speed_mps=self._float(batch.column("vehicle_speed"), "vehicle_speed"),
                    angle_deg=self._float(batch.column("vehicle_angle"), "vehicle_angle"),
                )

    def _float(self, column: pa.Array, name: str) -> FloatArray:
        values = column.to_numpy(zero_copy_only=False)
        if not np.issubdtype(values.dtype, np.number):
            raise TraceError(f"{self.path}: column {name} holds {column.type}, not numbers.")
        result: FloatArray = values.astype(np.float64)
        if not np.isfinite(result).all():
            raise TraceError(f"{self.path}: column {name} holds a value that is not a number; record the trace again.")
        return result


def _overlaps(group: pq.RowGroupMetaData, columns: list[str], begin_s: float | None, end_s: float | None) -> bool:
    """Whether a row group may hold times of [begin_s, end_s); unknown statistics count as yes."""
    stats = group.column(columns.index("timestep_time")).statistics
    if stats is None or not stats.has_min_max:
        return True
    return (begin_s is None or stats.max >= begin_s) and (end_s is None or stats.min < end_s)
