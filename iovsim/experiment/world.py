"""A scenario and a seed become a world under one hash, its data, and the tables that describe it in a run folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iovsim.arrays import SAMPLES, let_go, rows, runs
from iovsim.config import Scenario
from iovsim.domain import Radio, World
from iovsim.energy import feasible_ranks
from iovsim.errors import ScenarioError, located
from iovsim.experiment.city import City, Progress, build_city
from iovsim.experiment.data import TaskData, load_data, statistics
from iovsim.experiment.fleet import build_fleet, check_tiers
from iovsim.experiment.tasks import build_backbones, build_task
from iovsim.learning.backbones.backbone import Backbone
from iovsim.learning.data.shards import shard_statistics
from iovsim.mobility.roadmap import RoadMap
from iovsim.radio import Sidelinks
from iovsim.results import Recorder
from iovsim.rng import stream
from iovsim.units import dbm_to_w, noise_w_per_hz, ratio_to_db

HASHED_ROWS = 1_000_000  # of a table at a time: bounds memory


@dataclass(frozen=True, slots=True, eq=False)
class BuiltWorld:
    """A world, and what only the trainer and the recorder need of it."""

    world: World
    data: Mapping[str, TaskData]  # by task
    backbones: Mapping[str, Backbone]  # by task
    city: City


def build_world(scenario: Scenario, seed: int, cache: Path, progress: Progress) -> BuiltWorld:
    """Everything that a policy cannot change. `progress` gets the name of a step and the part of it that is done.

    Raises an `IovsimError` for whatever is wrong with the scenario, its map, its traffic or its data.
    """
    check_tiers(scenario)
    data = {}
    for number, task in enumerate(scenario.tasks):
        progress("loading data", number / len(scenario.tasks))
        data[task.name] = load_data(scenario, task, cache)
    progress("loading models", 0.0)
    backbones = build_backbones(scenario)
    tasks = tuple(build_task(scenario, t, data[t.name].data, backbones[t.name]) for t in scenario.tasks)
    with located(scenario.where):
        city = build_city(scenario, seed, cache, progress)
        names = city.contacts.vehicles
        fleet = build_fleet(scenario, seed, names, city.stays, {task: d.data for task, d in data.items()})
    world = World(
        name=scenario.name,
        hash="",
        seed=seed,
        start_s=scenario.time.start_s,
        end_s=scenario.time.start_s + scenario.time.duration_s,
        rsus=city.rsus,
        contacts=city.contacts,
        links=city.links,
        sidelinks=Sidelinks(city.channel, seed),
        vehicles=fleet,
        tasks=tasks,
        radio=build_radio(scenario),
        round_period_s=scenario.rounds.period_s,
        round_deadline_s=scenario.rounds.deadline_s,
        merge_every_rounds=scenario.rounds.merge_every,
        refuse_over_budget=scenario.rounds.over_budget == "refuse",
        evaluate_every_merges=scenario.evaluation.every_merges,
        evaluate_vehicles_every_merges=scenario.evaluation.vehicles_every_merges,
        keep_adapters_every_merges=scenario.evaluation.adapters_every_merges,
        evaluated_vehicles={
            t.task: _sample([v for v in names if t.task in fleet[v].shards], scenario.evaluation.vehicles, seed)
            for t in tasks
        },
    )
    with located(scenario.where):
        check_trainable(world)
    return BuiltWorld(replace(world, hash=world_hash(scenario, world, city, data, backbones)), data, backbones, city)


def check_trainable(world: World) -> None:
    """Raises `ScenarioError` for a task that nobody could ever train: such a run would end without a word about it."""
    for task in world.tasks:
        where = f"task {task.task!r}, seed {world.seed}"
        if not any(task.task in rsu.tasks for rsu in world.rsus):
            raise ScenarioError(f"{where}: no RSU hosts it; add it to the 'tasks' of a site.")
        holders = [v for v in world.vehicles.values() if task.task in v.shards]
        if not holders:
            raise ScenarioError(
                f"{where}: none of the {len(world.vehicles)} vehicles that meet an RSU holds data for it; raise its "
                "sensor's share, shards.arrival_per_s, or the time."
            )
        tiers = {v.device.tier: v.device for v in holders}
        if not any(feasible_ranks(task, device) for device in tiers.values()):
            raise ScenarioError(
                f"{where}: training it fits into the memory of no vehicle that holds its data "
                f"({', '.join(sorted(tiers))}) at batch size {task.recipe.batch_size} and ranks {list(task.ranks)}; "
                "lower them, or choose other tiers."
            )


def world_hash(
    scenario: Scenario,
    world: World,
    city: City,
    data: Mapping[str, TaskData],
    backbones: Mapping[str, Backbone],
) -> str:
    """SHA-256 over the scenario, the seed, the content (not the names) of all files behind them, and what was built.

    So a change of code that changes a world changes its hash. Gains enter to a millionth of a dB, that processors whose
    logarithms differ in the last bit may agree.
    """
    content: dict[str, Any] = {
        "scenario": without_paths(scenario),
        "seed": world.seed,
        "built": built_sha256(world, city),
        "trace": city.trace_sha256,
        "map": city.map_sha256,
        "data": {task: _data_sha256(d) for task, d in sorted(data.items())},
        "weights": {task: b.sha256 for task, b in sorted(backbones.items())},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def built_sha256(world: World, city: City) -> str:
    """SHA-256 over everything of a world that the engine reads.

    Of memory that was measured, and depends on the kernels that torch picks on this machine, what follows from it: the
    ranks that each tier can train.
    """
    digest = hashlib.sha256()
    tasks = [
        replace(t, charged=replace(t.charged, name="", activation_bits=0.0, full_activation_bits=0.0))
        for t in world.tasks
    ]
    devices = {v.device.tier: v.device for v in world.vehicles.values()}
    feasible = [
        (t.task, tier, feasible_ranks(t, device)) for t in world.tasks for tier, device in sorted(devices.items())
    ]
    for part in (world.rsus, tasks, world.radio, world.evaluated_vehicles, feasible):
        digest.update(repr(part).encode())
    for name, vehicle in sorted(world.vehicles.items()):
        digest.update(repr((name, vehicle.device, vehicle.district)).encode())
        for task, shard in sorted(vehicle.shards.items()):
            digest.update(task.encode() + shard.train.tobytes() + shard.test.tobytes())
            digest.update(np.round(shard.seen_s, 6).tobytes() + np.round(shard.test_seen_s, 6).tobytes())
    contacts, links = city.contacts.columns, city.links
    for numbers in (contacts.vehicle, contacts.rsu, contacts.end, contacts.offset, links.los):
        for piece in _pieces(numbers):
            digest.update(np.ascontiguousarray(piece).tobytes())
    for reals in (contacts.start_s, contacts.end_s, contacts.time_s, contacts.x_m, contacts.y_m, links.fading):
        for piece in _pieces(reals):
            digest.update(np.round(piece, 6).tobytes())
    for piece in _pieces(links.mean_gain):
        digest.update(np.round(ratio_to_db(piece), 6).tobytes())
    return digest.hexdigest()


def _pieces(column: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """A column in parts, of which only one is in memory at a time where it is mapped."""
    for piece in rows(column, HASHED_ROWS):
        yield piece
        let_go([column])


def without_paths(scenario: Scenario) -> dict[str, Any]:
    """The scenario as plain data without its title and file names, which say nothing about the world.

    Nor does it count whether traffic is replayed or driven live: a world is what is so before anybody acts. One without
    batteries is what it was before there were any.
    """
    plain = scenario.model_dump(
        mode="json",
        exclude={
            "title": True,
            "mobility": {
                "map",
                "sumocfg",
                "trace",
                "net",
                "buildings",
                "ignore_route_errors",
                "source",
                "coupling",
                "gui",
            },
            "rsus": {"file", "traffic_trace"},
        },
    )
    if plain["battery"] is None:
        del plain["battery"]
    for task in plain["tasks"]:
        task["data"].pop("path", None)
        task["backbone"].pop("path", None)
    return plain


def build_radio(scenario: Scenario) -> Radio:
    """The scenario's decibels as linear SI values."""
    section = scenario.radio
    return Radio(
        bandwidth_up_hz=section.bandwidth_up_hz,
        bandwidth_down_hz=section.bandwidth_down_hz,
        rsu_power_w=dbm_to_w(section.rsu_power_dbm),
        vehicle_power_w=dbm_to_w(section.vehicle_power_dbm),
        rsu_noise_w_per_hz=noise_w_per_hz(section.rsu_noise_figure_db),
        vehicle_noise_w_per_hz=noise_w_per_hz(section.vehicle_noise_figure_db),
        efficiency=section.efficiency,
        max_bps_per_hz=section.max_bps_per_hz,
        rsu_pa_efficiency=section.rsu_pa_efficiency,
        rsu_rx_w=section.rsu_rx_w,
        sidelink_bandwidth_hz=section.sidelink_bandwidth_hz,
    )


