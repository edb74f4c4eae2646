"""Turns what is known of a vehicle's motion at an instant into a prediction of when it leaves, and where it goes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from iovsim.domain import Contact, Forecast, Rsu
from iovsim.errors import ScenarioError


@dataclass(frozen=True, slots=True)
class HeadingForecast:
    """The vehicle keeps its present velocity until it reaches the RSU's range.

    Reads nothing after the last track sample at or before the instant asked for. Straight lines have no end for a
    vehicle that stands, so every forecast is capped at `horizon_s` (ours: 300 s, a long red phase and more than any
    round); a vehicle outside the range (inside the hysteresis margin) that does not approach gets 0.
    """

    horizon_s: float = 300.0

    def __post_init__(self) -> None:
        if not 0 < self.horizon_s < float("inf"):
            raise ScenarioError(f"horizon_s = {self.horizon_s:g}: must be positive and finite.")

    def residual_s(self, contact: Contact, rsu: Rsu, time_s: float) -> float:
        """Seconds from `time_s` until range_m is reached, in [0, horizon_s]. Raises `ValueError` before the contact."""
        qx, qy, vx, vy = _motion(contact, time_s)
        if vx * vx + vy * vy == 0.0:
            return self.horizon_s if (qx - rsu.x_m) ** 2 + (qy - rsu.y_m) ** 2 <= rsu.range_m**2 else 0.0
        inside = _inside_s(qx - rsu.x_m, qy - rsu.y_m, vx, vy, rsu.range_m)
        return float(min(max(inside[1], 0.0), self.horizon_s)) if inside is not None else 0.0

    def next_rsu(
        self, contact: Contact, rsus: Sequence[Rsu], later: Sequence[Contact], time_s: float
    ) -> tuple[str, float] | None:
        """The other RSU in whose range the straight line first is once it has left its own, within `horizon_s`.

        Where ranges overlap, that is at once. A vehicle that stands will come to none, nor will one whose own RSU is
        not among `rsus`. Raises `ValueError` before the contact.
        """
        qx, qy, vx, vy = _motion(contact, time_s)
        own = next((rsu for rsu in rsus if rsu.rsu == contact.rsu), None)
        if own is None or vx * vx + vy * vy == 0.0:
            return None
        leaves_s = self.residual_s(contact, own, time_s) if time_s < contact.end_s else 0.0
        found: list[tuple[float, str]] = []
        for rsu in rsus:
            inside = _inside_s(qx - rsu.x_m, qy - rsu.y_m, vx, vy, rsu.range_m)
            if rsu.rsu != own.rsu and inside is not None and inside[1] > leaves_s:
                found.append((max(inside[0], leaves_s), rsu.rsu))
        arrives_s, name = min(found, default=(math.inf, ""))
        return (name, float(arrives_s)) if arrives_s <= self.horizon_s else None


def _motion(contact: Contact, time_s: float) -> tuple[float, float, float, float]:
    """Position at `time_s` and velocity, as far as the last track sample at or before it tells."""
    at = int(np.searchsorted(contact.time_s, time_s, side="right")) - 1
    if at < 0:
        raise ValueError(f"contact {contact.contact} starts at {contact.start_s} s, after {time_s} s")
    vx, vy = float(contact.vx_mps[at]), float(contact.vy_mps[at])
    since_s = time_s - float(contact.time_s[at])
    return float(contact.x_m[at]) + vx * since_s, float(contact.y_m[at]) + vy * since_s, vx, vy


def _inside_s(qx: float, qy: float, vx: float, vy: float, range_m: float) -> tuple[float, float] | None:
    """Seconds until a point at (qx, qy) enters and leaves a circle about the origin; None where it passes by.

    |q + v t| = R as t = (-b -+ sqrt(a R^2 - cross^2)) / a, with a = |v|^2 > 0.
    """
    a, b, cross = vx * vx + vy * vy, qx * vx + qy * vy, qx * vy - qy * vx
    discriminant = a * range_m**2 - cross * cross
    if discriminant < 0:
        return None
    root = discriminant**0.5
    return (-b - root) / a, (-b + root) / a


@dataclass(frozen=True, slots=True)
class OracleForecast:
    """The true residual time. Knows the future: an upper bound for comparison, never a realistic policy's input."""

    def residual_s(self, contact: Contact, rsu: Rsu, time_s: float) -> float:
        """Seconds from `time_s` to the contact's end; 0 after it."""
        return max(contact.end_s - time_s, 0.0)

    def next_rsu(
        self, contact: Contact, rsus: Sequence[Rsu], later: Sequence[Contact], time_s: float
    ) -> tuple[str, float] | None:
        """The RSU of its next contact with one of `rsus`, which may be its own again, and the seconds until then."""
        names = {rsu.rsu for rsu in rsus}
        return next(((c.rsu, max(c.start_s - time_s, 0.0)) for c in later if c.rsu in names), None)


FORECASTS: dict[str, type[Forecast]] = {"heading": HeadingForecast, "oracle": OracleForecast}
"""Name in a policy file -> class, made with the parameters beside it."""
