"""A seed is a world: the same hash and content for every policy, other ones for other seeds and other physics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iovsim.config import Scenario, scenario_from
from iovsim.errors import ScenarioError, TraceError
from iovsim.experiment.world import BuiltWorld, build_world

SMALL: dict[str, Any] = {
    "name": "small",
    "time": {"start_s": 120.0, "duration_s": 40.0},
    "mobility": {"map": "portside"},
    "rsus": {"placement": "junctions", "count": 2, "spacing_m": 400.0, "range_m": 200.0},
    "tasks": [
        {
            "name": "signs",
            "data": {"kind": "signs", "train": 400, "test": 40},
            "charge_as": "vit-base-patch16-224",
            "shards": {"samples": 20, "label_alpha": 0.5},
            "round_energy_j": 200.0,
        }
    ],
    "rounds": {"period_s": 20.0, "deadline_s": 18.0},
}


def scenario(**changes: Any) -> Scenario:
    return scenario_from(SMALL | changes, Path("small.toml"))


@pytest.fixture(scope="module")
def built(session_cache: Path) -> BuiltWorld:
    return build_world(scenario(), 1, session_cache, lambda step, done: None)


def hash_of(cache: Path, seed: int = 1, **changes: Any) -> str:
    return build_world(scenario(**changes), seed, cache, lambda step, done: None).world.hash


def test_the_hash_is_the_same_again_and_in_another_cache(
    built: BuiltWorld, session_cache: Path, tmp_path: Path
) -> None:
    assert hash_of(session_cache) == built.world.hash
    assert hash_of(tmp_path) == built.world.hash


def test_the_hash_ignores_what_says_nothing_about_the_world(built: BuiltWorld, session_cache: Path) -> None:
    assert hash_of(session_cache, title="another title") == built.world.hash


@pytest.mark.parametrize(
    "changes",
    [
        {"radio": {"bandwidth_up_hz": 10e6}},
        {"radio": {"fading": {"kind": "none"}}},
        {"contacts": {"hysteresis_m": 0.0}},
        {"tasks": [SMALL["tasks"][0] | {"shards": {"samples": 20, "label_alpha": 5.0}}]},
        {"tasks": [SMALL["tasks"][0] | {"shards": {"samples": 20, "label_alpha": 0.5, "arrival_per_s": 0.5}}]},
        {"tasks": [SMALL["tasks"][0] | {"lora": {"dropout": 0.1}}]},
        {"tasks": [SMALL["tasks"][0] | {"lora": {"top_blocks": 2}}]},
        {"tasks": [SMALL["tasks"][0] | {"head": "local"}]},
        {"evaluation": {"validation_share": 0.2}},
        {"tasks": [SMALL["tasks"][0] | {"round_energy_j": 201.0}]},
        {"devices": {"tiers": {"agx-orin": 1.0}}},
    ],
    ids=lambda c: "-".join(c),
)
def test_the_hash_changes_with_the_world(built: BuiltWorld, session_cache: Path, changes: dict[str, Any]) -> None:
    assert hash_of(session_cache, **changes) != built.world.hash


def test_other_seeds_are_other_worlds(built: BuiltWorld, session_cache: Path) -> None:
    other = build_world(scenario(), 2, session_cache, lambda step, done: None)
    assert other.world.hash != built.world.hash
    assert other.city.trace_sha256 != built.city.trace_sha256


def test_pinned_traffic_stays_while_the_rest_varies_with_the_seed(session_cache: Path) -> None:
    pinned = {"mobility": {"map": "portside", "seed": 1}}
    one = build_world(scenario(**pinned), 1, session_cache, lambda step, done: None)
    two = build_world(scenario(**pinned), 2, session_cache, lambda step, done: None)
    assert one.city.trace_sha256 == two.city.trace_sha256
    assert one.world.hash != two.world.hash
    assert not np.array_equal(one.world.links.link(0).fading, two.world.links.link(0).fading)


def test_every_vehicle_in_contact_has_a_device_and_data(built: BuiltWorld) -> None:
    vehicles = {c.vehicle for c in built.world.contacts}
    assert vehicles == set(built.world.vehicles)
    assert len({v.device.tier for v in built.world.vehicles.values()}) == 3
    assert len({v.district for v in built.world.vehicles.values()}) > 1
    for vehicle in built.world.vehicles.values():
        shard = vehicle.shards["signs"]
        assert not set(shard.train) & set(shard.test)


def test_a_vehicle_does_not_depend_on_which_others_there_are(built: BuiltWorld, session_cache: Path) -> None:
    fewer = build_world(
        scenario(rsus=SMALL["rsus"] | {"count": 1}), 1, session_cache, lambda step, done: None
    ).world.vehicles
    assert 0 < len(fewer) < len(built.world.vehicles)
    for name, vehicle in fewer.items():
        other = built.world.vehicles[name]
        assert vehicle.device == other.device
        assert np.array_equal(vehicle.shards["signs"].train, other.shards["signs"].train)


def test_vehicles_serve_the_tasks_of_their_sensors(session_cache: Path) -> None:
    signs = SMALL["tasks"][0] | {"sensor": "camera"}
    tasks = [
        signs,
        signs | {"name": "again"},
        signs | {"name": "heard", "sensor": "modem"},
        SMALL["tasks"][0] | {"name": "all"},
    ]
    tasks[1]["shards"] = {"samples": 20, "vehicles": 7}
    asked = scenario(tasks=tasks, sensors={"camera": 0.5, "modem": 0.5})
    fleet = build_world(asked, 1, session_cache, lambda step, done: None).world.vehicles
    holders = {t["name"]: {v for v, x in fleet.items() if t["name"] in x.shards} for t in tasks}
    assert holders["all"] == set(fleet)
    assert 0.3 * len(fleet) < len(holders["signs"]) < 0.7 * len(fleet)
    assert len(holders["again"]) == 7
    assert holders["again"] < holders["signs"], "one camera serves both"
    both = len(holders["signs"] & holders["heard"])
    assert 0 < both < min(len(holders["signs"]), len(holders["heard"])), "sensors are drawn on their own"


def test_more_holders_than_vehicles_are_refused(session_cache: Path) -> None:
    asked = scenario(tasks=[SMALL["tasks"][0] | {"shards": {"samples": 20, "vehicles": 9999}}])
    with pytest.raises(ScenarioError, match=r"task 'signs': shards.vehicles = 9999, but only \d+ vehicles"):
        build_world(asked, 1, session_cache, lambda step, done: None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"sensors": {"camera": 1e-9}, "tasks": [SMALL["tasks"][0] | {"sensor": "camera"}]},
            "none of the .* vehicles that",
        ),
        (
            {"tasks": [SMALL["tasks"][0] | {"shards": {"samples": 20, "arrival_per_s": 1e-6}}]},
            "none of the .* vehicles that meet an RSU holds data for it",
        ),
        (
            {
                "devices": {"tiers": {"telematics": 1.0}},
                "tasks": [SMALL["tasks"][0] | {"training": {"batch_size": 64}}],
            },
            r"memory of no vehicle that holds its data \(telematics\) at batch size 64",
        ),
        (
            {
                "rsus": {"placement": "sites", "sites": [{"name": "a", "x_m": 1000.0, "y_m": 1000.0, "tasks": []}]},
            },
            "no RSU hosts it",
        ),
    ],
)
def test_a_task_that_nobody_could_train_is_refused(session_cache: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=f"task 'signs', seed 1: .*{message}"):
        build_world(scenario(**changes), 1, session_cache, lambda step, done: None)


def test_samples_arrive_while_the_vehicle_is_on_the_road(session_cache: Path, built: BuiltWorld) -> None:
    arriving = SMALL["tasks"][0] | {"shards": {"samples": 20, "arrival_per_s": 0.5}}
    world = build_world(scenario(tasks=[arriving]), 1, session_cache, lambda step, done: None)
    seen = [s.seen_s for v in world.world.vehicles.values() for s in v.shards.values()]
    assert len(seen) > 10
    stays = world.city.stays.groupby("vehicle").agg({"start_s": "min", "end_s": "max"})
    for name, vehicle in world.world.vehicles.items():
        for shard in vehicle.shards.values():
            assert stays.loc[name, "start_s"] <= shard.seen_s[0] <= shard.seen_s[-1] < stays.loc[name, "end_s"]
            assert len(shard.held(shard.seen_s[0])) >= 1
            assert len(shard.held(shard.seen_s[-1])) == len(shard.train)
            assert not len(shard.held(shard.seen_s[0] - 1e-6))


def test_contacts_reach_to_the_horizon(built: BuiltWorld) -> None:
    ends = [c.end_s for c in built.world.contacts]
    assert max(ends) == built.world.end_s
    assert min(c.start_s for c in built.world.contacts) == built.world.start_s


def test_a_replayed_trace_gives_the_same_contacts(built: BuiltWorld, session_cache: Path) -> None:
    replayed = build_world(
        scenario(mobility={"map": "portside", "trace": str(built.city.trace)}),
        1,
        session_cache,
        lambda step, done: None,
    )
    assert replayed.world.hash == built.world.hash


def test_a_trace_that_is_too_short_is_refused(built: BuiltWorld, session_cache: Path) -> None:
    late = scenario(
        mobility={"map": "portside", "trace": str(built.city.trace)}, time={"start_s": 150.0, "duration_s": 60.0}
    )
    with pytest.raises(TraceError, match=r"covers .* s to 160 s, but the scenario runs from 150 s to 210 s"):
        build_world(late, 1, session_cache, lambda step, done: None)