def record_world(built: BuiltWorld, recorder: Recorder) -> None:
    """The tables that describe the world: equal in every run of the same hash."""
    for rsu in built.world.rsus:
        recorder.add("rsus", rsu=rsu.rsu, x_m=rsu.x_m, y_m=rsu.y_m, height_m=rsu.height_m, range_m=rsu.range_m)
    for contacts in city_contacts(built.city):
        recorder.add_frame("contacts", contacts)
    for first, last in runs(built.city.contacts.columns.offset, SAMPLES):
        recorder.add_frame("handovers", built.city.contacts.handovers(first, last))
    recorder.add_frame("connectivity", built.city.connectivity)
    recorder.add_frame("density", built.city.density)
    recorder.add_frame("shapes", city_shapes(built.city.roadmap))
    recorder.add_rows("shards", _shards(built))
    for task in built.world.tasks:
        recorder.add_rows("data", statistics(task.task, built.data[task.task]))
        pool = built.data[task.task].data.train
        fleet = built.world.vehicles
        held = {v: vehicle.shards[task.task] for v, vehicle in fleet.items() if task.task in vehicle.shards}
        recorder.add_rows("shard_classes", shard_statistics(held, pool.labels, pool.classes))


def city_contacts(city: City) -> Iterator[pd.DataFrame]:
    """The table `contacts` of a run folder, some contacts at a time; at least once."""
    for first, last in runs(city.contacts.columns.offset, SAMPLES):
        links = city.links.frame(first, last)[["contact", "mean_gain_db", "los_share", "nlos_share"]]
        yield city.contacts.frame(first, last).merge(links, on="contact")
        city.let_go()


