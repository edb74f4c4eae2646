"""Vehicle names become vehicles: a device tier, a district and a shard of each task's data, all drawn by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from iovsim.config import Scenario
from iovsim.domain import Device, Shard, Vehicle
from iovsim.energy import TIERS
from iovsim.errors import ScenarioError, near_match
from iovsim.learning.datasets import Data
from iovsim.learning.shards import make_shards
from iovsim.rng import stream


def build_fleet(
    scenario: Scenario,
    seed: int,
    vehicles: Sequence[str],
    districts: Mapping[str, int],
    data: Mapping[str, Data],
) -> dict[str, Vehicle]:
    """Every vehicle that ever meets an RSU, with what it is and holds. Nothing depends on which others there are.

    Raises `ScenarioError` for an unknown tier, `TrainingError` for a shard that would be empty.
    """
    shards: dict[str, dict[str, Shard]] = {v: {} for v in vehicles}
    for task in scenario.tasks:
        sensing = [v for v in vehicles if stream(seed, "sensor", task.name, v).random() < task.vehicle_share]
        drawn = make_shards(
            data[task.name].train.labels,
            data[task.name].train.districts,
            {v: districts[v] for v in sensing},
            task=task.name,
            samples_per_vehicle=task.samples_per_vehicle,
            dirichlet_alpha=task.dirichlet_alpha,
            test_fraction=task.test_fraction,
            seed=seed,
        )
        for vehicle, shard in drawn.items():
            shards[vehicle][task.name] = shard
    devices = {v: _device(scenario, seed, v) for v in vehicles}
    return {v: Vehicle(v, devices[v], districts[v], shards[v]) for v in vehicles}


def check_tiers(scenario: Scenario) -> None:
    """Raises `ScenarioError` for a device tier that does not exist."""
    for tier in scenario.devices.tiers:
        if tier not in TIERS:
            raise ScenarioError(
                f"{scenario.name}: key 'devices.tiers': unknown tier {tier!r}; {near_match(tier, TIERS)}"
            )


def district_of(positions: pd.DataFrame, bounds: tuple[float, float, float, float], per_side: int) -> dict[str, int]:
    """Vehicle to the square of the map, row by row from the south-west, in which the trace first sees it."""
    west, south, east, north = bounds
    column = np.clip(((positions["x_m"] - west) / (east - west) * per_side).astype(int), 0, per_side - 1)
    row = np.clip(((positions["y_m"] - south) / (north - south) * per_side).astype(int), 0, per_side - 1)
    return dict(zip(positions["vehicle"].astype(str), (row * per_side + column).tolist(), strict=True))


def _device(scenario: Scenario, seed: int, vehicle: str) -> Device:
    names = sorted(scenario.devices.tiers)
    weights = np.array([scenario.devices.tiers[n] for n in names])
    picked = stream(seed, "device", vehicle).choice(len(names), p=weights / weights.sum())
    return TIERS[names[picked]]
