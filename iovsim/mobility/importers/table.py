"""Delimited text, gzipped or not, becomes a stream of batches of the columns that are wanted."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from iovsim.errors import TraceError
from iovsim.mobility.importers.source import head, unpacked

BLOCK_BYTES = 4 << 20
DELIMITERS = (",", ";", "\t", "|", " ")
NO_NUMBER = ["", "nan", "NaN", "NAN", "null", "NULL", "None", "NA", "N/A"]


def csv_header(path: Path) -> tuple[list[str], str]:
    """The fields of the first line and what separates them: the first of comma, semicolon, tab, bar, space in it."""
    lines = head(path).splitlines()
    if not lines or not lines[0].strip():
        raise TraceError(f"{path}: begins with an empty line; a table begins with the names of its columns.")
    delimiter = next((mark for mark in DELIMITERS if mark in lines[0]), ",")
    return [name.strip() for name in next(csv.reader(lines[:1], delimiter=delimiter))], delimiter


def csv_batches(
    path: Path, types: Mapping[str, pa.DataType], delimiter: str, names: list[str], *, headed: bool
) -> Iterator[pa.RecordBatch]:
    """Batches of the columns of `types`, which are among the `names` of all; `headed`: the first line has names.

    Empty fields and what stands for "none" are null. Raises `TraceError` for rows and values of another form.
    """
    reading = pa_csv.ReadOptions(block_size=BLOCK_BYTES, column_names=names, skip_rows=int(headed), use_threads=False)
    parsing = pa_csv.ParseOptions(delimiter=delimiter)
    converting = pa_csv.ConvertOptions(
        include_columns=list(types), column_types=dict(types), strings_can_be_null=True, null_values=NO_NUMBER
    )
    with unpacked(path) as file:
        try:
            with pa_csv.open_csv(file, reading, parsing, converting) as reader:
                yield from reader
        except pa.ArrowInvalid as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise TraceError(f"{path}: {reason}; repair the row, or correct --map-columns.") from None
