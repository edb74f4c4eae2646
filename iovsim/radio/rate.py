"""Turns a power gain into a data rate."""

from __future__ import annotations

from typing import overload

import numpy as np

from iovsim.domain import FloatArray


@overload
def rate_bps(
    gain: float,
    bandwidth_hz: float,
    power_w: float,
    noise_w_per_hz: float,
    efficiency: float,
    max_bps_per_hz: float,
) -> float: ...
@overload
def rate_bps(
    gain: FloatArray,
    bandwidth_hz: float,
    power_w: float,
    noise_w_per_hz: float,
    efficiency: float,
    max_bps_per_hz: float,
) -> FloatArray: ...
def rate_bps(
    gain: float | FloatArray,
    bandwidth_hz: float,
    power_w: float,
    noise_w_per_hz: float,
    efficiency: float,
    max_bps_per_hz: float,
) -> float | FloatArray:
    """efficiency * b * min(log2(1 + P g / (N0 b)), max_bps_per_hz): Shannon's rate, less overhead and capped.

    `gain` is a linear power ratio, a number or an array; the result has its shape. `power_w` is what is radiated inside
    `bandwidth_hz`; no bandwidth carries nothing. The cap stands for the highest modulation (7.4 bit/s/Hz: 256-QAM at
    rate 0.93) and `efficiency` for pilots, control and coding loss (0.75, inferred).
    """
    if bandwidth_hz <= 0.0:
        return gain * 0.0
    snr = gain * (power_w / (noise_w_per_hz * bandwidth_hz))
    rate = efficiency * bandwidth_hz * np.minimum(np.log1p(snr) / np.log(2.0), max_bps_per_hz)
    return float(rate) if isinstance(gain, float) else rate
