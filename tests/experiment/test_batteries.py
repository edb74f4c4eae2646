"""Live runs with batteries: nothing else changes where they are ample, every joule is in the books, and where they are
small, training and driving compete for what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from iovsim.config import PolicyFile, Scenario, load_policy, scenario_from
from iovsim.domain import RoundPlan, RoundView
from iovsim.engine import Setting
from iovsim.errors import ScenarioError
from iovsim.experiment.batteries import battery_rule
from iovsim.experiment.ground import ground_of
from iovsim.experiment.live import simulate_live
from iovsim.experiment.method import method_for
from iovsim.experiment.world import build_world, record_world
from iovsim.results import Charge, Manifest, PolicyRecord, Run, RunFolder, open_run
from iovsim.testing import FakeTrainer

SCENARIO: dict[str, Any] = {
    "name": "small",
    "time": {"start_s": 60.0, "duration_s": 100.0},
    "mobility": {"map": "portside", "source": "live"},
    "rsus": {"placement": "junctions", "count": 4, "spacing_m": 300.0, "range_m": 200.0},
    "devices": {"tiers": {"agx-orin": 1.0}},
    "tasks": [
        {
            "name": "signs",
            "data": {"kind": "signs", "train": 400, "test": 40},
            "charge_as": "vit-base-patch16-224",
            "training": {"learning_rate": 5e-3, "local_epochs": 80},
            "shards": {"samples": 20},
            "round_energy_j": 1e6,
        }
    ],
    "rounds": {"period_s": 20.0, "deadline_s": 18.0, "merge_every": 1},
}
"""Jobs of nine seconds at 40 W, which a stub trains."""

ROBOTS = {
    "capacity_j": 8e3,
    "initial": [0.3, 1.0],
    "parameters": {"mass": 10.0, "frontSurfaceArea": 0.1, "constantPowerIntake": 0.0},
}
"""Batteries of 2 Wh, in vehicles that are light and small and yet as fast as the town's traffic."""


def scenario(battery: dict[str, Any] | None, **more: Any) -> Scenario:
    return scenario_from({**SCENARIO, **({"battery": battery} if battery is not None else {}), **more}, Path("s.toml"))


def run(world: Scenario, method: PolicyFile, out: Path, cache: Path) -> Run:
    built = build_world(world, 1, cache, lambda step, done: None)
    manifest = Manifest(
        world=world.name,
        world_hash=built.world.hash,
        seed=1,
        policy=PolicyRecord(name=method.name, kind="p", forecast="heading", parameters={}),
        scenario={},
        charge_as={"signs": Charge("fake", "vit-base-patch16-224")},
    )
    scratch = out.with_name(f"{out.name}-scratch")
    scratch.mkdir()
    with RunFolder.create(out, manifest) as folder:
        setting = Setting(built.world, method_for(world, method), FakeTrainer(), folder.recorder, lambda *_: None)
        found = simulate_live(world, built, setting, scratch, lambda step, done: None)
        record_world(found, folder.recorder)
    return open_run(out)


def rest_j(batteries: pd.DataFrame) -> pd.Series:
    """What the books do not account for."""
    gained = batteries[["before_j", "recuperated_j", "charged_j", "unmet_j"]].sum(axis=1)
    return gained - batteries[["driving_j", "training_j", "radio_j", "waiting_j", "surplus_j", "after_j"]].sum(axis=1)


def assert_sound(run: Run) -> pd.DataFrame:
    """The books, once they agree in themselves and with the ledger."""
    batteries = run.table("batteries")
    assert rest_j(batteries).abs().max() < 50 * 3.6e-6  # SUMO's ninth decimal of a Wh, twice in each of 20 steps
    for _, one in batteries.groupby("vehicle"):
        assert one["before_j"].tolist()[1:] == one["after_j"].tolist()[:-1]
    energy = run.table("energy")
    ours = energy[(energy["owner"] == "vehicle") & energy["vehicle"].isin(batteries["vehicle"])]
    jobs_j = batteries[["training_j", "radio_j", "waiting_j"]].to_numpy().sum()
    assert jobs_j == pytest.approx(ours["energy_j"].sum())
    assert jobs_j > 1000.0
    return batteries


@dataclass
class Nobody:
    """Plans nothing."""

    def plan(self, view: RoundView) -> RoundPlan:
        return RoundPlan({})

    def feedback(self, outcome: object) -> None:
        pass


def nobody() -> PolicyFile:
    return load_policy("all-available", {"policy": {"kind": f"{Nobody.__module__}:Nobody"}})


def test_ample_batteries_change_nothing_but_their_books(tmp_path: Path, session_cache: Path) -> None:
    method = load_policy("with-fallback")
    plain = run(scenario(None), method, tmp_path / "plain", session_cache)
    charged = run(scenario({"share": 0.5}), method, tmp_path / "charged", session_cache)
    assert plain.table("batteries").empty
    for path in sorted((tmp_path / "plain" / "tables").iterdir()):
        if path.stem != "batteries":
            assert path.read_bytes() == (tmp_path / "charged" / "tables" / path.name).read_bytes(), path.stem
    assert not (tmp_path / "charged-scratch" / "traffic.parquet").exists()
    batteries = assert_sound(charged)
    names = set(batteries["vehicle"])
    rule = battery_rule(scenario({"share": 0.5}), 1)
    assert rule is not None
    met = set(plain.table("contacts")["vehicle"])
    assert names & met == {name for name in met if rule.initial_j(name) is not None}
    assert 0.3 * len(met) < len(names & met) < 0.7 * len(met)
    # what training is to a car: a few ten thousandths of what driving asks for
    driving_j = batteries["driving_j"].sum() - batteries["recuperated_j"].sum()
    assert batteries["training_j"].sum() < 0.01 * driving_j


