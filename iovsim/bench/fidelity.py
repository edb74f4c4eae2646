"""What SUMO's step and its mesoscopic model cost, and what they change in the contacts of vehicles with RSUs."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
from scipy.stats import ks_2samp

from iovsim.bench.rows import Row, Skipped, cpu_s, shared_scenario
from iovsim.domain import ContactEnd, FloatArray, Rsu
from iovsim.mobility import sumo
from iovsim.mobility.contact_table import ENDS, ContactTable
from iovsim.mobility.contacts import extract
from iovsim.mobility.map_store import builtin_maps
from iovsim.mobility.placement import place_rsus
from iovsim.mobility.roadmap import read_map
from iovsim.mobility.sumo_config import read_config, sumo_command, sumo_environment
from iovsim.mobility.trace import Trace
from iovsim.results.intervals import interval

SEEDS = (1, 2, 3, 4, 5)
REFERENCE = "micro-1s"
UNITS = {"s": "s", "h": "h"}
"""By the end of a figure's name; all others are numbers."""


@dataclass(frozen=True, slots=True)
class Way:
    """How SUMO is run: its step, and whether vehicles move in queues of road segments."""

    name: str
    step_s: float
    mesoscopic: bool


WAYS = (
    Way(REFERENCE, 1.0, False),
    Way("micro-0.1s", 0.1, False),
    Way("micro-0.5s", 0.5, False),
    Way("micro-2s", 2.0, False),
    Way("meso-1s", 1.0, True),
)


@dataclass(frozen=True, slots=True)
class City:
    """Traffic from `begin_s` on, and contacts from `start_s` to `end_s` with RSUs on a grid."""

    name: str
    sumocfg: Path
    begin_s: float
    start_s: float
    end_s: float
    rsus: int
    range_m: float


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What one way shows of a city with one seed. Durations are of whole contacts, neither begun nor cut by time."""

    cpu_s: float  # of SUMO alone, without output
    vehicle_s: float
    vehicles: int
    contacts: int
    connected_s: float
    handovers: int
    durations_s: FloatArray
    gaps_s: FloatArray  # between a vehicle's contacts, unless one hands over to the next

    @property
    def figures(self) -> dict[str, float]:
        """By name: what is compared."""
        short, middle, long = np.quantile(self.durations_s, (0.1, 0.5, 0.9)).tolist()
        return {
            "cpu-s": self.cpu_s,
            "driven-h": self.vehicle_s / 3600.0,
            "contacts-a-vehicle": self.contacts / self.vehicles,
            "contact-mean-s": float(self.durations_s.mean()),
            "contact-p10-s": short,
            "contact-p50-s": middle,
            "contact-p90-s": long,
            "gap-mean-s": float(self.gaps_s.mean()),
            "connected-share": self.connected_s / self.vehicle_s,
            "handovers-a-vehicle-hour": 3600.0 * self.handovers / self.vehicle_s,
        }


def rows() -> Iterator[Row | Skipped]:
    """Each way against microscopic steps of 1 s, on Portside and on Luxembourg's red district."""
    yield from compared(City("portside", builtin_maps()["portside"], 0.0, 300.0, 1200.0, 25, 250.0))
    district = shared_scenario("lust_red_district/lust_red.sumocfg")
    if district.is_file():
        yield from compared(City("red-district", district, 25200.0, 25500.0, 26400.0, 9, 300.0))
    else:
        yield Skipped(
            "fidelity/red-district", f"{district} is not there; set IOVSIM_SHARED to the folder that holds it"
        )


def compared(city: City, seeds: Sequence[int] = SEEDS, ways: Sequence[Way] = WAYS) -> Iterator[Row]:
    """A row for each way and figure: means over the seeds, and the mean of the paired ratios with its 95 % t interval.

    KS distances (the largest difference of two distribution functions) are those of a seed between a way and the
    reference; beside each is the mean distance of the reference from itself with the next seed, which is what chance
    alone gives.
    """
    sites = place_rsus("grid", read_map(sumo.inputs(city.sumocfg)), range_m=city.range_m, count=city.rsus)
    rsus = [Rsu(s.rsu, s.x_m, s.y_m, 5.0, city.range_m, ()) for s in sites]
    by_seed = [{way.name: seen(city, way, seed, rsus) for way in ways} for seed in seeds]  # in turn, so costs compare
    for way in ways:
        if way.name == REFERENCE:
            continue
        for name in by_seed[0][REFERENCE].figures:
            pairs = [(mine[way.name].figures[name], mine[REFERENCE].figures[name]) for mine in by_seed]
            yield _row(f"fidelity/{city.name}/{way.name}/{name}", pairs)
        for what in ("durations_s", "gaps_s"):
            yield _distance(f"fidelity/{city.name}/{way.name}/ks-{what.partition('_')[0]}", by_seed, way.name, what)


