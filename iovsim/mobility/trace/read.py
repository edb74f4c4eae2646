"""Our format becomes blocks; opening reads footers alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from iovsim.errors import TraceError
from iovsim.mobility.samples import Repairs
from iovsim.mobility.trace.block import Codes, TraceBlock, by_vehicle
from iovsim.mobility.trace.format import NUMBERS, SCHEMA, Note
from iovsim.mobility.trace.parquet import Range, check_columns, column_range, open_parquet, reading


class OwnReader:
    """A trace in our format. Raises `TraceError` for parts that are damaged, missing or of another version."""

    def __init__(self, path: Path, files: list[Path]) -> None:
        self.path, self.files = path, files
        notes: list[Note] = []
        self.rows = 0
        for number, file in enumerate(files):
            with open_parquet(file) as opened:
                note = _note(file, opened.schema_arrow.metadata, opened.metadata.metadata)
                check_columns(file, opened.schema_arrow.names, tuple(SCHEMA.names))
                self.rows += opened.metadata.num_rows
            if len(files) > 1 and note.part != number:
                raise TraceError(
                    f"{path}: part {number} of the trace is missing; {file.name} is part {note.part}. Put it back, or "
                    f"record the trace again."
                )
            notes.append(note)
        first, last = notes[0], notes[-1]
        self.begin_s, self.end_s, self.step_s = first.begin_ms / 1000, last.end_ms / 1000, last.step_ms / 1000
        self.complete, self.source, self.net, self.counts = last.complete, last.source, last.net, dict(last.counts)
        self.plane = last.plane

    def ranges(self) -> tuple[Range, Range] | None:
        """Of all x and all y, in metres; None where the files do not say."""
        x_cm, y_cm = (column_range(self.files, name) for name in ("x_cm", "y_cm"))
        if x_cm is None or y_cm is None:
            return None
        return (x_cm[0] / 100.0, x_cm[1] / 100.0), (y_cm[0] / 100.0, y_cm[1] / 100.0)

    def blocks(self, begin_s: float | None, end_s: float | None, repairs: Repairs) -> Iterator[TraceBlock]:
        """Blocks of the samples in `[begin_s, end_s)`, one a row group."""
        codes = Codes()
        last_s = -np.inf
        for file in self.files:
            with open_parquet(file, read_dictionary=["vehicle"]) as opened:
                for group in range(opened.num_row_groups):
                    low_ms, high_ms = _times(opened.metadata.row_group(group))
                    if (begin_s is not None and high_ms < begin_s * 1000) or (
                        end_s is not None and low_ms >= end_s * 1000
                    ):
                        continue
                    with reading(file):
                        table = opened.read_row_group(group, columns=SCHEMA.names, use_threads=False)
                    block = by_vehicle(self._block(file, table, codes), file, repairs)
                    if len(block) == 0:
                        continue
                    first_s = float(block.time_s.min())
                    if first_s <= last_s:
                        raise TraceError(
                            f"{file}: time runs backwards, from {last_s:g} s to {first_s:g} s; windows of time must "
                            f"follow each other. Write it anew with `iovsim trace import`."
                        )
                    last_s = float(block.time_s.max())
                    yield block.within(begin_s, end_s)

    def _block(self, file: Path, table: pa.Table, codes: Codes) -> TraceBlock:
        for name in SCHEMA.names:
            if table[name].null_count:
                raise TraceError(f"{file}: column {name} holds a value that is missing; record the trace again.")
        if not all(pa.types.is_integer(table[name].type) for name in ("time_ms", *NUMBERS)):
            raise TraceError(f"{file}: columns other than vehicle must hold whole numbers, as the format says.")
        vehicle = table["vehicle"].combine_chunks()
        if isinstance(vehicle, pa.ChunkedArray):
            vehicle = vehicle.chunk(0) if vehicle.num_chunks else pa.array([], SCHEMA.field("vehicle").type)
        if not pa.types.is_dictionary(vehicle.type):
            vehicle = vehicle.dictionary_encode()
        known = codes.of(vehicle.dictionary.to_pylist())
        return TraceBlock(
            time_s=table["time_ms"].to_numpy() / 1000.0,
            vehicle=known[vehicle.indices.to_numpy()],
            names=codes.names,
            x_m=table["x_cm"].to_numpy() / 100.0,
            y_m=table["y_cm"].to_numpy() / 100.0,
            speed_mps=table["speed_cmps"].to_numpy() / 100.0,
            angle_deg=table["angle_cdeg"].to_numpy() / 100.0,
        )


def _note(file: Path, *metadata: dict[bytes, bytes] | None) -> Note:
    try:
        for held in metadata:
            note = Note.of(held)
            if note is not None:
                return note
    except ValueError as error:
        raise TraceError(f"{file}: not a trace that can be read ({error}); record it again.") from None
    raise TraceError(f"{file}: says nothing of itself as a trace; `iovsim trace import` makes one of it.")


def _times(group: pq.RowGroupMetaData) -> tuple[float, float]:
    """The first and last time of a row group in milliseconds; all of time where it does not say."""
    for column in range(group.num_columns):
        held = group.column(column)
        if held.path_in_schema == "time_ms" and held.statistics is not None and held.statistics.has_min_max:
            return held.statistics.min, held.statistics.max
    return -np.inf, np.inf
