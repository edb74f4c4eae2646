"""Decibels to linear and back: the only place where the two meet. Everything inside the package is linear and SI."""

from __future__ import annotations

from typing import overload

import numpy as np
from numpy.typing import NDArray

BOLTZMANN_NOISE_DBM_PER_HZ = -174.0
"""Thermal noise density at 290 K, 10 log10(k T / 1 mW); 3GPP TR 36.814 and every link budget since."""


@overload
def db_to_ratio(value_db: float) -> float: ...
@overload
def db_to_ratio(value_db: NDArray[np.float64]) -> NDArray[np.float64]: ...
def db_to_ratio(value_db: float | NDArray[np.float64]) -> float | NDArray[np.float64]:
    """Power ratio of a value in decibels: 10^(x/10)."""
    return 10.0 ** (value_db / 10.0)


@overload
def ratio_to_db(ratio: float) -> float: ...
@overload
def ratio_to_db(ratio: NDArray[np.float64]) -> NDArray[np.float64]: ...
def ratio_to_db(ratio: float | NDArray[np.float64]) -> float | NDArray[np.float64]:
    """Decibels of a power ratio: 10 log10(x). `ratio` must be positive."""
    if isinstance(ratio, float):
        return float(10.0 * np.log10(ratio))
    result: NDArray[np.float64] = 10.0 * np.log10(ratio)
    return result


def dbm_to_w(power_dbm: float) -> float:
    """Watts of a power in dBm."""
    return db_to_ratio(power_dbm - 30.0)


def noise_w_per_hz(noise_figure_db: float) -> float:
    """Noise power density in W/Hz of a receiver with the given noise figure."""
    return dbm_to_w(BOLTZMANN_NOISE_DBM_PER_HZ + noise_figure_db)
