"""An OpenStreetMap extract becomes plain text in a folder, with what has to be known of it before it is converted."""

from __future__ import annotations

import bz2
import gzip
import math
import shutil
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, cast

from iovsim.errors import ScenarioError
from iovsim.files import sha256_of

ROADS = frozenset(
    ["unclassified", "residential", "living_street", "service", "road"]
    + [f"{kind}{link}" for kind in ("motorway", "trunk", "primary", "secondary", "tertiary") for link in ("", "_link")]
)
"""Values of `highway` on which cars drive: https://wiki.openstreetmap.org/wiki/Key:highway."""

KM_PER_DEGREE = 111.32
"""Of latitude, and of longitude at the equator (WGS 84, 40,075 km / 360)."""

Corner = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Extract:
    """Facts of an extract. `bounds_deg` is (south, west, north, east) of its roads.

    `clockwise` and `counter_clockwise` count roundabouts by their direction: in left-hand traffic they are driven
    clockwise, and OpenStreetMap draws one-way roads the way they are driven.
    """

    sha256: str
    bounds_deg: tuple[float, float, float, float]
    roads: int
    buildings: int
    clockwise: int
    counter_clockwise: int

    @property
    def area_km2(self) -> float:
        """Of the rectangle around the roads."""
        south, west, north, east = self.bounds_deg
        wide_km = (east - west) * KM_PER_DEGREE * math.cos(math.radians((south + north) / 2))
        return wide_km * (north - south) * KM_PER_DEGREE

    @property
    def left_hand(self) -> bool | None:
        """On which side one drives, by the majority of the roundabouts; None where they do not tell."""
        return None if self.clockwise == self.counter_clockwise else self.clockwise > self.counter_clockwise


def unpack(file: Path, plain: Path) -> Extract:
    """Write the text of an extract (.osm, .osm.gz, .osm.bz2) to `plain` and read what is in it, without holding it.

    Raises `ScenarioError` for a file that is missing, packed and damaged, not OpenStreetMap XML, or without roads.
    """
    if not file.is_file():
        raise ScenarioError(f"{file}: no such OpenStreetMap extract; name an existing .osm, .osm.gz or .osm.bz2 file.")
    with file.open("rb") as opened:
        head = opened.read(16)
    if b"OSMHeader" in head:
        raise ScenarioError(
            f"{file}: is packed as PBF, which SUMO does not read; run: osmium cat {file} -o FILE.osm.gz"
        )
    try:
        with _opened(file, head) as packed, plain.open("wb") as out:
            shutil.copyfileobj(packed, out, 1 << 20)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ScenarioError(f"{file}: damaged packed file ({error}); fetch it again.") from None
    try:
        return _facts(file, plain)
    except ET.ParseError as error:
        raise ScenarioError(
            f"{file}: not OpenStreetMap XML, or cut off ({error}); export the area again, for example with Overpass or "
            "osmium."
        ) from None


def _opened(file: Path, head: bytes) -> IO[bytes]:
    if head.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(file))
    return bz2.open(file) if head.startswith(b"BZh") else file.open("rb")


def _facts(file: Path, plain: Path) -> Extract:
    """Two passes, since roads come after the nodes by which they are drawn, and most nodes belong to none."""
    roads = buildings = 0
    used: set[str] = set()
    rings: list[list[str]] = []
    for element in _elements(file, plain, "way"):
        tags = {tag.get("k"): tag.get("v") for tag in element.iterfind("tag")}
        buildings += tags.get("building", "no") != "no"
        if tags.get("highway") in ROADS:
            roads += 1
            nodes = [node.get("ref", "") for node in element.iterfind("nd")]
            used.update(nodes)
            if tags.get("junction") in ("roundabout", "circular"):
                rings.append(nodes)
    place: dict[str, Corner] = {}
    south = west = math.inf
    north = east = -math.inf
    ringed = {node for ring in rings for node in ring}
    for element in _elements(file, plain, "node"):
        name = element.get("id", "")
        if name in used:
            lon, lat = _degrees(file, element)
            south, north, west, east = min(south, lat), max(north, lat), min(west, lon), max(east, lon)
            if name in ringed:
                place[name] = lon, lat
    if not roads or south > north:
        raise ScenarioError(
            f"{file}: holds no roads for cars (ways tagged highway=primary, residential and the like); export an area "
            "with roads, and ways together with their nodes."
        )
    turns = [_turn([place[node] for node in ring if node in place]) for ring in rings]
    return Extract(
        sha256=sha256_of(file),
        bounds_deg=(south, west, north, east),
        roads=roads,
        buildings=buildings,
        clockwise=sum(turn < 0 for turn in turns),
        counter_clockwise=sum(turn > 0 for turn in turns),
    )


def _elements(file: Path, plain: Path, tag: str) -> Iterator[ET.Element]:
    """All elements `tag` directly below the root, each forgotten once it has been used."""
    with plain.open("rb") as text:
        events = ET.iterparse(text, ("start", "end"))
        _, root = next(events)
        if root.tag != "osm":
            raise ScenarioError(f"{file}: not OpenStreetMap XML: begins with <{root.tag}>, expected <osm>.")
        for event, element in events:
            if event == "end" and element.tag in ("node", "way", "relation"):
                if element.tag == tag:
                    yield element
                root.clear()


def _degrees(file: Path, node: ET.Element) -> Corner:
    try:
        lon, lat = float(node.get("lon", "")), float(node.get("lat", ""))
    except ValueError:
        lon = lat = math.nan
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise ScenarioError(
            f"{file}: node {node.get('id')!r} has lat={node.get('lat')!r}, lon={node.get('lon')!r}; expected degrees."
        )
    return lon, lat


def _turn(ring: list[Corner]) -> float:
    """Twice the signed area that a path encloses with the line back to its start; above 0: counter-clockwise."""
    if not ring:
        return 0.0
    x0, y0 = ring[0]
    return sum((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0) for (x1, y1), (x2, y2) in pairwise(ring))
