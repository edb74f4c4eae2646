"""Vehicles that drive round two blocks of a town that has no map, as a trace of our own format."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from iovsim.domain import FloatArray
from iovsim.mobility.planes import Plane
from iovsim.mobility.samples import Samples
from iovsim.mobility.trace import Covered, write_trace

PLANE = Plane("+proj=utm +zone=10 +datum=WGS84 +units=m +no_defs")
WEST_M, SOUTH_M, BLOCK_M = 551_000.0, 4_180_000.0, 400.0
"""A corner of San Francisco, so that degrees have a place there."""


def write_town(path: Path, vehicles: int = 8, seconds: int = 200, plane: Plane | None = PLANE) -> Path:
    """Vehicles one behind the other along the sides of two squares beside each other, at 10 m/s, from second 0 on."""
    corners = np.array([(0, 0), (2, 0), (2, 1), (1, 1), (1, 0), (0, 0), (0, 1), (1, 1), (1, 0), (0, 0)]) * BLOCK_M
    along_m = np.append(0.0, np.cumsum(np.abs(np.diff(corners, axis=0)).sum(axis=1)))
    behind_m = np.arange(vehicles) * along_m[-1] / vehicles
    names = [f"taxi{number:02}" for number in range(vehicles)]

    def places(second: float) -> tuple[FloatArray, FloatArray]:
        at_m = (10.0 * second + behind_m) % along_m[-1]
        return np.interp(at_m, along_m, corners[:, 0]), np.interp(at_m, along_m, corners[:, 1])

    def samples(second: int) -> Samples:
        (x0, y0), (x1, y1) = places(second), places(second + 0.01)
        angle_deg = np.rad2deg(np.arctan2(x1 - x0, y1 - y0)) % 360.0
        return Samples(
            np.full(vehicles, float(second)), names, WEST_M + x0, SOUTH_M + y0, np.full(vehicles, 10.0), angle_deg
        )

    covered = Covered(plane=plane)
    drive = (samples(second) for second in range(seconds + 1))
    write_trace(path, drive, source="test", net=False, step_s=1.0, covered=lambda: covered)
    return path
