"""Turns distances and buildings into the line-of-sight state of every sample: LOS, NLOSv or NLOS.

3GPP TR 37.885, 6.2 makes two decisions. Whether a *building* blocks (NLOS) is geometry, and so it is here: only where
the map has outlines. Whether a *vehicle* blocks (NLOSv) is a probability that grows with distance:

    urban     P(LOS) = min(1, 1.05 exp(-0.0114 d))
    highway   P(LOS) = min(1, 2.1013e-6 d^2 - 0.002 d + 1.0193) to 475 m, max(0, 0.54 - 0.001 (d - 475)) beyond
    open      P(LOS) = 1 (ours: for models that know no obstacles)

What the law covers: links that no building blocks, vehicle to vehicle; the same table serves RSUs. What it does not:
without outlines an urban map has no NLOS at all and its links are too good around corners, so give `buildings` where
they are known. Nor does it look at the actual traffic: a queue at a red light blocks no more than an empty road.
The state must not flicker from sample to sample. It follows a uniform number that decorrelates with the distance
driven; the correlation distance is a parameter of `Channel` (50 m: 3GPP TR 38.901, table 7.6.3.1-2, LOS state of UMi).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from iovsim.domain import FloatArray
from iovsim.radio.geometry import LOS, NLOS, NLOSV, LosArray


def p_los_urban(distance_2d_m: FloatArray) -> FloatArray:
    """P(LOS) given that no building blocks; TR 37.885, table 6.2-1, urban."""
    return np.minimum(1.0, 1.05 * np.exp(-0.0114 * distance_2d_m))


def p_los_highway(distance_2d_m: FloatArray) -> FloatArray:
    """P(LOS); TR 37.885, table 6.2-1, highway."""
    near = np.minimum(1.0, 2.1013e-6 * distance_2d_m**2 - 0.002 * distance_2d_m + 1.0193)
    far = np.maximum(0.0, 0.54 - 0.001 * (distance_2d_m - 475.0))
    return np.where(distance_2d_m <= 475.0, near, far)


def p_los_open(distance_2d_m: FloatArray) -> FloatArray:
    """P(LOS) = 1 everywhere. Ours."""
    return np.ones_like(distance_2d_m)


P_LOS: Mapping[str, Callable[[FloatArray], FloatArray]] = MappingProxyType(
    {"urban": p_los_urban, "highway": p_los_highway, "open": p_los_open}
)


def los_states(
    environment: str, distance_2d_m: FloatArray, standard_normal: FloatArray, blocked: NDArray[np.bool_]
) -> LosArray:
    """State of each sample, (n,): NLOS where `blocked`, else LOS with probability P(LOS), else NLOSv.

    `environment` is a key of `P_LOS`; `standard_normal` (n,) is the number, correlated along each track, that decides.
    """
    seen = ndtr(standard_normal) < P_LOS[environment](distance_2d_m)
    return np.where(blocked, NLOS, np.where(seen, LOS, NLOSV)).astype(np.int8)
