"""Finding contacts in a trace, decoding included, against SUMO producing the traffic; and how its cost grows."""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from iovsim.bench.drives import SEED, Drive, drives
from iovsim.bench.rows import Row, Skipped, cpu_s, in_turn
from iovsim.domain import Rsu
from iovsim.mobility import sumo
from iovsim.mobility.contacts import extract
from iovsim.mobility.placement import place_rsus
from iovsim.mobility.roadmap import read_map
from iovsim.mobility.samples import Samples
from iovsim.mobility.trace import Trace, write_trace
from iovsim.rng import stream

REPEATS = 5
VEHICLES = (100, 300, 1000, 3000, 10000)
RSUS = (64, 256, 1024)
STEPS = 300


def rows() -> Iterator[Row | Skipped]:
    """How many times faster than SUMO, on Portside and Luxembourg; then the growth."""
    for drive in drives("replay"):
        yield drive if isinstance(drive, Skipped) else replayed(drive)
    yield from _growth()


def replayed(drive: Drive) -> Row:
    sites = place_rsus("grid", read_map(sumo.inputs(drive.sumocfg)), range_m=drive.range_m, count=drive.rsus)
    rsus = [Rsu(s.rsu, s.x_m, s.y_m, 5.0, drive.range_m, ()) for s in sites]
    with tempfile.TemporaryDirectory() as folder:
        path = sumo.record(drive.sumocfg, seed=SEED, begin_s=drive.begin_s, end_s=drive.end_s, cache=Path(folder))
        row = in_turn(
            f"replay/{drive.name}",
            "CPU s",
            lambda: _extract_s(path, rsus),
            drive.plain_s,
            n=drive.repeats,
            faster=True,
        )
        trace = Trace(path)
        pace = trace.rows * trace.step_s / row.ours
    return replace(row, note=f"{pace / 1e6:.2f} million vehicle-seconds a second, {len(rsus)} RSUs")


def _growth() -> Iterator[Row]:
    """Fitted exponents of the cost of finding contacts: in vehicles, and in RSUs of which most see no vehicle."""
    with tempfile.TemporaryDirectory() as folder:
        traces = {vehicles: _wander(Path(folder), vehicles) for vehicles in VEHICLES}
        inside = _lattice(RSUS[0])
        yield exponent("replay/growth-vehicles", lambda n: _extract_s(traces[n], inside), VEHICLES)
        most = traces[VEHICLES[-1]]
        yield exponent("replay/growth-rsus", lambda n: _extract_s(most, _lattice(n)), RSUS)


def exponent(name: str, cost_s: Callable[[int], float], sizes: Sequence[int]) -> Row:
    """The slope of log cost over log size, from medians of rounds over all sizes in turn; the first does not count."""
    rounds = [[cost_s(size) for size in sizes] for _ in range(REPEATS + 1)][1:]
    logs = [math.log(size) for size in sizes]
    slopes = [float(np.polyfit(logs, np.log(costs), 1)[0]) for costs in rounds]
    medians = [statistics.median(costs) for costs in zip(*rounds, strict=True)]
    slope = float(np.polyfit(logs, np.log(medians), 1)[0])
    last = math.log(medians[-1] / medians[-2]) / (logs[-1] - logs[-2])  # where fixed costs no longer flatter
    told = ", ".join(f"{n}: {cost:.3g} s" for n, cost in zip(sizes, medians, strict=True))
    told += f"; {last:.3g} between the last two"
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
    """As runs do: the table is made in a folder."""
    with tempfile.TemporaryDirectory() as folder:
        return cpu_s(lambda: extract(Trace(trace), rsus, hysteresis_m=10.0, folder=Path(folder) / "contacts"))
