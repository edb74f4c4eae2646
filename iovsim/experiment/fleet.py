"""Vehicle names become vehicles: a device, a district, sensors and a shard of each task's data, all drawn by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd

from iovsim.config import Scenario, ShardsSection, TaskSection
from iovsim.domain import Device, Shard, Vehicle
from iovsim.energy import TIERS
from iovsim.errors import ScenarioError, near_match
from iovsim.learning.data.samples import Data
from iovsim.learning.data.shards import Journey, ShardRule, deal
from iovsim.rng import stream


def build_fleet(
    scenario: Scenario, seed: int, vehicles: Sequence[str], stays: pd.DataFrame, data: Mapping[str, Data]
) -> dict[str, Vehicle]:
    """Every vehicle that ever meets an RSU, with what it is and holds.

    Nothing depends on which others there are, but where a task's shards are `disjoint` or limited to some `vehicles`.
    Raises `ScenarioError` for an unknown tier, `TrainingError` for a shard that would be empty.
    """
    journeys = journeys_of(stays)
    shards: dict[str, dict[str, Shard]] = {v: {} for v in vehicles}
    for task in scenario.tasks:
        pool = data[task.name].train
        holders = _holders(scenario, seed, task, vehicles)
        dealt = deal(
            pool.labels,
            pool.districts,
            {v: journeys[v] for v in holders},
            task=task.name,
            rule=rule_of(task.shards),
            seed=seed,
        )
        for vehicle, shard in dealt.items():
            shards[vehicle][task.name] = shard
    devices = {v: _device(scenario, seed, v) for v in vehicles}
    return {v: Vehicle(v, devices[v], int(journeys[v].district[0]), shards[v]) for v in vehicles}


def check_tiers(scenario: Scenario) -> None:
    """Raises `ScenarioError` for a device tier that does not exist."""
    for tier in scenario.devices.tiers:
        if tier not in TIERS:
            raise ScenarioError(
                f"{scenario.where}: key 'devices.tiers': unknown tier {tier!r}; {near_match(tier, TIERS)}"
            )


def journeys_of(stays: pd.DataFrame) -> dict[str, Journey]:
    """Vehicle to its way through the districts, from rows sorted by vehicle and time."""
    names = stays["vehicle"].to_numpy()
    first = np.flatnonzero(np.append(True, names[1:] != names[:-1])) if len(names) else np.zeros(0, dtype=np.int64)
    bounds = np.append(first, len(names))
    start_s, end_s, district = (stays[key].to_numpy() for key in ("start_s", "end_s", "district"))
    return {
        str(names[low]): Journey(start_s[low:high], district[low:high], float(end_s[high - 1]))
        for low, high in pairwise(bounds.tolist())
    }


def rule_of(section: ShardsSection) -> ShardRule:
    """The scenario's table as the law that shards follow."""
    return ShardRule(**section.model_dump(exclude={"vehicles"}))


def _holders(scenario: Scenario, seed: int, task: TaskSection, vehicles: Sequence[str]) -> list[str]:
    """The vehicles with the task's sensor; if only some are to hold data, those first by a draw of each one's name."""
    share = 1.0 if task.sensor is None else scenario.sensors[task.sensor]
    able = [v for v in vehicles if stream(seed, "sensor", task.sensor or "", v).random() < share]
    if task.shards.vehicles is None:
        return able
    if task.shards.vehicles > len(able):
        raise ScenarioError(
            f"{scenario.where}: task {task.name!r}: shards.vehicles = {task.shards.vehicles}, but only {len(able)} "
            "vehicles with its sensor ever meet an RSU; ask for fewer, or for a longer time."
        )
    return sorted(sorted(able, key=lambda v: stream(seed, "holder", task.name, v).random())[: task.shards.vehicles])


def _device(scenario: Scenario, seed: int, vehicle: str) -> Device:
    names = sorted(scenario.devices.tiers)
    weights = np.array([scenario.devices.tiers[n] for n in names])
    picked = stream(seed, "device", vehicle).choice(len(names), p=weights / weights.sum())
    return replace(TIERS[names[picked]], memory_share=scenario.devices.memory_share)
