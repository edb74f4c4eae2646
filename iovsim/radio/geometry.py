"""Turns tracks into what a radio filter sees, and declares the three kinds of filter.

Everything is columnar: the samples of all contacts lie end to end, so a model is a few numpy lines whatever the number
of contacts. Contact k owns the samples `offsets[k]:offsets[k + 1]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from iovsim.domain import FloatArray, IntArray

LOS: Final = 0
NLOSV: Final = 1  # a vehicle stands in the way
NLOS: Final = 2  # a building stands in the way

LosArray = NDArray[np.int8]

NEAR_FIELD_M = 1.0
"""3D distances are not let below this: path-loss laws are far-field laws. Ours; an antenna 5 m up is never nearer."""


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """Both ends of links at every sample: an RSU or a vehicle, and a vehicle. All arrays are (n,), but for `offsets`.

    `moved_m` is what was driven since the sample before, by both ends together; 0 at each link's first.
    """

    offsets: IntArray  # (links + 1,)
    time_s: FloatArray
    x0_m: FloatArray
    y0_m: FloatArray
    height0_m: FloatArray
    x1_m: FloatArray
    y1_m: FloatArray
    moved_m: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """Independent standard normals of every sample, (n,) each, by what they decide."""

    los: FloatArray
    blocker: FloatArray
    shadowing: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class LinkGeometry:
    """The samples of every contact, n in all, as a path-loss or shadowing model sees them. All arrays are read-only.

    `distance_2d_m` is on the ground, `distance_3d_m` between the antennas and at least `NEAR_FIELD_M`; `moved_m` is
    what the vehicle drove since the sample before (0 at each contact's first), or, of a link from vehicle to vehicle,
    what both did; what is called the RSU is then the other vehicle. `los` holds `LOS`, `NLOSV` or `NLOS`.
    `blocker` is a standard normal, correlated along the track: how bad the vehicle is that stands in the way.
    """

    offsets: IntArray  # (contacts + 1,)
    time_s: FloatArray  # (n,)
    distance_2d_m: FloatArray  # (n,)
    distance_3d_m: FloatArray  # (n,)
    moved_m: FloatArray  # (n,)
    los: LosArray  # (n,)
    blocker: FloatArray  # (n,)
    rsu_height_m: FloatArray  # (n,)
    vehicle_height_m: float
    carrier_hz: float


class PathLoss(Protocol):
    """Mean loss between isotropic antennas; deterministic, for what is random comes with the geometry."""

    @property
    def environment(self) -> str:
        """Which law splits LOS from NLOSv: a key of `los.P_LOS`."""
        ...

    def loss_db(self, geometry: LinkGeometry) -> FloatArray:
        """Loss in dB, shape (n,)."""
        ...


class Shadowing(Protocol):
    """Slow deviation from the mean loss."""

    def shadow_db(self, geometry: LinkGeometry, noise: FloatArray) -> FloatArray:
        """Extra loss in dB (either sign), shape (n,), from independent standard normals `noise` of shape (n,)."""
        ...


class Fading(Protocol):
    """Fast deviation of the power, with mean 1."""

    def power(self, rng: np.random.Generator, los: LosArray) -> FloatArray:
        """Power factor at each sample of one contact, shape of `los`, drawn from that contact's own stream."""
        ...


def distances_m(x_m: FloatArray, y_m: FloatArray, height_m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """2D and 3D distances of horizontal offsets `x_m, y_m` and height differences `height_m`, all (n,)."""
    flat = np.hypot(x_m, y_m)
    return flat, np.maximum(np.hypot(flat, height_m), NEAR_FIELD_M)


def moved_m(x_m: FloatArray, y_m: FloatArray, offsets: IntArray) -> FloatArray:
    """Metres since the sample before, 0 at each contact's first; all (n,) but `offsets`, (contacts + 1,)."""
    step = np.zeros(len(x_m))
    step[1:] = np.hypot(np.diff(x_m), np.diff(y_m))
    step[offsets[:-1]] = 0.0
    return step