def _shards(built: BuiltWorld) -> Iterator[dict[str, object]]:
    for name, vehicle in sorted(built.world.vehicles.items()):
        for task, shard in sorted(vehicle.shards.items()):
            yield {
                "vehicle": name,
                "district": vehicle.district,
                "tier": vehicle.device.tier,
                "task": task,
                "train_samples": len(shard.train),
                "test_samples": len(shard.test),
                "classes": len(np.unique(built.data[task].data.train.labels[shard.train])),
                "first_s": float(shard.seen_s[0]),
                "last_s": float(shard.seen_s[-1]),
            }


def city_shapes(roadmap: RoadMap) -> pd.DataFrame:
    """The table `shapes` of a run folder: the corners of all roads and buildings."""
    roads, buildings = roadmap.roads, roadmap.buildings
    lines = [*roads, *buildings]
    points = [len(line) for line in lines]  # one frame of all: one each took most of the time of a small run's tables
    x_m, y_m = np.concatenate([np.zeros((0, 2)), *lines]).T
    return pd.DataFrame(
        {
            "kind": np.repeat(["road"] * len(roads) + ["building"] * len(buildings), points),
            "shape": np.repeat([*range(len(roads)), *range(len(buildings))], points),
            "point": np.concatenate([np.arange(count) for count in points] or [np.zeros(0, dtype=np.int64)]),
            "x_m": x_m,
            "y_m": y_m,
        }
    )


def _sample(names: list[str], count: int, seed: int) -> tuple[str, ...]:
    """At most `count` of the names, by rank in a draw of each one's own."""
    return tuple(sorted(sorted(names, key=lambda v: stream(seed, "evaluated", v).random())[:count]))


def _data_sha256(data: TaskData) -> str:
    digest = hashlib.sha256()
    for part in (data.data.train, data.validation, data.data.test):
        inputs = part.inputs
        digest.update(inputs.tobytes() if isinstance(inputs, np.ndarray) else json.dumps(inputs).encode())
        digest.update(part.labels.tobytes())
        digest.update(b"" if part.districts is None else part.districts.tobytes())
    digest.update(json.dumps(data.data.train.classes).encode())
    return digest.hexdigest()