def test_small_batteries_are_emptied_sooner_by_training(tmp_path: Path, session_cache: Path) -> None:
    idle = run(scenario(ROBOTS), nobody(), tmp_path / "idle", session_cache)
    busy = run(scenario(ROBOTS), load_policy("all-available"), tmp_path / "busy", session_cache)
    assert idle.manifest.world_hash == busy.manifest.world_hash
    books = assert_sound(busy)
    assert "battery" in set(busy.table("jobs")["reason"])
    on_road = [run.table("connectivity")["vehicles"].sum() for run in (idle, busy)]
    assert on_road[0] > on_road[1] + 30  # vehicle-seconds
    spared = idle.table("batteries").groupby("time_s")["after_j"].sum() - books.groupby("time_s")["after_j"].sum()
    assert spared.iloc[0] > 0.0
    empty = [set(r.table("batteries").query("after_j == 0")["vehicle"]) for r in (idle, busy)]
    assert len(empty[1]) > len(empty[0]) > 0


def test_who_is_low_charges_and_drives_on(tmp_path: Path, session_cache: Path) -> None:
    edges = ("c3r3_c3r4", "c6r6_c6r7", "c4r8_c4r9", "c7r5_c7r4")
    places = [{"name": f"plug-{edge}", "edge": edge, "power_w": 2000.0} for edge in edges]
    battery = ROBOTS | {"capacity_j": 80e3, "initial": [0.1, 0.5], "places": places}
    policy = load_policy("stay-charged", {"traffic.low_share": 0.4})
    sent = run(scenario(battery), policy, tmp_path / "sent", session_cache)
    actions = sent.table("actions")
    assert set(actions["action"]) == {"stop"}
    assert set(actions["place"]) <= {place["name"] for place in places}
    batteries = assert_sound(sent)
    charging = batteries[batteries["charged_j"] > 0]
    assert set(charging["vehicle"]) <= set(actions[actions["done"]]["vehicle"])
    assert len(charging) > 3
    assert charging["charged_j"].max() <= 2000.0 * 0.95 * 20.0 + 1.0
    by_socket = scenario(battery, mobility={"map": "portside", "source": "live", "coupling": "traci"})
    again = run(by_socket, policy, tmp_path / "again", session_cache)
    for name in ("batteries", "actions", "jobs", "contacts"):
        assert again.table(name).equals(sent.table(name)), name


@pytest.mark.parametrize(
    ("battery", "message"),
    [
        ({"share": 1.5}, r"key 'battery\.share': found 1\.5; Input should be less than or equal to 1"),
        ({"share": -0.1}, r"key 'battery\.share'"),
        ({"capacity_j": 0.0}, r"key 'battery\.capacity_j': found 0\.0; Input should be greater than 0"),
        ({"initial": 1.2}, r"key 'battery\.initial\[0\]': found 1\.2; Input should be less than or equal to 1"),
        ({"initial": [0.8, 0.4]}, r"initial = \[0\.8, 0\.4\]; the lower end of the range comes first"),
        ({"reserve": 1.0}, r"key 'battery\.reserve': found 1\.0; Input should be less than 1"),
        ({"capcity_j": 1.0}, r"unknown key 'battery\.capcity_j'; did you mean 'capacity_j'\?"),
        ({"places": [{"name": "p", "edge": "e"}] * 2}, r"two places are named 'p'; names must differ"),
    ],
)
def test_what_no_battery_can_be_is_one_error(battery: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        scenario(battery)


def test_sending_vehicles_to_charge_needs_batteries() -> None:
    method_for(scenario({}), load_policy("stay-charged"))
    with pytest.raises(ScenarioError, match=r"'stay-charged' sends vehicles to charge, but none has a battery; add"):
        method_for(scenario(None), load_policy("stay-charged"))


def test_batteries_need_sumo_beside_the_run() -> None:
    with pytest.raises(
        ScenarioError, match=r"s\.toml: \[battery\] needs SUMO beside the run.*mobility\.source = 'live'"
    ):
        scenario({}, mobility={"map": "portside"})


def test_a_number_is_a_range_and_a_world_without_batteries_keeps_its_hash() -> None:
    one = scenario({"initial": 0.7}).battery
    assert one is not None
    assert one.initial == (0.7, 0.7)
    again = scenario_from(scenario({"initial": 0.7}).model_dump(mode="json"), Path("s.toml"))
    assert again.battery == one


@pytest.mark.parametrize(
    ("battery", "message"),
    [
        ({"parameters": {"weight": 1.0}}, r"s\.toml: key 'battery\.parameters': SUMO's energy model has no 'weight'"),
        (
            {"places": [{"name": "p", "edge": "nowhere"}]},
            r"charging place 'p': portside\.net\.xml\.gz has no edge 'nowhere'",
        ),
    ],
)
def test_what_sumo_or_the_net_knows_nothing_of_is_refused_before_anything_is_run(
    battery: dict[str, Any], message: str
) -> None:
    with pytest.raises(ScenarioError, match=message):
        ground_of(scenario(battery))
