"""Recording against plain SUMO, extracting contacts against SUMO producing the traffic, and how both grow."""

from __future__ import annotations

import math
import os
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from iovsim.bench.rows import Row, Skipped, cpu_s, in_turn
from iovsim.domain import Rsu
from iovsim.mobility import sumo
from iovsim.mobility.contacts import extract
from iovsim.mobility.map_store import builtin_maps
from iovsim.mobility.placement import place_rsus
from iovsim.mobility.roadmap import read_map
from iovsim.mobility.samples import Samples
from iovsim.mobility.sumo_config import sumo_command, sumo_environment
from iovsim.mobility.trace import Trace, write_trace
from iovsim.rng import stream

REPEATS = 5
VEHICLES = (100, 300, 1000, 3000, 10000)
RSUS = (64, 256, 1024)
STEPS = 300


@dataclass(frozen=True, slots=True)
class Drive:
    """A stretch of traffic that SUMO produces, and RSUs on its map."""

    name: str
    sumocfg: Path
    begin_s: float
    end_s: float
    rsus: int
    range_m: float
    repeats: int


def rows() -> Iterator[Row | Skipped]:
    """Recording and finding contacts, on Portside and Luxembourg, each against plain SUMO; then the growth."""
    lust = Path(os.environ.get("IOVSIM_SHARED", "../shared")) / "scenarios" / "lust_luxembourg" / "lust.sumocfg"
    yield from _drive(Drive("portside", builtin_maps()["portside"], 0.0, 600.0, 16, 250.0, REPEATS))
    if lust.is_file():
        yield from _drive(Drive("luxembourg", lust, 21600.0, 22800.0, 100, 300.0, 3))
    else:
        for part in ("record", "replay"):
            yield Skipped(f"{part}/luxembourg", f"{lust} is not there; set IOVSIM_SHARED to the folder that holds it")
    yield from _growth()


def _drive(drive: Drive) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)

        def record() -> Path:
            return sumo.record(drive.sumocfg, seed=1, begin_s=drive.begin_s, end_s=drive.end_s, cache=cache)

        def record_anew() -> float:
            shutil.rmtree(cache / "traces", ignore_errors=True)
            return cpu_s(record)

        row = in_turn(f"record/{drive.name}", "CPU s", record_anew, lambda: _plain_s(drive), n=drive.repeats)
        trace = Trace(record())
        size = trace.path.stat().st_size / (trace.rows * trace.step_s)
        yield replace(row, note=f"{size:.1f} bytes a vehicle-second")

        roadmap = read_map(sumo.inputs(drive.sumocfg))
        sites = place_rsus("grid", roadmap, range_m=drive.range_m, count=drive.rsus)
        rsus = [Rsu(s.rsu, s.x_m, s.y_m, 5.0, drive.range_m, ()) for s in sites]
        row = in_turn(
            f"replay/{drive.name}",
            "CPU s",
            lambda: _extract_s(trace.path, rsus),
            lambda: _plain_s(drive),
            n=drive.repeats,
            faster=True,
        )
        pace = trace.rows * trace.step_s / row.ours
        yield replace(row, note=f"{pace / 1e6:.2f} million vehicle-seconds a second, {len(rsus)} RSUs")


def _growth() -> Iterator[Row]:
    """Fitted exponents of the cost of finding contacts: in vehicles, and in RSUs of which most see no vehicle."""
    with tempfile.TemporaryDirectory() as folder:
        traces = {vehicles: _wander(Path(folder), vehicles) for vehicles in VEHICLES}
        inside = _lattice(RSUS[0])
        yield _exponent("replay/growth-vehicles", lambda n: _extract_s(traces[n], inside), VEHICLES)
        most = traces[VEHICLES[-1]]
        yield _exponent("replay/growth-rsus", lambda n: _extract_s(most, _lattice(n)), RSUS)


def _exponent(name: str, cost_s: Callable[[int], float], sizes: Sequence[int]) -> Row:
    """The slope of log cost over log size, from medians of rounds over all sizes in turn; the first does not count."""
    rounds = [[cost_s(size) for size in sizes] for _ in range(REPEATS + 1)][1:]
    logs = [math.log(size) for size in sizes]
    slopes = [float(np.polyfit(logs, np.log(costs), 1)[0]) for costs in rounds]
    medians = [statistics.median(costs) for costs in zip(*rounds, strict=True)]
    slope = float(np.polyfit(logs, np.log(medians), 1)[0])
    told = ", ".join(f"{n}: {cost:.3g} s" for n, cost in zip(sizes, medians, strict=True))
    return Row(name, slope, None, None, "exponent", REPEATS, f"{min(slopes):.3g} to {max(slopes):.3g}", told)


def _wander(folder: Path, vehicles: int) -> Path:
    """Vehicles that drive about at 10 m/s in a square of 4 km, a new direction every half minute."""
    rng = stream(1, "bench wander", vehicles)
    x_m, y_m = rng.uniform(0.0, 4000.0, (2, vehicles))
    names = [f"v{v}" for v in range(vehicles)]
    samples = []
    for step in range(STEPS):
        if step % 30 == 0:
            angle = rng.uniform(0.0, 2 * np.pi, vehicles)
            angle = np.where(np.hypot(x_m - 2000, y_m - 2000) > 1900, np.arctan2(2000 - x_m, 2000 - y_m), angle)
        samples.append(
            Samples(np.full(vehicles, float(step)), names, x_m, y_m, np.full(vehicles, 10.0), np.rad2deg(angle))
        )
        x_m, y_m = x_m + 10 * np.sin(angle), y_m + 10 * np.cos(angle)
    path = folder / f"{vehicles}.parquet"
    write_trace(path, samples, source="benchmark", net=False, step_s=1.0)
    return path


def _lattice(count: int) -> list[Rsu]:
    """RSUs 500 m apart, the first 64 over the square of `_wander`."""
    side = math.isqrt(count)
    return [
        Rsu(f"r{k:05d}", 250.0 + 500.0 * (k % side), 250.0 + 500.0 * (k // side), 5.0, 250.0, ()) for k in range(count)
    ]


def _extract_s(trace: Path, rsus: Sequence[Rsu]) -> float:
    return cpu_s(lambda: extract(Trace(trace), rsus, hysteresis_m=10.0))


def _plain_s(drive: Drive) -> float:
    command = [*sumo_command(), "-c", str(drive.sumocfg), "--begin", str(drive.begin_s), "--end", str(drive.end_s)]
    command += ["--seed", "1", "--no-step-log"]
    with tempfile.TemporaryDirectory() as folder:  # a configuration may write outputs where it is run
        return cpu_s(
            lambda: subprocess.run(command, check=True, capture_output=True, env=sumo_environment(), cwd=folder)
        )
