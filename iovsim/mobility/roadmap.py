"""Turns the files of a SUMO map into plain geometry: roads, junctions, buildings and the bounds of all of it."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from iovsim.domain import FloatArray
from iovsim.errors import ScenarioError
from iovsim.mobility.sumo_config import SumoInputs, read_bytes

VERGE_M = 50.0
"""How far beside a single road the map reaches (ours)."""


@dataclass(frozen=True, slots=True)
class Junction:
    """Where roads meet: position, number of distinct neighbouring junctions, and whether it has signals."""

    junction: str
    x_m: float
    y_m: float
    degree: int
    signals: bool


@dataclass(frozen=True, slots=True, eq=False)
class RoadMap:
    """Geometry in the net's own metres: the coordinates of every trace that SUMO records on it.

    `bounds` is (x_min, y_min, x_max, y_max) of the road network; `roads` and `buildings` are arrays (n, 2), a road
    from end to end, a building's outline without repeating its first corner. Junctions are sorted by name.
    """

    bounds: tuple[float, float, float, float]
    roads: tuple[FloatArray, ...]
    junctions: tuple[Junction, ...]
    buildings: tuple[FloatArray, ...]


def read_map(inputs: SumoInputs) -> RoadMap:
    """Read net and buildings (also gzipped). Raises `ScenarioError` for a file that is no SUMO net or broken XML."""
    net = _parse(inputs.net)
    location = net.find("location")
    if net.tag != "net" or location is None:
        raise ScenarioError(f"{inputs.net}: not a SUMO road network; expected <net> with a <location>.")
    x_min, y_min, x_max, y_max = (float(part) for part in location.get("convBoundary", "").split(","))
    neighbours: dict[str, set[str]] = {}
    roads = []
    for edge in net.iterfind("edge"):
        if edge.get("function", "normal") != "normal":
            continue
        begin, end = edge.get("from", ""), edge.get("to", "")
        neighbours.setdefault(begin, set()).add(end)
        neighbours.setdefault(end, set()).add(begin)
        lanes = edge.findall("lane")
        shape = edge.get("shape") or (lanes[len(lanes) // 2].get("shape") if lanes else None) or ""
        roads.append(_shape(shape, inputs.net))
    junctions = [
        Junction(
            junction=node.get("id", ""),
            x_m=float(node.get("x", "nan")),
            y_m=float(node.get("y", "nan")),
            degree=len(neighbours.get(node.get("id", ""), ())),
            signals=node.get("type", "").startswith("traffic_light"),
        )
        for node in net.iterfind("junction")
        if node.get("type") not in ("internal", "dead_end") and node.get("id") in neighbours
    ]
    return RoadMap(
        bounds=_widened(x_min, y_min, x_max, y_max),
        roads=tuple(roads),
        junctions=tuple(sorted(junctions, key=lambda junction: junction.junction)),
        buildings=read_buildings(inputs.additional),
    )


def _widened(x_min: float, y_min: float, x_max: float, y_max: float) -> tuple[float, float, float, float]:
    """Bounds of a single straight road have no width: RSUs beside it, and districts, need some."""
    dx, dy = (VERGE_M if high - low < VERGE_M else 0.0 for low, high in ((x_min, x_max), (y_min, y_max)))
    return x_min - dx, y_min - dy, x_max + dx, y_max + dy


def read_buildings(additional: Sequence[Path]) -> tuple[FloatArray, ...]:
    """Outlines of all polygons whose type contains "building", as polyconvert names them ("building.yes", ...).

    OpenStreetMap's "building.no" states that there is none. Raises `ScenarioError` for broken XML, a building of
    fewer than three corners, or one in degrees (a SUMO map in metres is needed: polyconvert with --net-file).
    """
    buildings = []
    for file in additional:
        for poly in _parse(file).iter("poly"):
            kind = poly.get("type", "").lower()
            if "building" not in kind or kind == "building.no":
                continue
            if poly.get("geo", "0").lower() in ("1", "true"):
                raise ScenarioError(
                    f"{file}: building {poly.get('id')!r} is given in degrees; convert the polygons to the net's "
                    f"metres (polyconvert --net-file NET)."
                )
            outline = _shape(poly.get("shape", ""), file)
            if len(outline) > 1 and (outline[0] == outline[-1]).all():
                outline = outline[:-1]
            if len(outline) < 3:
                raise ScenarioError(f"{file}: building {poly.get('id')!r} has {len(outline)} corners; 3 are needed.")
            buildings.append(outline)
    return tuple(buildings)


def _parse(file: Path) -> ET.Element:
    try:
        return ET.parse(io.BytesIO(read_bytes(file))).getroot()
    except ET.ParseError as error:
        raise ScenarioError(f"{file}: broken XML ({error}); repair the file.") from None


def _shape(text: str, file: Path) -> FloatArray:
    try:
        points = [[float(part) for part in point.split(",")[:2]] for point in text.split()]
        return np.array(points, dtype=np.float64).reshape(len(points), 2)
    except ValueError:
        raise ScenarioError(f"{file}: shape {text[:60]!r} is not a list of x,y pairs.") from None
