"""What the commands that make traces share: their options, a place for the trace, and the table of what it holds."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from iovsim.errors import TraceError

if TYPE_CHECKING:
    from iovsim.mobility.samples import Samples
    from iovsim.mobility.trace import Covered

OutOption = Annotated[Path, typer.Option("--out", "-o", help="The trace: a new folder, or a file ending in .parquet.")]


def store(
    out: Path,
    samples: Iterable[Samples],
    *,
    source: str,
    net: bool,
    step_s: float | None,
    covered: Callable[[], Covered],
) -> None:
    """The new trace, and what it holds; where anything goes wrong, nothing of it is left."""
    from iovsim.mobility.trace import write_trace

    check_place(out)
    try:
        write_trace(out, samples, source=source, net=net, step_s=step_s, covered=covered)
    except BaseException:
        if out.is_dir():
            shutil.rmtree(out)
        raise
    show(out)


def check_place(out: Path) -> None:
    """Before anything is read: the trace must have a place of its own."""
    if out.suffix not in ("", ".parquet"):
        raise TraceError(f"--out {out}: a trace is a folder or a Parquet file; let the name end in '.parquet'.")
    if out.suffix == ".parquet" and out.is_dir():
        raise TraceError(f"--out {out}: this is a folder; name a file, or a folder without the ending .parquet.")
    if not out.suffix and out.is_file():
        raise TraceError(f"--out {out}: this is a file; name a new folder, or a file that ends in .parquet.")
    if out.is_dir() and any(out.iterdir()):
        raise TraceError(f"--out {out}: this folder is not empty; a trace needs one of its own. Name another.")


def parse_box(text: str | None) -> tuple[float, float, float, float] | None:
    """`west,south,east,north` as numbers. Raises `TraceError` where it is something else."""
    if text is None:
        return None
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        west, south, east, north = 1.0, 1.0, 0.0, 0.0
    if not (west < east and south < north):
        raise TraceError(f"--box {text!r}: write west,south,east,north, for example 0,0,1500,1000 (metres).")
    return west, south, east, north


def show(path: Path) -> None:
    """Print what a trace holds."""
    from iovsim.mobility.trace import Trace

    summary = Trace(path).summary()
    table = Table("what", "value", title=f"trace {path}", title_justify="left")
    for name, value in (
        ("begin", f"{summary.begin_s:g} s"),
        ("end", f"{summary.end_s:g} s" if summary.complete else f"{summary.end_s:g} s: recording is unfinished"),
        ("step", f"{summary.step_s:g} s"),
        ("vehicles", f"{summary.vehicles}"),
        ("most vehicles at once", f"{summary.peak_vehicles}"),
        ("vehicle-seconds", f"{summary.vehicle_s:.0f}"),
        ("mean speed", f"{summary.mean_speed_mps:.2f} m/s"),
        ("size", f"{summary.bytes / 1e6:.2f} MB, {summary.bytes / summary.vehicle_s:.1f} bytes a vehicle-second"),
        ("source", summary.source),
        ("coordinates", "of a SUMO net" if summary.net else "of no SUMO net"),
        ("plane", f"{summary.plane}" if summary.plane else "not known"),
        *((f"source: {what}", f"{times}") for what, times in sorted(summary.counts.items())),
        *((f"read: {what}", f"{times}") for what, times in sorted(summary.repairs.counts.items())),
    ):
        table.add_row(name, value)
    Console().print(table)
