"""Turns rows, checked one by one against the declared schema, into Parquet files that appear whole or not at all.

Equal rows give files equal in every byte (with the same pyarrow): row groups hold a fixed number of rows, whatever the
mixture of `add` and `add_frame`, and nothing in a file depends on the time or the machine.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from iovsim.errors import ResultsError, near_match
from iovsim.files import explained, flush, sha256_of
from iovsim.results.tables import ARROW_TYPES, TABLES, Column, ColumnType, Table, table

TABLES_DIR = "tables"
ROW_GROUP_ROWS = 65_536
BATCH_ROWS = 2048  # that wait one by one, which takes ten times the memory that they take in columns
Cell = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class TableFile:
    """What the manifest keeps of a finished table."""

    rows: int
    sha256: str


def tables_dir(folder: Path) -> Path:
    """Where the tables of the run folder `folder` lie."""
    return folder / TABLES_DIR


def table_path(folder: Path, name: str) -> Path:
    """The Parquet file of one table."""
    return tables_dir(folder) / f"{name}.parquet"


class Recorder:
    """Takes the rows of a run and streams them to `<folder>/tables`; `finish` gives the files their names."""

    def __init__(self, folder: Path) -> None:
        """Opens every declared table, so that a finished run has them all. Raises `ResultsError` if it cannot."""
        with explained(tables_dir(folder), "create the folder"):
            tables_dir(folder).mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._writers: dict[str, _TableWriter] = {}
        try:
            for name, declared in TABLES.items():
                self._writers[name] = _TableWriter(declared, table_path(folder, name))
        except ResultsError:
            self.discard()
            raise

    def add(self, table: str, /, **row: object) -> None:
        """Adds one row. A wrong table, column or type raises `KeyError`, `ValueError` or `TypeError`: a program fault.

        A nullable REAL that is None or not finite is stored as null; any other REAL must be finite.
        """
        self._writer(table).add(row)

    def add_rows(self, table: str, rows: Iterable[Mapping[str, object]], /) -> None:
        """Adds rows in order, each checked as by `add`."""
        writer = self._writer(table)
        for row in rows:
            writer.add(row)

    def add_frame(self, table: str, frame: pd.DataFrame, /) -> None:
        """Adds all rows of a frame, in order and without its index; the columns must be the declared ones."""
        self._writer(table).add_frame(frame)

    def finish(self) -> dict[str, TableFile]:
        """Writes what is left, gives all files their final names, and says what they hold. Raises `ResultsError`."""
        try:
            for writer in self._writers.values():
                writer.close()
            return {name: writer.publish() for name, writer in self._writers.items()}
        except ResultsError:
            self.discard()
            raise

    def discard(self) -> None:
        """Throws away what `finish` has not yet published; for runs that failed."""
        for writer in self._writers.values():
            writer.discard()

    def _writer(self, name: str) -> _TableWriter:
        return self._writers[table(name).name]


class _TableWriter:
    """One table: rows wait in a buffer until a row group is full."""

    def __init__(self, declared: Table, path: Path) -> None:
        self._table = declared
        self._columns = declared.columns
        self._names = frozenset(c.name for c in declared.columns)
        self._path = path
        self._part = path.with_name(f".{path.name}.part")
        self._rows: list[list[Cell]] = []
        self._batches: list[pa.Table] = []
        self._waiting = 0
        self._written = 0
        with explained(self._part, "write"):
            self._file = pa.OSFile(str(self._part), "wb")  # ours, so that it is closed whatever its writer runs into
            try:
                self._writer = pq.ParquetWriter(self._file, declared.schema, compression="zstd", version="2.6")
            except OSError:
                self._file.close()
                self._part.unlink(missing_ok=True)
                raise

    def add(self, row: Mapping[str, object]) -> None:
        if row.keys() != self._names:
            raise ValueError(self._columns_message(row))
        self._rows.append([_cell(self._table.name, c, row[c.name]) for c in self._columns])
        self._waiting += 1
        if len(self._rows) >= BATCH_ROWS:
            self._batch_rows()
            self._write_full_groups()

    def add_frame(self, frame: pd.DataFrame) -> None:
        if set(frame.columns) != self._names:
            raise ValueError(self._columns_message(frame.columns))
        columns = [_array(self._table.name, c, frame[c.name]) for c in self._columns]
        self._batch_rows()
        self._batches.append(pa.Table.from_arrays(columns, schema=self._table.schema))
        self._waiting += len(frame)
        self._write_full_groups()

    def close(self) -> None:
        self._write_full_groups()
        self._write(self._waiting)
        with explained(self._part, "write"):
            self._writer.close()
            self._file.close()

    def publish(self) -> TableFile:
        with explained(self._path, "write"):
            flush(self._part)
            digest = sha256_of(self._part)
            os.replace(self._part, self._path)  # noqa: PTH105 (atomic on every platform)
        return TableFile(self._written, digest)

    def discard(self) -> None:
        for opened in (self._writer, self._file):
            with suppress(OSError):  # the disk is full: the file goes anyway
                opened.close()
        self._part.unlink(missing_ok=True)

    def _write_full_groups(self) -> None:
        while self._waiting >= ROW_GROUP_ROWS:
            self._write(ROW_GROUP_ROWS)

    def _batch_rows(self) -> None:
        if self._rows:
            cells = zip(*self._rows, strict=True)
            arrays = [
                pa.array(column, type=field.type) for column, field in zip(cells, self._table.schema, strict=True)
            ]
            self._batches.append(pa.Table.from_arrays(arrays, schema=self._table.schema))
            self._rows = []

    def _write(self, rows: int) -> None:
        if rows == 0:
            return
        self._batch_rows()
        waiting = pa.concat_tables(self._batches)
        with explained(self._part, "write"):
            self._writer.write_table(waiting.slice(0, rows).combine_chunks(), row_group_size=ROW_GROUP_ROWS)
        rest = waiting.slice(rows)
        self._batches = [rest] if rest.num_rows else []
        self._waiting = rest.num_rows
        self._written += rows

    def _columns_message(self, found: Iterable[object]) -> str:
        names = {str(name) for name in found}
        missing = sorted(self._names - names)
        unknown = "; ".join(f"unknown column {n!r}, {near_match(n, self._names)}" for n in sorted(names - self._names))
        lacking = f"missing columns: {', '.join(missing)}" if missing else ""
        return f"table {self._table.name!r}: " + "; ".join(part for part in (unknown, lacking) if part)


def _cell(name: str, column: Column, value: object) -> Cell:
    """The value as plain Python, checked; numpy scalars are taken for what they hold."""
    plain = value.item() if isinstance(value, np.generic) else value
    match column.type:
        case ColumnType.REAL if isinstance(plain, float) and math.isfinite(plain):
            return plain  # first, since most cells are
        case ColumnType.TEXT if isinstance(plain, str):
            if column.choices and plain not in column.choices:
                raise ValueError(
                    f"table {name!r}, column {column.name!r}: {str(plain)!r}, {near_match(plain, column.choices)}"
                )
            return str(plain)
        case ColumnType.WHOLE if isinstance(plain, int) and not isinstance(plain, bool):
            return plain
        case ColumnType.FLAG if isinstance(plain, bool):
            return plain
        case ColumnType.REAL if isinstance(plain, int | float) and not isinstance(plain, bool):
            if math.isfinite(plain):
                return float(plain)
            if column.nullable:
                return None
            raise ValueError(f"table {name!r}, column {column.name!r}: {plain} is not finite")
        case ColumnType.REAL if plain is None and column.nullable:
            return None
    raise TypeError(f"table {name!r}, column {column.name!r}: {value!r} is not a {column.type} value")


def _array(name: str, column: Column, series: pd.Series) -> pa.Array:
    """A frame's column as Arrow; the checks of `_cell`, on all rows at once where the types allow it."""
    kind, arrow = series.dtype.kind, ARROW_TYPES[column.type]
    if (column.type, kind) in {(ColumnType.WHOLE, "i"), (ColumnType.WHOLE, "u"), (ColumnType.FLAG, "b")}:
        return pa.array(series.to_numpy(), type=arrow)
    if column.type is ColumnType.REAL and kind == "f" and bool(np.isfinite(series.to_numpy()).all()):
        return pa.array(series.to_numpy(dtype="float64"), type=arrow)
    if column.type is ColumnType.TEXT:
        for value in series.unique():
            _cell(name, column, value)
        return pa.array(series, type=arrow)
    return pa.array([_cell(name, column, value) for value in series], type=arrow)
