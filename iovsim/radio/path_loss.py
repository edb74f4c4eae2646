"""Turns the geometry of a link into its mean path loss in dB. Each class is one kind; its fields are its parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from iovsim.domain import FloatArray
from iovsim.radio.checks import choice, number
from iovsim.radio.geometry import NLOS, NLOSV, LinkGeometry
from iovsim.radio.los import P_LOS

SPEED_OF_LIGHT_MPS = 299_792_458.0


@dataclass(frozen=True, slots=True)
class Tr37885Urban:
    """3GPP TR 37.885, table 6.2.1-1, urban, d in m (3D), f in GHz.

        LOS   38.77 + 16.7 log10 d + 18.2 log10 f
        NLOSv LOS + vehicle blockage loss
        NLOS  36.85 + 30 log10 d + 18.9 log10 f

    `blocker_height_m`: 1.6 m is a car or van (types 1 and 2), 3 m a truck (type 3).
    """

    blocker_height_m: float = 1.6

    def __post_init__(self) -> None:
        number(self, "blocker_height_m", 0.5, 5.0)

    @property
    def environment(self) -> str:
        return "urban"

    def loss_db(self, geometry: LinkGeometry) -> FloatArray:
        los = 38.77 + 16.7 * np.log10(geometry.distance_3d_m) + 18.2 * np.log10(geometry.carrier_hz / 1e9)
        return _with_obstacles(los, geometry, self.blocker_height_m)


@dataclass(frozen=True, slots=True)
class Tr37885Highway:
    """3GPP TR 37.885, table 6.2.1-1, highway: LOS is free space, 32.4 + 20 log10 d + 20 log10 f; the rest as urban."""

    blocker_height_m: float = 1.6

    def __post_init__(self) -> None:
        number(self, "blocker_height_m", 0.5, 5.0)

    @property
    def environment(self) -> str:
        return "highway"

    def loss_db(self, geometry: LinkGeometry) -> FloatArray:
        los = 32.4 + 20.0 * np.log10(geometry.distance_3d_m) + 20.0 * np.log10(geometry.carrier_hz / 1e9)
        return _with_obstacles(los, geometry, self.blocker_height_m)


@dataclass(frozen=True, slots=True)
class LogDistance:
    """Free space up to `reference_m`, then 10 `exponent` dB a decade, whatever stands in the way.

    The textbook law (Rappaport, Wireless Communications, 2nd ed., 4.9). 2.75 is a common urban V2I exponent (ours).
    """

    exponent: float = 2.75
    reference_m: float = 1.0
    environment: str = "open"

    def __post_init__(self) -> None:
        number(self, "exponent", 1.0, 8.0)
        number(self, "reference_m", 1e-3, 1e4)
        choice(self, "environment", tuple(P_LOS))

    def loss_db(self, geometry: LinkGeometry) -> FloatArray:
        reference = 20.0 * math.log10(4.0 * math.pi * self.reference_m * geometry.carrier_hz / SPEED_OF_LIGHT_MPS)
        decades = np.log10(geometry.distance_3d_m / self.reference_m)
        loss: FloatArray = reference + np.where(decades > 0.0, 10.0 * self.exponent, 20.0) * decades
        return loss


@dataclass(frozen=True, slots=True)
class AuthorsP1:
    """Gain 1 / (d^2 + 1e-6), d in m on the ground: the law in the published code of the rank-scheduling paper.

    It has no unit-bearing constant (0 dB at 1 m), so its links are some 48 dB better than free space at 5.9 GHz: use it
    only with that code's own noise power, to repeat its figures.
    """

    @property
    def environment(self) -> str:
        return "open"

    def loss_db(self, geometry: LinkGeometry) -> FloatArray:
        return 10.0 * np.log10(geometry.distance_2d_m**2 + 1e-6)


def _with_obstacles(los_db: FloatArray, geometry: LinkGeometry, blocker_height_m: float) -> FloatArray:
    """The loss by state, shared by both TR 37.885 scenarios, from the LOS loss `los_db` (n,)."""
    nlos = 36.85 + 30.0 * np.log10(geometry.distance_3d_m) + 18.9 * np.log10(geometry.carrier_hz / 1e9)
    nlosv = los_db + vehicle_blockage_db(geometry, blocker_height_m)
    return np.select([geometry.los == NLOS, geometry.los == NLOSV], [nlos, nlosv], default=los_db)


def vehicle_blockage_db(geometry: LinkGeometry, blocker_height_m: float) -> FloatArray:
    """Extra loss of a vehicle in the way, dB, (n,): max(0, mean + sigma * blocker); TR 37.885, 6.2.1.

    Both antennas above the blocker: no loss. Both below: mean 9 + max(0, 15 log10 d - 41), sigma 4.5. Otherwise (an RSU
    above, a vehicle below: the usual case here): mean 5 + max(0, 15 log10 d - 41), sigma 4.

    The report calls the term log-normal and cuts it at 0 dB, which only means something for a number that is normal in
    dB; that is how it is read here. ns-3 draws a log-normal number *of decibels* instead, which is never below 0.
    """
    low = np.minimum(geometry.rsu_height_m, geometry.vehicle_height_m)
    high = np.maximum(geometry.rsu_height_m, geometry.vehicle_height_m)
    far = np.maximum(0.0, 15.0 * np.log10(geometry.distance_3d_m) - 41.0)
    both_below = high < blocker_height_m
    loss = np.where(both_below, 9.0, 5.0) + far + np.where(both_below, 4.5, 4.0) * geometry.blocker
    return np.where(low > blocker_height_m, 0.0, np.maximum(0.0, loss))
