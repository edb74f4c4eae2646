"""The name of a way to place RSUs, a map and traffic become sites."""

from __future__ import annotations

from iovsim.errors import ScenarioError, near_match
from iovsim.mobility.placement.centrality import central
from iovsim.mobility.placement.clusters import clustered
from iovsim.mobility.placement.coverage import Blocked, covering
from iovsim.mobility.placement.regular import grid, junctions
from iovsim.mobility.placement.sites import Site, numbered
from iovsim.mobility.placement.traffic import Traffic
from iovsim.mobility.roadmap import RoadMap

PLANNED = ("coverage", "sight", "k-means")
"""Ways that look at traffic."""

KINDS = ("grid", "junctions", "centrality", *PLANNED)


def place_rsus(
    kind: str,
    roadmap: RoadMap,
    *,
    range_m: float,
    count: int | None = None,
    spacing_m: float | None = None,
    traffic: Traffic | None = None,
    blocked: Blocked | None = None,
) -> tuple[Site, ...]:
    """Sites named `rsu_00`, `rsu_01`, ..., the same for the same map and traffic.

    "grid": a square lattice of `spacing_m` (default: the widest that leaves no gap, sqrt(2) range_m; with `count`, the
    near-square lattice of that many cells), centred in the map's bounds. All others stand at junctions with signals or
    three roads, at least `spacing_m` from each other, until there are `count`:
    "junctions": signals first, then by degree, then the nearest to the map's middle (default spacing: `range_m`);
    "centrality": those on most shortest ways first (default spacing: `range_m`; see `centrality.central`);
    "coverage": whichever covers most vehicle time that none covers yet (see `coverage.covering`);
    "sight": the same of vehicle time that no building hides; `blocked` tells of buildings;
    "k-means": the nearest to the middles of `count` clusters of vehicle time (see `clusters.clustered`).

    Raises `ScenarioError` for an unknown kind, a missing count, traffic or buildings, numbers that are not positive, or
    fewer sites than `count`.
    """
    if kind not in KINDS:
        raise ScenarioError(f"RSU placement {kind!r} is unknown; {near_match(kind, KINDS)}")
    for name, value in (("range_m", range_m), ("count", count), ("spacing_m", spacing_m)):
        if value is not None and not value > 0:
            raise ScenarioError(f"RSU placement {kind!r}: {name} is {value}; it must be above 0.")
    if kind == "grid":
        return numbered(grid(roadmap, range_m, count, spacing_m))
    if kind == "junctions":
        return numbered(junctions(roadmap, range_m if spacing_m is None else spacing_m, count))
    if kind == "centrality":
        return numbered(central(roadmap, range_m if spacing_m is None else spacing_m, count))
    if count is None or traffic is None:
        raise ScenarioError(f"RSU placement {kind!r} needs a count and traffic to plan for.")
    if kind == "coverage":
        return numbered(covering(roadmap, traffic, range_m, count, spacing_m or 0.0))
    if kind == "sight":
        if blocked is None:
            raise ScenarioError("RSU placement 'sight' needs buildings; the map has none, so 'coverage' is the same.")
        return numbered(covering(roadmap, traffic, range_m, count, spacing_m or 0.0, blocked))
    return numbered(clustered(roadmap, traffic, count, spacing_m or 0.0))
