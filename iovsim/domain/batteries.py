"""A vehicle's battery, from which driving and jobs draw alike: what is known of it, and who keeps its books."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

ROUNDING_J = 1e-3
"""A job that was cut at the reserve leaves it there but for so much."""


@dataclass(frozen=True, slots=True)
class Battery:
    """A vehicle's battery when a round begins."""

    charge_j: float
    capacity_j: float
    reserve_j: float  # what jobs must leave: there none begins, and one that comes down to it is cut

    @property
    def share(self) -> float:
        """The state of charge, 0 to 1."""
        return self.charge_j / self.capacity_j

    @property
    def spare_j(self) -> float:
        """What jobs may take if the vehicle stood still."""
        return max(self.charge_j - self.reserve_j, 0.0)

    @property
    def is_low(self) -> bool:
        """Whether it is at its reserve."""
        return self.spare_j < ROUNDING_J


@dataclass(frozen=True, slots=True)
class BatteryUse:
    """One battery over one period, or as much of it as its vehicle was on the road. No number is negative, and
    before_j - driving_j + recuperated_j + charged_j - jobs_j + unmet_j - surplus_j is after_j."""

    vehicle: str
    before_j: float
    driving_j: float  # what driving asked for
    recuperated_j: float  # what braking gave
    charged_j: float  # at charging stations
    jobs_j: float  # what jobs asked for
    unmet_j: float  # asked of an empty battery
    surplus_j: float  # given to a full one
    after_j: float


class Batteries(Protocol):
    """The batteries of a live run (mobility reads them off SUMO, the engine takes from them what jobs took).

    SUMO is driven to the end of a period before it is known what jobs take in it. So they are settled when it is over.
    """

    def of(self, vehicle: str) -> Battery | None:
        """As it was when the period began; None for a vehicle without a battery."""
        ...

    def lasts_s(self, vehicle: str, *, from_s: float, power_w: float, spent_j: float) -> float:
        """When a vehicle comes down to its reserve if, beside driving, jobs had taken `spent_j` of it in this period by
        `from_s`, and take `power_w` from then on; infinite if never. A time in the period, or later."""
        ...

    def settle(self, until_s: float, jobs_j: Mapping[str, float]) -> Sequence[BatteryUse]:
        """Ends the period at `until_s`, with what jobs have taken by vehicle; gives its books, sorted by vehicle."""
        ...
