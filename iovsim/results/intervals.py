"""Turns a handful of values into a mean with its 95 % interval, and that into text without false precision."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over `n` seeds with half the width of its 95 % interval; no width where n is 1."""

    n: int
    mean: float
    half: float | None


def interval(values: Sequence[float]) -> Interval | None:
    """Mean and half-width of its two-sided 95 % Student t interval: t(0.975, n - 1) * s / sqrt(n).

    None without values; no half-width for one value. Source: Law, Simulation Modeling and Analysis, 5th ed., eq. 4.12;
    on differences it is the paired-t interval of section 10.2.1.
    """
    n = len(values)
    if n == 0:
        return None
    mean = statistics.mean(values)
    if n == 1:
        return Interval(1, mean, None)
    return Interval(n, mean, half_width(statistics.stdev(values), n))


def half_width(deviation: float, n: int) -> float:
    """t(0.975, n - 1) * s / sqrt(n), of `n` values, two or more, with the sample deviation s."""
    return float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2)) * deviation / math.sqrt(n)


def rounded(value: Interval | None, seeds: int, signed: bool = False) -> str:
    """The interval as text: half-width to two significant digits, the mean to the same decimal place.

    Two digits are what the uncertainty of an uncertainty allows (JCGM 100:2008, GUM, 7.2.6). Without a half-width
    there is nothing to round by: three significant digits. The count is added where it is not `seeds`, of which the
    reader knows.
    """
    if value is None:
        return "none"
    sign = "+" if signed else ""
    count = "" if value.n == seeds else f" (n = {value.n})"
    if value.half is None:
        return f"{_fixed(value.mean, _place(value.mean, 3), sign)}{count}"
    place = _place(value.half, 2) if value.half > 0 else _place(value.mean, 3)
    return f"{_fixed(value.mean, place, sign)} ± {_fixed(value.half, place, '')}{count}"


def short(value: float) -> str:
    """A number without an interval: four significant digits at least, and never an exponent for large ones."""
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"


def bounds(low: float, high: float) -> str:
    """Two signed bounds, to two significant digits of half the distance between them."""
    place = _place((high - low) / 2, 2) if high > low else _place(high, 3)
    return f"[{_fixed(low, place, '+')}, {_fixed(high, place, '+')}]"


def _place(value: float, digits: int) -> int:
    """The decimal place (may be negative) that leaves `digits` significant digits of `value`."""
    if value == 0:
        return 0
    leading = int(f"{abs(value):.{digits - 1}e}".split("e")[1])  # after rounding: 0.0999 counts as 0.10
    return digits - 1 - leading


def _fixed(value: float, place: int, sign: str) -> str:
    return f"{round(value, place) + 0.0:{sign}.{max(place, 0)}f}"  # + 0.0: no minus before a zero
