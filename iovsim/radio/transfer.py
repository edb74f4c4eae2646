"""Turns a sampled rate into the end of a transfer, exactly.

The rate is linear between samples (zero outside them), so what is carried is quadratic on each piece: the integral is
the trapezoid rule without error, and its inverse is a root of a quadratic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from iovsim.domain import FloatArray


@dataclass(frozen=True, slots=True)
class Transfer:
    """From `start_s` to `end_s`, `bits` were carried; `completed` if that is all that was asked."""

    start_s: float
    end_s: float
    bits: float
    completed: bool

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


def transfer(time_s: FloatArray, rate_bps: FloatArray, start_s: float, bits: float, limit_s: float) -> Transfer:
    """Sends `bits` from `start_s` on, at the rate `rate_bps` sampled at `time_s` (both (n,), n >= 2, times ascending).

    It ends when all is carried, or at `limit_s` (end of contact or deadline) with what was carried until then; nothing
    to send, or a limit that is already past, ends at once. Raises `ValueError` for a number of bits below 0 or NaN.
    """
    if not bits >= 0.0:
        raise ValueError(f"cannot send {bits} bits")
    if bits == 0.0:
        return Transfer(start_s, start_s, 0.0, True)
    begin, end = max(start_s, float(time_s[0])), min(limit_s, float(time_s[-1]))
    if begin >= end:
        return Transfer(start_s, max(start_s, limit_s), 0.0, False)
    inner = slice(time_s.searchsorted(begin, side="right"), time_s.searchsorted(end, side="left"))
    first, last = np.interp([begin, end], time_s, rate_bps)
    knots = np.concatenate([[begin], time_s[inner], [end]])
    rates = np.concatenate([[first], rate_bps[inner], [last]])
    carried = np.concatenate([[0.0], np.cumsum((knots[1:] - knots[:-1]) * (rates[:-1] + rates[1:]) / 2.0)])
    k = int(carried.searchsorted(bits, side="left"))  # the first knot by which all is carried
    if k == len(carried):
        return Transfer(start_s, limit_s, float(carried[-1]), False)
    within = _time_to_carry(
        bits - float(carried[k - 1]), float(rates[k - 1]), float(rates[k]), float(knots[k] - knots[k - 1])
    )
    return Transfer(start_s, min(float(knots[k - 1]) + within, float(knots[k])), bits, True)


def transfer_s(bits: float, rate_bps: float) -> float:
    """Seconds that `bits` take at a constant rate; infinite at rate 0, for estimates."""
    if bits <= 0.0:
        return 0.0
    return bits / rate_bps if rate_bps > 0.0 else math.inf


def _time_to_carry(bits: float, rate0_bps: float, rate1_bps: float, span_s: float) -> float:
    """The t with rate0 t + slope t^2 / 2 = bits, on a piece of length `span_s`.

    The root is written with the sum below, 2 bits / (rate0 + sqrt(rate0^2 + 2 slope bits)), where the textbook form
    loses all digits as the slope goes to 0. Rounding may push the discriminant below 0 where the rate ends at 0.
    """
    slope = (rate1_bps - rate0_bps) / span_s
    root = math.sqrt(max(0.0, rate0_bps**2 + 2.0 * slope * bits))
    return 2.0 * bits / (rate0_bps + root)