def seen(city: City, way: Way, seed: int, rsus: Sequence[Rsu]) -> Seen:
    """Runs SUMO alone, records the same, and finds the contacts."""
    plain_s = cpu_s(lambda: _plain(city, way, seed))
    with tempfile.TemporaryDirectory() as cache:
        trace = Trace(
            sumo.record(
                city.sumocfg,
                seed=seed,
                begin_s=city.begin_s,
                end_s=city.end_s + way.step_s,
                step_s=way.step_s,
                mesoscopic=way.mesoscopic,
                cache=Path(cache),
            )
        )
        samples, names = 0, set[str]()
        for window in trace.windows(begin_s=city.start_s, end_s=city.end_s):
            samples += len(window.time_s)
            names.update(window.names[code] for code in np.unique(window.vehicle).tolist())
        table = extract(trace, rsus, start_s=city.start_s, end_s=city.end_s, hysteresis_m=10.0)
    c = table.columns
    whole = (c.start_s > city.start_s) & (c.end != ENDS.index(ContactEnd.HORIZON))
    return Seen(
        cpu_s=plain_s,
        vehicle_s=samples * way.step_s,
        vehicles=len(names),
        contacts=len(table),
        connected_s=float((c.end_s - c.start_s).sum()),
        handovers=int((c.end == ENDS.index(ContactEnd.HANDOVER)).sum()),
        durations_s=(c.end_s - c.start_s)[whole],
        gaps_s=_gaps_s(table),
    )


def _plain(city: City, way: Way, seed: int) -> None:
    """SUMO's own program, started as for a recording, without output."""
    with tempfile.TemporaryDirectory() as name:
        config = read_config(city.sumocfg)
        options = sumo.options_of(
            config, seed, city.begin_s, city.end_s + way.step_s, way.step_s, way.mesoscopic, False
        )
        command = [*sumo_command(), *sumo.simulation_options(config, Path(name), options)]
        subprocess.run(command, check=True, capture_output=True, env=sumo_environment())


def _gaps_s(table: ContactTable) -> FloatArray:
    c = table.columns
    order = np.lexsort((c.start_s, c.vehicle))
    same = np.diff(c.vehicle[order]) == 0
    gaps_s: FloatArray = (c.start_s[order][1:] - c.end_s[order][:-1])[same]
    return gaps_s[gaps_s > 1e-6]


def _row(name: str, pairs: Sequence[tuple[float, float]]) -> Row:
    ratio, spread = _told([ours / theirs for ours, theirs in pairs if theirs])
    unit = UNITS.get(name.rpartition("-")[2], "1")
    return Row(name, mean(a for a, _ in pairs), mean(b for _, b in pairs), ratio, unit, len(pairs), spread)


def _told(values: Sequence[float]) -> tuple[float | None, str]:
    """Their mean, and its 95 % t interval in words; nothing where there are too few."""
    found = interval(values)
    if found is None or found.half is None:
        return None if found is None else found.mean, ""
    return found.mean, f"{found.mean - found.half:.3g} to {found.mean + found.half:.3g}"


def _distance(name: str, by_seed: Sequence[Mapping[str, Seen]], way: str, what: str) -> Row:
    def distance(one: Seen, other: Seen) -> float:
        return float(ks_2samp(getattr(one, what), getattr(other, what)).statistic)

    distances = [distance(mine[way], mine[REFERENCE]) for mine in by_seed]
    nexts = [*by_seed[1:], by_seed[0]]
    chance = mean(distance(a[REFERENCE], b[REFERENCE]) for a, b in zip(by_seed, nexts, strict=True))
    note = "theirs: two seeds of the reference"
    return Row(name, mean(distances), chance, None, "KS distance", len(by_seed), _told(distances)[1], note)
