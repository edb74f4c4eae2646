"""Turns the files of a SUMO map into plain geometry: roads, junctions, buildings and the bounds of all of it."""

from __future__ import annotations

import io
import math
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

SMALLEST_M = 0.5
"""No building is that small, and in degrees all are (ours)."""

PACKED = {
    b"PK": "a zip archive",
    b"\xfd7zXZ": "an xz archive",
    b"BZh": "a bzip2 file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
}

UTF16 = (b"\xff\xfe", b"\xfe\xff")
"""How XML in two-byte characters begins, which may hold zeros."""

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Location:
    """Where a net lies: `bounds` in its own metres, its projection, and (west, south, east, north) in degrees.

    Without a projection its metres are only its own. Some nets have one, but give their corners in metres.
    """

    bounds: Bounds
    degrees: Bounds | None
    projection: str | None


@dataclass(frozen=True, slots=True)
class Junction:
    """Where roads meet: position, number of distinct neighbouring junctions, and whether it has signals."""

    junction: str
    x_m: float
    y_m: float
    degree: int
    signals: bool


@dataclass(frozen=True, slots=True)
class Street:
    """A road from one junction to the next, one way, that passenger cars may use."""

    begin: str
    end: str
    length_m: float


@dataclass(frozen=True, slots=True, eq=False)
class RoadMap:
    """Geometry in the net's own metres: the coordinates of every trace that SUMO records on it.

    `bounds` is (x_min, y_min, x_max, y_max) of the road network, or, where there is none, of the room that a trace
    takes; then there are neither roads nor junctions. `roads` and `buildings` are arrays (n, 2), a road
    from end to end, a building's outline without repeating its first corner. Junctions are sorted by name.
    """

    bounds: tuple[float, float, float, float]
    roads: tuple[FloatArray, ...]
    junctions: tuple[Junction, ...]
    buildings: tuple[FloatArray, ...]
    streets: tuple[Street, ...]


def read_map(inputs: SumoInputs) -> RoadMap:
    """Read net and buildings (also gzipped).

    Raises `ScenarioError` for a file that is no SUMO net or broken XML, for a net without roads, and for buildings in
    another frame of coordinates than the net.
    """
    net = parse_xml(inputs.net)
    bounds = location_of(net, inputs.net).bounds
    neighbours: dict[str, set[str]] = {}
    roads = []
    streets = []
    for edge in net.iterfind("edge"):
        if edge.get("function", "normal") != "normal":
            continue
        begin, end = edge.get("from", ""), edge.get("to", "")
        neighbours.setdefault(begin, set()).add(end)
        neighbours.setdefault(end, set()).add(begin)
        lanes = edge.findall("lane")
        shape = edge.get("shape") or (lanes[len(lanes) // 2].get("shape") if lanes else None) or ""
        roads.append(_shape(shape, inputs.net))
        if any(_for_cars(lane) for lane in lanes):
            streets.append(Street(begin, end, float(np.hypot(*np.diff(roads[-1], axis=0).T).sum())))
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
    if not roads:
        raise ScenarioError(f"{inputs.net}: a net without roads; convert one that has some.")
    buildings = read_buildings(inputs.additional)
    check_frame(buildings, bounds, inputs.additional, "net")
    return RoadMap(
        bounds=_widened(*bounds),
        roads=tuple(roads),
        junctions=tuple(sorted(junctions, key=lambda junction: junction.junction)),
        buildings=buildings,
        streets=tuple(streets),
    )


def location_of(net: ET.Element, file: Path) -> Location:
    """What a net says of its place. Raises `ScenarioError` for XML that is no net."""
    location = net.find("location")
    if net.tag != "net" or location is None:
        raise ScenarioError(f"{file}: not a SUMO road network; expected <net> with a <location>.")
    projection = location.get("projParameter", "!")
    projected = projection not in ("", "!")
    corners = _four(location, "origBoundary", file) if projected else None
    west, south, east, north = corners or (-math.inf,) * 4
    return Location(
        bounds=_four(location, "convBoundary", file),
        degrees=corners if -180 <= west <= east <= 180 and -90 <= south <= north <= 90 else None,
        projection=projection if projected else None,
    )


def _four(location: ET.Element, name: str, file: Path) -> Bounds:
    text = location.get(name, "")
    try:
        a, b, c, d = (float(part) for part in text.split(","))
    except ValueError:
        raise ScenarioError(f"{file}: its {name}={text!r} is not four numbers; convert the net again.") from None
    return a, b, c, d


def check_frame(buildings: Sequence[FloatArray], bounds: Bounds, named: Sequence[Path], ground: str) -> None:
    """Buildings of another frame block no radio link and nobody would notice: refuse them.

    They are taken for that where none of them stands within `VERGE_M` of the bounds of the `ground` (net or trace), or
    where half of them are smaller than `SMALLEST_M` in both directions, as outlines in degrees are.
    """
    if not buildings:
        return
    low, high = (np.array([reach(b, axis=0) for b in buildings]) for reach in (np.min, np.max))
    mend = "convert the polygons together with the net of these metres (polyconvert --net-file NET)."
    files = ", ".join(map(str, named))
    if np.median((high - low).max(axis=1)) < SMALLEST_M:
        raise ScenarioError(f"{files}: half of the buildings are smaller than {SMALLEST_M:g} m, as in degrees; {mend}")
    x_min, y_min, x_max, y_max = bounds
    near = (high >= (x_min - VERGE_M, y_min - VERGE_M)).all(axis=1) & (low <= (x_max + VERGE_M, y_max + VERGE_M)).all(
        axis=1
    )
    if not near.any():
        x_m, y_m = low[0]
        raise ScenarioError(
            f"{files}: none of the {len(buildings)} buildings stands on the {ground}, which reaches from ({x_min:.0f}, "
            f"{y_min:.0f}) m to ({x_max:.0f}, {y_max:.0f}) m; the first is at ({x_m:.0f}, {y_m:.0f}) m, so they are of "
            f"another frame of coordinates; {mend}"
        )


def _for_cars(lane: ET.Element) -> bool:
    """By the lane's lists of vehicle classes, of which a net gives one or none."""
    allowed, refused = lane.get("allow"), lane.get("disallow", "").split()
    return "passenger" in allowed.split() if allowed not in (None, "all") else not {"passenger", "all"} & set(refused)


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
        for poly in parse_xml(file).iter("poly"):
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


def parse_xml(file: Path) -> ET.Element:
    """The root of a SUMO input (also gzipped). Raises `ScenarioError` for what is no XML, or broken."""
    data = read_bytes(file)
    packed = next((kind for magic, kind in PACKED.items() if data.startswith(magic)), None)
    if packed is not None or (b"\0" in data[:200] and not data.startswith(UTF16)):
        raise ScenarioError(
            f"{file}: {packed or 'binary data'}, and not XML; SUMO and iovsim read XML, plain or as .gz."
        )
    try:
        return ET.parse(io.BytesIO(data)).getroot()
    except ET.ParseError as error:
        raise ScenarioError(f"{file}: broken XML ({error}); repair the file.") from None


def _shape(text: str, file: Path) -> FloatArray:
    try:
        points = [[float(part) for part in point.split(",")[:2]] for point in text.split()]
        return np.array(points, dtype=np.float64).reshape(len(points), 2)
    except ValueError:
        raise ScenarioError(f"{file}: shape {text[:60]!r} is not a list of x,y pairs.") from None
