"""Turns white noise along tracks into shadowing in dB. Each class is one kind; its fields are its parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from iovsim.domain import FloatArray
from iovsim.radio.checks import number
from iovsim.radio.correlation import along_tracks
from iovsim.radio.geometry import LOS, NLOS, LinkGeometry


@dataclass(frozen=True, slots=True)
class CorrelatedShadowing:
    """Log-normal shadowing that decorrelates with the distance driven, exp(-d / decorrelation) (Gudmundson 1991).

    Defaults: 3 dB for LOS and NLOSv, 4 dB for NLOS (3GPP TR 37.885, table 6.2.1-1), decorrelation 10 m for LOS and
    13 m otherwise (3GPP TR 38.901, table 7.5-6, UMi, as ns-3 uses them with TR 37.885). For highways TR 36.885, A.1.4
    has 25 m. Links of different contacts are independent, even where two vehicles pass the same spot.
    """

    sigma_los_db: float = 3.0
    sigma_nlos_db: float = 4.0
    decorrelation_los_m: float = 10.0
    decorrelation_nlos_m: float = 13.0

    def __post_init__(self) -> None:
        number(self, "sigma_los_db", 0.0, 20.0)
        number(self, "sigma_nlos_db", 0.0, 20.0)
        number(self, "decorrelation_los_m", 0.1, 1e4)
        number(self, "decorrelation_nlos_m", 0.1, 1e4)

    def shadow_db(self, geometry: LinkGeometry, noise: FloatArray) -> FloatArray:
        decorrelation = np.where(geometry.los == LOS, self.decorrelation_los_m, self.decorrelation_nlos_m)
        sigma = np.where(geometry.los == NLOS, self.sigma_nlos_db, self.sigma_los_db)
        # One standard process, scaled by the state: it stays continuous where the state changes.
        return sigma * along_tracks(noise, geometry.moved_m, geometry.offsets, decorrelation)


@dataclass(frozen=True, slots=True)
class NoShadowing:
    """No shadowing."""

    def shadow_db(self, geometry: LinkGeometry, noise: FloatArray) -> FloatArray:
        return np.zeros_like(noise)
