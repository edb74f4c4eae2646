"""A scenario becomes the ground that its vehicles drive on: roads, buildings, and where on Earth all of it lies.

A SUMO configuration gives all of that. A trace alone gives no more than how far its vehicles drove, and, if it was
imported from degrees or recorded on a net that has a projection, the plane of its metres; a net and buildings may be
named beside it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from iovsim.config import Scenario
from iovsim.errors import ScenarioError, TraceError, located
from iovsim.experiment.batteries import check_batteries
from iovsim.files import sha256_of
from iovsim.mobility import sumo
from iovsim.mobility.map_store import map_config
from iovsim.mobility.planes import Plane, plane_of
from iovsim.mobility.roadmap import VERGE_M, Bounds, RoadMap, check_frame, read_buildings, read_map
from iovsim.mobility.route_check import refuse_ignored_routes
from iovsim.mobility.sumo_config import SumoInputs
from iovsim.mobility.trace import Trace

SMALLEST_M = 10.0
"""No traffic has so little room in both directions; in degrees that of any city has (ours)."""


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What lies under a scenario's traffic; `sumo` is None where it plays on a trace alone."""

    name: str  # of the file that it comes from
    roadmap: RoadMap
    plane: Plane | None  # None: metres are only the map's own
    files: tuple[Path, ...]  # net and buildings
    sumo: SumoInputs | None = None

    @property
    def sha256(self) -> str:
        """Over the content of net and buildings."""
        return hashlib.sha256("".join(sha256_of(file) for file in self.files).encode()).hexdigest()


def ground_of(scenario: Scenario) -> Ground:
    """Reads the files of the scenario's map and looks at the trace that it names, if any.

    Raises `TraceError` for a configuration with broken routes that it has SUMO ignore, unless the scenario accepts
    them, or replays a trace, and for a trace that is not there, is damaged, does not cover [time], has one vehicle, or
    lies in another frame than the map; `ScenarioError` for batteries that SUMO or the net know nothing of, and as
    `read_map` does.
    """
    if scenario.mobility.trace is None:
        return _mapped(scenario)
    named = f"{scenario.where}: key 'mobility.trace'"
    with located(named):
        trace = _given(scenario, scenario.mobility.trace)
        bounds = _checked(trace, scenario)
    ground = _mapped(scenario) if _has_map(scenario) else _alone(scenario, trace, bounds)
    with located(named):
        _check_frame(trace, bounds, ground)
    return ground


def check_here(scenario: Scenario) -> None:
    """Raises `ScenarioError` or `TraceError` where the map or the trace that the scenario names is not here."""
    if _has_map(scenario):
        sumocfg(scenario)
    if scenario.mobility.trace is not None:
        with located(f"{scenario.where}: key 'mobility.trace'"):
            _given(scenario, scenario.mobility.trace)


def sumocfg(scenario: Scenario) -> Path:
    """The SUMO configuration that the scenario names, by file or as a map that is built in or installed."""
    if scenario.mobility.sumocfg is not None:
        return scenario.resolved(scenario.mobility.sumocfg)
    with located(f"{scenario.where}: key 'mobility.map'"):
        return map_config(str(scenario.mobility.map))


def _given(scenario: Scenario, named: Path) -> Trace:
    path = scenario.resolved(named)
    if not path.exists():
        raise TraceError(
            f"{path}: no such trace; make one (`iovsim trace import` or `record`), or say where it lies: "
            "--data mobility.trace=PATH."
        )
    return Trace(path)


def _has_map(scenario: Scenario) -> bool:
    return scenario.mobility.map is not None or scenario.mobility.sumocfg is not None


def _mapped(scenario: Scenario) -> Ground:
    found = sumo.inputs(sumocfg(scenario))
    if not scenario.mobility.ignore_route_errors and scenario.mobility.trace is None:
        refuse_ignored_routes(found)
    check_batteries(scenario, found.net)
    return Ground(found.sumocfg.name, read_map(found), plane_of(found.net), (found.net, *found.additional), found)


def _alone(scenario: Scenario, trace: Trace, bounds: Bounds) -> Ground:
    """Of a trace without a map: with roads where a net is named, else with nothing but room."""
    buildings = _files(scenario, "buildings")
    for net in _files(scenario, "net"):
        return Ground(net.name, read_map(SumoInputs(net, net, (), buildings)), plane_of(net), (net, *buildings))
    west, south, east, north = bounds
    room = west - VERGE_M, south - VERGE_M, east + VERGE_M, north + VERGE_M
    outlines = read_buildings(buildings)
    check_frame(outlines, room, buildings, "trace")
    return Ground(trace.path.name, RoadMap(room, (), (), outlines, ()), trace.plane, buildings)


def _files(scenario: Scenario, key: str) -> tuple[Path, ...]:
    """The file under a key of [mobility], if there is one. Raises `ScenarioError` where it is named and not there."""
    named: Path | None = getattr(scenario.mobility, key)
    if named is None:
        return ()
    path = scenario.resolved(named)
    if not path.is_file():
        raise ScenarioError(f"{scenario.where}: key 'mobility.{key}': {path}: no such file; correct the path.")
    return (path,)


def _checked(trace: Trace, scenario: Scenario) -> Bounds:
    """The trace's bounds, if it can carry the scenario."""
    start_s, end_s = scenario.time.start_s, scenario.time.start_s + scenario.time.duration_s
    if trace.begin_s > start_s or trace.end_s < end_s:
        raise TraceError(
            f"{trace.path}: covers {trace.begin_s:g} s to {trace.end_s:g} s, but the scenario runs from {start_s:g} s "
            f"to {end_s:g} s; change [time] to lie within the trace."
        )
    bounds = trace.bounds()
    west, south, east, north = bounds
    if max(east - west, north - south) < SMALLEST_M:
        raise TraceError(
            f"{trace.path}: all vehicles are between ({west:g}, {south:g}) and ({east:g}, {north:g}), so these look "
            f"like degrees, or nobody moves; metres are needed. `iovsim trace import` turns degrees into metres."
        )
    seen: set[str] = set()
    for block in trace.blocks(start_s, end_s):
        seen.update(block.names[code] for code in np.unique(block.vehicle).tolist())
        if len(seen) > 1:
            return bounds
    who = f"one vehicle, {seen.pop()!r}," if seen else "no vehicle"
    raise TraceError(
        f"{trace.path}: holds {who} from {start_s:g} s to {end_s:g} s; two are needed to learn together. Choose "
        "another [time], or, where there should be more, say which column names them (`iovsim trace import "
        "--map-columns id=...`)."
    )


def _check_frame(trace: Trace, bounds: Bounds, ground: Ground) -> None:
    """Raises `TraceError` for a trace that cannot lie on the map."""
    if trace.plane is not None and ground.plane is not None and trace.plane != ground.plane:
        raise TraceError(
            f"{trace.path}: its metres are those of {trace.plane}, and the map {ground.name} has those of "
            f"{ground.plane}; import it with --net and this net."
        )
    west, south, east, north = bounds
    x_min, y_min, x_max, y_max = ground.roadmap.bounds
    if west > x_max or east < x_min or south > y_max or north < y_min:
        raise TraceError(
            f"{trace.path}: no vehicle comes onto the map {ground.name}: they are between ({west:.0f}, {south:.0f}) m "
            f"and ({east:.0f}, {north:.0f}) m, the map between ({x_min:.0f}, {y_min:.0f}) m and ({x_max:.0f}, "
            f"{y_max:.0f}) m; import it with --net and this net."
        )
