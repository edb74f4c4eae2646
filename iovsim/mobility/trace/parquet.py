"""Parquet files are opened and read; what is damaged or missing is told in one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from iovsim.errors import TraceError

Range = tuple[float, float]
"""Least and greatest."""

MAGIC = b"PAR1"
"""How every Parquet file begins."""


def open_parquet(path: Path, **options: Any) -> pq.ParquetFile:
    """Raises `TraceError` for a file that is missing, no Parquet, or cut short."""
    if not path.is_file():
        raise TraceError(f"{path}: no such file; record a trace first, or name an existing Parquet file.")
    with reading(path), path.open("rb") as file:
        start = file.read(len(MAGIC))
    if start and start != MAGIC:
        raise TraceError(f"{path}: not a Parquet file, as traces are; `iovsim trace import` makes one of tracks.")
    try:
        return pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False, memory_map=False, **options)
    except (pa.ArrowException, OSError) as error:
        raise TraceError(
            f"{path}: not a complete Parquet file ({_first_line(error)}); SUMO writes it out only at its end, "
            f"so a killed run leaves nothing to read. Record it again."
        ) from None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raises `TraceError` where the block meets damage."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise TraceError(f"{path}: damaged Parquet file ({_first_line(error)}); record it again.") from None


def check_columns(path: Path, held: Sequence[str], needed: Sequence[str]) -> None:
    missing = [name for name in needed if name not in held]
    if missing:
        raise TraceError(f"{path}: column(s) {', '.join(missing)} missing; a trace needs {', '.join(needed)}.")


def column_range(files: Sequence[Path], column: str) -> Range | None:
    """The least and greatest value of a column, by what the files' row groups say; None where one says nothing."""
    low, high = np.inf, -np.inf
    for path in files:
        with open_parquet(path) as file:
            at = file.schema_arrow.names.index(column)
            for number in range(file.num_row_groups):
                held = file.metadata.row_group(number).column(at).statistics
                if held is None or not held.has_min_max:
                    return None
                low, high = min(low, held.min), max(high, held.max)
    return (float(low), float(high)) if low <= high else None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
