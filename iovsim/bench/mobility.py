"""Recording against plain SUMO, and extracting contacts against SUMO producing the traffic."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from iovsim.bench.rows import Row, cpu_s, in_turn
from iovsim.domain import Rsu
from iovsim.mobility import sumo
from iovsim.mobility.contacts import extract
from iovsim.mobility.map_store import builtin_maps
from iovsim.mobility.placement import place_rsus
from iovsim.mobility.roadmap import read_map
from iovsim.mobility.sumo_config import sumo_command, sumo_environment
from iovsim.mobility.trace import Trace

END_S = 600.0
REPEATS = 5


def rows() -> Iterator[Row]:
    """Recording Portside, and finding its contacts with 16 RSUs, each against plain SUMO."""
    config = builtin_maps()["portside"]
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        yield in_turn("record/portside", "CPU s", lambda: _record_s(config, cache), lambda: _plain_s(config), n=REPEATS)
        trace = sumo.record(config, seed=1, end_s=END_S, cache=cache)
        roadmap = read_map(sumo.inputs(config))
        sites = place_rsus("grid", roadmap, range_m=250.0, count=16)
        rsus = [Rsu(s.rsu, s.x_m, s.y_m, 5.0, 250.0, ()) for s in sites]
        yield in_turn(
            "replay/portside",
            "CPU s",
            lambda: cpu_s(lambda: extract(Trace(trace), rsus, hysteresis_m=10.0)),
            lambda: _plain_s(config),
            n=REPEATS,
            faster=True,
        )


def _record_s(config: Path, cache: Path) -> float:
    shutil.rmtree(cache / "traces", ignore_errors=True)
    return cpu_s(lambda: sumo.record(config, seed=1, end_s=END_S, cache=cache))


def _plain_s(config: Path) -> float:
    command = [*sumo_command(), "-c", str(config), "--end", str(END_S), "--seed", "1", "--no-step-log"]
    return cpu_s(lambda: subprocess.run(command, check=True, capture_output=True, env=sumo_environment()))
