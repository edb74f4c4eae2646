"""A road map becomes sites that follow from it alone: at its junctions, or on a square lattice."""

from __future__ import annotations

import math

from iovsim.errors import ScenarioError
from iovsim.mobility.placement.sites import Place, apart, check_count, crossings
from iovsim.mobility.roadmap import RoadMap


def junctions(roadmap: RoadMap, spacing_m: float, count: int | None) -> list[Place]:
    """Junctions with signals first, then by degree, then the nearest to the map's middle. See `place_rsus`."""
    x_min, y_min, x_max, y_max = roadmap.bounds
    middle = ((x_min + x_max) / 2, (y_min + y_max) / 2)
    ranked = sorted(
        crossings(roadmap),
        key=lambda j: (not j.signals, -j.degree, math.dist((j.x_m, j.y_m), middle), j.junction),
    )
    taken = apart(((junction.x_m, junction.y_m) for junction in ranked), spacing_m, count)
    check_count("junctions", len(taken), count, spacing_m)
    return taken


def grid(roadmap: RoadMap, range_m: float, count: int | None, spacing_m: float | None) -> list[Place]:
    """A square lattice in the middle of the map. See `place_rsus`."""
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
