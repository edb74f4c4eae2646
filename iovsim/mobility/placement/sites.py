"""Places become named sites, that lie on the map and apart from each other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from iovsim.errors import ScenarioError
from iovsim.mobility.roadmap import Junction, RoadMap

Place = tuple[float, float]
"""East and north, in metres of the map."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where an RSU stands; what is None is as for all RSUs."""

    rsu: str
    x_m: float
    y_m: float
    range_m: float | None = None
    height_m: float | None = None


def numbered(places: Sequence[Place]) -> tuple[Site, ...]:
    """Sites named `rsu_00`, `rsu_01`, ... in the order given."""
    digits = max(2, len(str(len(places) - 1)))
    return tuple(Site(f"rsu_{number:0{digits}}", x_m, y_m) for number, (x_m, y_m) in enumerate(places))


def check_sites(sites: Sequence[Site], roadmap: RoadMap) -> None:
    """Raise `ScenarioError` at the first site outside the map's bounds."""
    x_min, y_min, x_max, y_max = roadmap.bounds
    for site in sites:
        if not on_map(site, roadmap):
            raise ScenarioError(
                f"RSU {site.rsu!r} at ({site.x_m:g}, {site.y_m:g}) m lies outside the map, which covers x {x_min:g} to "
                f"{x_max:g} m and y {y_min:g} to {y_max:g} m; move it inside."
            )


def on_map(site: Site, roadmap: RoadMap) -> bool:
    """Whether a site lies within the map's bounds."""
    x_min, y_min, x_max, y_max = roadmap.bounds
    return x_min <= site.x_m <= x_max and y_min <= site.y_m <= y_max


def crossings(roadmap: RoadMap) -> tuple[Junction, ...]:
    """The junctions where an RSU may stand: those with signals or at least three roads."""
    return tuple(junction for junction in roadmap.junctions if junction.signals or junction.degree >= 3)


def apart(ranked: Iterable[Place], spacing_m: float, count: int | None) -> list[Place]:
    """The first `count` (None: all) places that lie at least `spacing_m` from those taken before, and elsewhere."""
    taken: list[Place] = []
    for place in ranked:
        if all(far_enough(place, other, spacing_m) for other in taken):
            taken.append(place)
            if len(taken) == count:
                break
    return taken


def far_enough(one: Place, other: Place, spacing_m: float) -> bool:
    """Whether two RSUs may stand there."""
    return one != other and math.dist(one, other) >= spacing_m


def check_count(kind: str, found: int, count: int | None, spacing_m: float) -> None:
    """Raises `ScenarioError` where fewer junctions than wanted were found."""
    if not found or (count is not None and found < count):
        raise ScenarioError(
            f"RSU placement {kind!r}: only {found} junctions lie at least {spacing_m:g} m apart, "
            f"{count or 'at least 1'} wanted; lower count or spacing_m."
        )
