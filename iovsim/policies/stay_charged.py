"""A traffic rule that sends vehicles whose battery is low to a charging station."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from iovsim.domain import StopAt, TrafficAction, TrafficView
from iovsim.errors import ScenarioError


@dataclass(frozen=True)
class StayCharged:
    """Sends a client that is charged below `low_share` to the station nearest to it as the crow flies, where it stays
    until it would be charged to `full_share` (ours); one that is on its way to a station, or there, is left alone.

    Whether it has a job makes no difference, and the job may be lost by its leaving.
    """

    low_share: float = 0.2
    full_share: float = 0.8

    def __post_init__(self) -> None:
        if not 0 <= self.low_share < self.full_share <= 1:
            raise ScenarioError(
                f"low_share = {self.low_share:g}, full_share = {self.full_share:g}: they must lie in [0, 1], the first "
                "below the second."
            )

    def act(self, view: TrafficView) -> Sequence[TrafficAction]:
        actions = []
        for client in view.round.clients:
            battery, drive = client.battery, view.drives.get(client.vehicle)
            if battery is None or battery.share >= self.low_share or drive is None or drive.station:
                continue
            ways_m = {name: math.hypot(s.x_m - drive.x_m, s.y_m - drive.y_m) for name, s in view.stations.items()}
            if ways_m:
                nearest = min(ways_m, key=lambda name: (ways_m[name], name))
                missing_j = self.full_share * battery.capacity_j - battery.charge_j
                actions.append(StopAt(client.vehicle, nearest, missing_j / view.stations[nearest].power_w))
        return actions
