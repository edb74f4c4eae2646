"""Traces become files that other programs read: SUMO's floating-car data as XML, CSV or Parquet, and plain CSV."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args
from xml.sax.saxutils import quoteattr

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from iovsim.errors import TraceError, near_match
from iovsim.files import whole_file
from iovsim.mobility.trace.fcd import COLUMNS
from iovsim.mobility.trace.trace import Trace, TraceWindow

Format = Literal["fcd-xml", "fcd-csv", "fcd-parquet", "csv"]
FORMATS: tuple[Format, ...] = get_args(Format)
BY_NAME: dict[str, Format] = {".xml": "fcd-xml", ".csv": "csv", ".parquet": "fcd-parquet"}


def export(trace: Trace, path: Path, kind: str | None = None) -> None:
    """Writes `trace` to `path`, whole or not at all; text is packed where the name ends in `.gz`.

    `kind` is one of `FORMATS` (None: as the name ends; `csv` has the columns time_s, vehicle, x_m, y_m, speed_mps and
    angle_deg). Numbers have two decimals, and times three where two do not hold them. Raises `TraceError` for a kind
    that is not known.
    """
    packed = path.suffix == ".gz"
    chosen = kind or BY_NAME.get(path.with_suffix("").suffix if packed else path.suffix)
    if chosen not in FORMATS:
        raise TraceError(f"{path}: cannot tell what to write; {near_match(str(kind or path.suffix), FORMATS)}")
    with whole_file(path) as part:
        if chosen == "fcd-parquet":
            _write_parquet(trace, part)
            return
        with part.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if packed else raw as out:
            text = io.TextIOWrapper(out, encoding="utf-8", write_through=False, newline="\n")
            text.writelines({"fcd-xml": _xml, "fcd-csv": _fcd_csv, "csv": _csv}[chosen](trace))
            text.flush()
            text.detach()


def _xml(trace: Trace) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<fcd-export>\n'
    time = _time_format(trace)
    for window in trace.windows():
        quoted = [quoteattr(name) for name in window.names]
        for time_s, rows in window.steps():
            yield f'    <timestep time="{time_s:{time}}">\n'
            for v, x, y, angle, speed in _numbers(window, rows):
                place = f'x="{x:.2f}" y="{y:.2f}" angle="{angle:.2f}" speed="{speed:.2f}"'
                yield f"        <vehicle id={quoted[v]} {place}/>\n"
            yield "    </timestep>\n"
    yield "</fcd-export>\n"


def _fcd_csv(trace: Trace) -> Iterator[str]:
    """SUMO separates columns by semicolons. https://sumo.dlr.de/docs/Simulation/Output/index.html"""
    yield ";".join(COLUMNS) + "\n"
    time = _time_format(trace)
    for window in trace.windows():
        for time_s, rows in window.steps():
            for v, x, y, angle, speed in _numbers(window, rows):
                yield f"{time_s:{time}};{window.names[v]};{x:.2f};{y:.2f};{angle:.2f};{speed:.2f}\n"


def _csv(trace: Trace) -> Iterator[str]:
    yield "time_s,vehicle,x_m,y_m,speed_mps,angle_deg\n"
    time = _time_format(trace)
    for window in trace.windows():
        names = [_csv_cell(name) for name in window.names]
        for time_s, rows in window.steps():
            for v, x, y, angle, speed in _numbers(window, rows):
                yield f"{time_s:{time}},{names[v]},{x:.2f},{y:.2f},{speed:.2f},{angle:.2f}\n"


def _csv_cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n\r') else text


def _time_format(trace: Trace) -> str:
    return ".2f" if abs(trace.step_s * 100 - round(trace.step_s * 100)) < 1e-6 else ".3f"


def _numbers(window: TraceWindow, rows: slice) -> Iterator[tuple[int, float, float, float, float]]:
    columns = (window.vehicle, window.x_m, window.y_m, window.angle_deg, window.speed_mps)
    return zip(*(column[rows].tolist() for column in columns), strict=True)


def _write_parquet(trace: Trace, path: Path) -> None:
    kinds = (pa.float64(), pa.string(), pa.float64(), pa.float64(), pa.float64(), pa.float64())
    schema = pa.schema(list(zip(COLUMNS, kinds, strict=True)))
    with pq.ParquetWriter(path, schema, compression="zstd") as out:
        for window in trace.windows():
            names = np.array(window.names, dtype=object)[window.vehicle]
            columns = (window.time_s, names, window.x_m, window.y_m, window.angle_deg, window.speed_mps)
            arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
            out.write_table(pa.Table.from_arrays(arrays, schema=schema))
