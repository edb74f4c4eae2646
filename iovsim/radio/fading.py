"""Turns a contact's own random stream into small-scale fading: a power factor with mean 1 at each sample.

A sample stands for about a second, far longer than the coherence time (about 0.42 c / (f v): 1.5 ms at 14 m/s and
5.9 GHz, Clarke's model), and a packet is coded and repeated over many such blocks. So each sample is the *mean* of
`blocks_per_sample` independent blocks; the default of 10 is ours, well on the careful side of the hundreds that one
second holds, since blocks in one resource block or beam are not independent. 1 gives plain block fading. Averaging the
power rather than the rate overstates the rate a little (the logarithm is concave), less the fewer blocks there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from iovsim.domain import FloatArray
from iovsim.radio.checks import number
from iovsim.radio.geometry import LOS, LosArray
from iovsim.units import db_to_ratio

MOST_BLOCKS = 100_000


@dataclass(frozen=True, slots=True)
class RayleighFading:
    """No dominant path. The mean of n unit exponentials is Gamma(n, 1/n): mean 1, variance 1/n."""

    blocks_per_sample: int = 10

    def __post_init__(self) -> None:
        number(self, "blocks_per_sample", 1, MOST_BLOCKS, whole=True)

    def power(self, rng: np.random.Generator, los: LosArray) -> FloatArray:
        n = self.blocks_per_sample
        return rng.gamma(n, 1.0 / n, size=len(los))


@dataclass(frozen=True, slots=True)
class RicianFading:
    """A dominant path of K times the scattered power where there is line of sight, Rayleigh elsewhere.

    The mean of n blocks is noncentral chi-squared, 2n degrees of freedom, noncentrality 2nK, over 2n(K + 1): mean 1,
    variance (1 + 2K) / (n (1 + K)^2). `k_db` is the K factor in dB; the default is ours, between Rayleigh and calm.
    """

    k_db: float = 6.0
    blocks_per_sample: int = 10

    def __post_init__(self) -> None:
        number(self, "k_db", -30.0, 40.0)
        number(self, "blocks_per_sample", 1, MOST_BLOCKS, whole=True)

    def power(self, rng: np.random.Generator, los: LosArray) -> FloatArray:
        n = self.blocks_per_sample
        k = np.where(los == LOS, db_to_ratio(self.k_db), 0.0)
        return rng.noncentral_chisquare(2 * n, 2 * n * k) / (2 * n * (k + 1.0))


@dataclass(frozen=True, slots=True)
class NoFading:
    """No fading: 1 everywhere."""

    def power(self, rng: np.random.Generator, los: LosArray) -> FloatArray:
        return np.ones(len(los))
