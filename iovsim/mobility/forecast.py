"""Turns what is known of a vehicle's motion at an instant into a prediction of its residual contact time."""

from __future__ import annotations

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
        at = int(np.searchsorted(contact.time_s, time_s, side="right")) - 1
        if at < 0:
            raise ValueError(f"contact {contact.contact} starts at {contact.start_s} s, after {time_s} s")
        vx, vy = float(contact.vx_mps[at]), float(contact.vy_mps[at])
        since_s = time_s - float(contact.time_s[at])
        qx = float(contact.x_m[at]) + vx * since_s - rsu.x_m
        qy = float(contact.y_m[at]) + vy * since_s - rsu.y_m
        # |q + v t| = R, the later root, as t = (-b + sqrt(a R^2 - cross^2)) / a
        a, b, cross = vx * vx + vy * vy, qx * vx + qy * vy, qx * vy - qy * vx
        if a == 0.0:
            return self.horizon_s if qx * qx + qy * qy <= rsu.range_m**2 else 0.0
        discriminant = a * rsu.range_m**2 - cross * cross
        if discriminant < 0:
            return 0.0
        return float(min(max((-b + discriminant**0.5) / a, 0.0), self.horizon_s))


@dataclass(frozen=True, slots=True)
class OracleForecast:
    """The true residual time. Knows the future: an upper bound for comparison, never a realistic policy's input."""

    def residual_s(self, contact: Contact, rsu: Rsu, time_s: float) -> float:
        """Seconds from `time_s` to the contact's end; 0 after it."""
        return max(contact.end_s - time_s, 0.0)


FORECASTS: dict[str, type[Forecast]] = {"heading": HeadingForecast, "oracle": OracleForecast}
"""Name in a policy file -> class, made with the parameters beside it."""
