"""What recording costs over plain SUMO without output."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from iovsim.bench.drives import SEED, Drive, drives
from iovsim.bench.rows import Row, Skipped, cpu_s, in_turn
from iovsim.mobility import sumo
from iovsim.mobility.trace import Trace


def rows() -> Iterator[Row | Skipped]:
    """Processor seconds of both, side by side; of ours those of SUMO's process, of the pipe, and of writing count."""
    for drive in drives("record"):
        yield drive if isinstance(drive, Skipped) else recorded(drive)


def recorded(drive: Drive) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)

        def record() -> Path:
            return sumo.record(drive.sumocfg, seed=SEED, begin_s=drive.begin_s, end_s=drive.end_s, cache=cache)

        def record_anew() -> float:
            shutil.rmtree(cache / "traces", ignore_errors=True)
            return cpu_s(record)

        row = in_turn(f"record/{drive.name}", "CPU s", record_anew, drive.plain_s, n=drive.repeats, warm_up=False)
        trace = Trace(record())
        size = trace.path.stat().st_size / (trace.rows * trace.step_s)
    return replace(row, note=f"{size:.1f} bytes a vehicle-second")
