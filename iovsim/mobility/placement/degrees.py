"""A SUMO net's projection becomes a function from degrees to its metres."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np

from iovsim.domain import FloatArray
from iovsim.mobility.placement.files import Degrees
from iovsim.mobility.sumo_config import read_bytes


def net_degrees(net: Path) -> Degrees | None:
    """None for a net without a projection (`projParameter="!"`), whose metres are only its own."""
    location = ET.fromstring(read_bytes(net)).find("location")
    projection = "!" if location is None else location.get("projParameter", "!")
    if location is None or not projection.startswith("+"):
        return None
    offset_x_m, offset_y_m = (float(part) for part in location.get("netOffset", "0,0").split(","))

    def metres(lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
        import pyproj  # takes long to import, and most placements need none

        x_m, y_m = pyproj.Proj(projection)(lon, lat)
        return np.asarray(x_m) + offset_x_m, np.asarray(y_m) + offset_y_m

    return metres
