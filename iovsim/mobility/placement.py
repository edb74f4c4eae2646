"""Turns a road map into RSU sites: at junctions, on a grid, or checked where the user has put them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from iovsim.errors import ScenarioError, near_match
from iovsim.mobility.roadmap import RoadMap

KINDS = ("grid", "junctions")


@dataclass(frozen=True, slots=True)
class Site:
    """Where an RSU stands."""

    rsu: str
    x_m: float
    y_m: float


def place_rsus(
    kind: str, roadmap: RoadMap, *, range_m: float, count: int | None = None, spacing_m: float | None = None
) -> tuple[Site, ...]:
    """Sites named `rsu_00`, `rsu_01`, ..., the same for the same map. No randomness.

    "junctions": take junctions one by one, signals first, then by degree, then the nearest to the map's middle, each
    at least `spacing_m` (default: `range_m`) from those taken, until there are `count` (default: no more fit).
    "grid": a square lattice of `spacing_m` (default: the widest that leaves no gap, sqrt(2) range_m; with `count`, the
    near-square lattice of that many cells), centred in the map's bounds.

    Raises `ScenarioError` for an unknown kind, numbers that are not positive, or fewer sites than `count`.
    """
    if kind not in KINDS:
        raise ScenarioError(f"RSU placement {kind!r} is unknown; {near_match(kind, KINDS)}")
    for name, value in (("range_m", range_m), ("count", count), ("spacing_m", spacing_m)):
        if value is not None and not value > 0:
            raise ScenarioError(f"RSU placement {kind!r}: {name} is {value}; it must be above 0.")
    if kind == "junctions":
        places = _junctions(roadmap, range_m if spacing_m is None else spacing_m, count)
    else:
        places = _grid(roadmap, range_m, count, spacing_m)
    digits = max(2, len(str(len(places) - 1)))
    return tuple(Site(f"rsu_{number:0{digits}}", x_m, y_m) for number, (x_m, y_m) in enumerate(places))


def check_sites(sites: Sequence[Site], roadmap: RoadMap) -> None:
    """Raise `ScenarioError` at the first site outside the map's bounds."""
    x_min, y_min, x_max, y_max = roadmap.bounds
    for site in sites:
        if not (x_min <= site.x_m <= x_max and y_min <= site.y_m <= y_max):
            raise ScenarioError(
                f"RSU {site.rsu!r} at ({site.x_m:g}, {site.y_m:g}) m lies outside the map, which covers x {x_min:g} to "
                f"{x_max:g} m and y {y_min:g} to {y_max:g} m; move it inside."
            )


def _junctions(roadmap: RoadMap, spacing_m: float, count: int | None) -> list[tuple[float, float]]:
    x_min, y_min, x_max, y_max = roadmap.bounds
    middle = ((x_min + x_max) / 2, (y_min + y_max) / 2)
    ranked = sorted(
        (j for j in roadmap.junctions if j.signals or j.degree >= 3),
        key=lambda j: (not j.signals, -j.degree, math.dist((j.x_m, j.y_m), middle), j.junction),
    )
    taken: list[tuple[float, float]] = []
    for junction in ranked:
        place = (junction.x_m, junction.y_m)
        if all(math.dist(place, other) >= spacing_m for other in taken):
            taken.append(place)
            if len(taken) == count:
                break
    if not taken or (count is not None and len(taken) < count):
        raise ScenarioError(
            f"RSU placement 'junctions': only {len(taken)} junctions lie at least {spacing_m:g} m apart, "
            f"{count or 'at least 1'} wanted; lower count or spacing_m."
        )
    return taken


def _grid(roadmap: RoadMap, range_m: float, count: int | None, spacing_m: float | None) -> list[tuple[float, float]]:
    x_min, y_min, x_max, y_max = roadmap.bounds
    width_m, height_m = x_max - x_min, y_max - y_min
    if count is not None and spacing_m is None:
        rows = min(count, max(1, round(math.sqrt(count * height_m / width_m))))
        shares = [(row + 1) * count // rows - row * count // rows for row in range(rows)]
        return [
            (x_min + (column + 0.5) * width_m / share, y_min + (row + 0.5) * height_m / rows)
            for row, share in enumerate(shares)
            for column in range(share)
        ]
    step_m = math.sqrt(2.0) * range_m if spacing_m is None else spacing_m
    places = [
        (x_m, y_m)
        for y_m in _centred(y_min, y_max, step_m, spacing_m)
        for x_m in _centred(x_min, x_max, step_m, spacing_m)
    ]
    if count is None:
        return places
    if len(places) < count:
        raise ScenarioError(
            f"RSU placement 'grid': {len(places)} sites fit at {step_m:g} m, {count} wanted; lower count or spacing_m."
        )
    middle = ((x_min + x_max) / 2, (y_min + y_max) / 2)
    nearest = sorted(places, key=lambda place: (math.dist(place, middle), place[1], place[0]))[:count]
    return sorted(nearest, key=lambda place: (place[1], place[0]))


def _centred(low: float, high: float, step_m: float, spacing_m: float | None) -> list[float]:
    """Points `step_m` apart about the middle; without a wanted spacing, as many as cover the span, drawn together."""
    if spacing_m is None:
        points = max(1, math.ceil((high - low) / step_m))
        step_m = (high - low) / points
    else:
        points = max(1, math.floor((high - low) / step_m + 1e-9))
    return [(low + high) / 2 + (point - (points - 1) / 2) * step_m for point in range(points)]
