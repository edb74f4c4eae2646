"""Degrees become metres: of a UTM zone, or of a SUMO net's own plane, so that positions lie on its roads.

A plane is a projection of PROJ and an offset, as a net's `<location>` states them; PROJ's own error is far below 1 mm.
UTM's scale is 0.9996 at the middle of a zone and 1.001 at its border on the equator: lengths are off by up to 0.1 %.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from iovsim.domain import FloatArray
from iovsim.errors import TraceError
from iovsim.mobility.importers.source import unpacked


@dataclass(frozen=True, slots=True)
class Plane:
    """A projection in PROJ's words, and what is added to its metres."""

    projection: str
    offset_x_m: float = 0.0
    offset_y_m: float = 0.0

    def metres(self, lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Longitudes and latitudes (WGS84, degrees) as metres; infinite where the projection has no place for them."""
        import pyproj  # takes long to import, and most commands need none

        x_m, y_m = pyproj.Proj(self.projection)(lon, lat)
        return np.asarray(x_m) + self.offset_x_m, np.asarray(y_m) + self.offset_y_m

    def __str__(self) -> str:
        offset = f" moved by {self.offset_x_m:g}, {self.offset_y_m:g} m" if self.offset_x_m or self.offset_y_m else ""
        return self.projection + offset


def utm_plane(lon: float, lat: float) -> Plane:
    """The UTM zone of a place; its six degrees, without the exceptions of Norway and Svalbard."""
    zone = int((lon + 180.0) % 360.0 // 6.0) + 1
    return Plane(f"+proj=utm +zone={zone}{' +south' if lat < 0 else ''} +datum=WGS84 +units=m +no_defs")


def net_plane(net: Path) -> Plane:
    """The plane of a SUMO net. Raises `TraceError` for a file that is no net, or a net without projection."""
    plane = plane_of(net)
    if plane is None:
        raise TraceError(
            f"{net}: a net without projection (projParameter '!'): degrees have no place on it. Build it anew from "
            f"OpenStreetMap, or leave the net out to get metres of a UTM zone."
        )
    return plane


def plane_of(net: Path) -> Plane | None:
    """The same; None for a net without projection, whose metres are only its own."""
    with unpacked(net) as file:
        try:
            location = next((e for _, e in ET.iterparse(file, events=("start",)) if e.tag == "location"), None)
        except ET.ParseError as error:
            raise TraceError(f"{net}: broken XML ({error}); name a SUMO net.") from None
    if location is None:
        raise TraceError(f"{net}: not a SUMO road network; expected <net> with a <location>.")
    projection = location.get("projParameter", "!")
    if not projection.startswith("+"):
        return None
    try:
        x_m, y_m = (float(part) for part in location.get("netOffset", "").split(","))
    except ValueError:
        raise TraceError(f"{net}: netOffset {location.get('netOffset')!r} is not a pair of numbers.") from None
    return Plane(projection, x_m, y_m)
