"""Stretches of traffic, and what plain SUMO needs to produce them: the other side of two benchmarks."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from iovsim.bench.rows import Skipped, cpu_s, shared_scenario
from iovsim.mobility.map_store import builtin_maps
from iovsim.mobility.sumo_config import sumo_command, sumo_environment

SEED = 1


@dataclass(frozen=True, slots=True)
class Drive:
    """A stretch of traffic that SUMO produces, RSUs on a grid of its map, and how often it is measured."""

    name: str
    sumocfg: Path
    begin_s: float
    end_s: float
    rsus: int
    range_m: float
    repeats: int

    def plain_s(self) -> float:
        """Processor seconds of SUMO's own program without output."""
        command = [*sumo_command(), "-c", str(self.sumocfg), "--begin", str(self.begin_s), "--end", str(self.end_s)]
        command += ["--seed", str(SEED), "--no-step-log"]
        with tempfile.TemporaryDirectory() as folder:  # a configuration may write outputs where it is run
            return cpu_s(
                lambda: subprocess.run(command, check=True, capture_output=True, env=sumo_environment(), cwd=folder)
            )


def drives(benchmark: str) -> Iterator[Drive | Skipped]:
    """Portside, and ten minutes of Luxembourg's peak where it is here.

    Not its beginning at six: then SUMO reads the net for longer than it drives, which flatters both benchmarks.
    """
    yield Drive("portside", builtin_maps()["portside"].absolute(), 0.0, 600.0, 16, 250.0, 5)
    lust = shared_scenario("lust_luxembourg/lust.sumocfg").absolute()
    if lust.is_file():
        yield Drive("luxembourg", lust, 27900.0, 28500.0, 100, 300.0, 5)
    else:
        yield Skipped(f"{benchmark}/luxembourg", f"no {lust}; set IOVSIM_SHARED to the folder that holds scenarios/")
