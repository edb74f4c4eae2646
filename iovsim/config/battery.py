"""The battery table of a world file: which vehicles drive on a battery that their jobs draw from, too."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from iovsim.config.model import Model
from iovsim.config.numbers import Name, NotNegative, Part, Positive

Share = Annotated[float, Field(ge=0, le=1)]


def _both_ends(value: Any) -> Any:
    """A number is the range from it to itself."""
    if isinstance(value, int | float):
        return float(value), float(value)
    return tuple(value) if isinstance(value, list) else value


class PlaceSection(Model):
    """One charging place, beside a stretch of a lane (left out: all of it). Power and efficiency default to SUMO's."""

    name: Name
    edge: str
    lane: Annotated[int, Field(ge=0)] = 0
    start_m: NotNegative = 0.0
    end_m: Positive | None = None
    power_w: Positive = 22_000.0
    efficiency: Part = 0.95


class BatterySection(Model):
    """SUMO's battery device on a `share` of the vehicles, drawn by name; live runs only.

    `capacity_j` defaults to SUMO's 35 kWh. `initial` is the state of charge, 0 to 1, with which vehicles set out: one
    number (0.5 is SUMO's), or the two ends of a range in which each vehicle's is drawn. `reserve` is the part of the
    capacity that jobs leave untouched (0.1, ours). `parameters` of the drive are named and measured as SUMO's energy
    model does it; what is left out is as in the vehicle's type, or SUMO's default, a Kia Soul EV of 2020.
    `places` are where vehicles can charge, beside the charging stations of the map.
    """

    share: Share = 1.0
    capacity_j: Positive = 35e3 * 3600
    initial: Annotated[tuple[Share, Share], BeforeValidator(_both_ends)] = (0.5, 0.5)
    reserve: Annotated[float, Field(ge=0, lt=1)] = 0.1
    parameters: dict[str, float] = Field(default={})
    places: tuple[PlaceSection, ...] = ()

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        low, high = self.initial
        if low > high:
            raise ValueError(f"initial = [{low:g}, {high:g}]; the lower end of the range comes first")
        names = [place.name for place in self.places]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two places are named {twice[0]!r}; names must differ")
        return self
