"""A SUMO configuration becomes the few numbers by which one knows a map."""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from iovsim.errors import TraceError
from iovsim.mobility.roadmap import Location, RoadMap, location_of, parse_xml, read_map
from iovsim.mobility.route_check import BrokenRoutes, broken_routes
from iovsim.mobility.sumo_config import SumoInputs, inputs

DEMAND = re.compile(rb"<(vehicle|trip|flow)[\s>]")


@dataclass(frozen=True, slots=True)
class MapSummary:
    """`demand` counts the elements "vehicle", "trip" and "flow" of the route files; one flow is many vehicles.

    `broken` is None unless the configuration has SUMO ignore errors in routes.
    """

    inputs: SumoInputs
    roadmap: RoadMap
    location: Location
    road_m: float
    demand: Counter[str]
    broken: BrokenRoutes | None


def summarise(sumocfg: Path) -> MapSummary:
    """Raises `TraceError` or `ScenarioError` for whatever is wrong with the configuration and its files."""
    named = inputs(sumocfg)
    roadmap = read_map(named)
    return MapSummary(
        inputs=named,
        roadmap=roadmap,
        location=location_of(parse_xml(named.net), named.net),
        road_m=sum(float(np.hypot(*(b - a))) for road in roadmap.roads for a, b in pairwise(road)),
        demand=_demand(named.routes),
        broken=broken_routes(named) if named.ignores_route_errors else None,
    )


def _demand(routes: Iterable[Path]) -> Counter[str]:
    """Line by line, since route files may be larger than memory."""
    counts: Counter[str] = Counter()
    for path in routes:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        try:
            with gzip.open(path) if packed else path.open("rb") as lines:
                for line in lines:
                    counts.update(match.decode() for match in DEMAND.findall(line))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise TraceError(f"{path}: damaged gzip file ({error}).") from None
    return counts
