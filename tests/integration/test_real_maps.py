"""Maps that nobody in this project drew, under a policy with real training: one built, one installed, one by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from iovsim.config import load_policy, load_scenario, scenario_from
from iovsim.experiment.city import build_city
from iovsim.experiment.run import RunSpec, run_one
from iovsim.experiment.world import without_paths
from iovsim.mobility.catalogue import catalogue
from iovsim.mobility.map_build import Demand, build_map
from iovsim.mobility.map_store import install, map_config
from iovsim.mobility.roadmap import read_map
from iovsim.mobility.sumo_config import inputs
from iovsim.results import Run, open_run

TASK = {
    "name": "signs",
    "data": {"kind": "signs", "train": 800, "test": 200},
    "lora": {"top_blocks": 1},
    "training": {"learning_rate": 5e-3},
    "shards": {"samples": 40, "label_alpha": 1.0},
    "round_energy_j": 300.0,
}


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IOVSIM_DATA", str(tmp_path / "data"))


def scenario_file(shared: Path, name: str) -> Path:
    path = shared / "scenarios" / name
    if not path.exists():
        pytest.skip(f"{name} is not beside this checkout")
    return path


def trained(folder: Path, cache: Path, start_s: float, mobility: dict[str, object], rsus: dict[str, object]) -> Run:
    """A minute and a half of a map, under a policy that heeds energy."""
    scenario = scenario_from(
        {
            "name": "real-map",
            "time": {"start_s": start_s, "duration_s": 90.0},
            "mobility": mobility,
            "rsus": {"placement": "junctions", "range_m": 200.0} | rsus,
            "tasks": [TASK],
            "rounds": {"period_s": 15.0, "deadline_s": 14.0, "merge_every": 1},
            "evaluation": {"every_merges": 6, "vehicles": 5},
        },
        folder / "world.toml",
    )
    spec = RunSpec(scenario, load_policy("energy-budget"), 1, folder / "run")
    return open_run(run_one(spec, cache, lambda step, done: None))


def check(run: Run) -> None:
    """Jobs were delivered, walls blocked some of the links, and the merged adapter has learnt."""
    assert (run.table("jobs")["status"] == "delivered").sum() > 10
    seen = run.table("contacts")["los_share"]
    assert seen.min() < 0.5 < seen.max()
    curve = run.table("evaluations").query("scope == 'global'")["accuracy"].tolist()
    assert curve[0] < 0.1, "the untrained head guesses among 43 classes"
    assert curve[-1] > curve[0] + 0.05


def test_an_extract_of_dublin_with_generated_demand(shared: Path, tmp_path: Path, session_cache: Path) -> None:
    osm = scenario_file(shared, "osm_docklands/docklands_osm.xml.gz")
    made, facts = build_map(osm, tmp_path / "docklands", Demand(cars_per_lane_km_hour=25.0, duration_s=400))
    assert len(read_map(inputs(tmp_path / "docklands" / made.sumocfg)).buildings) > 1000
    assert facts.left_hand is True, "one drives on the left in Ireland"
    assert made.built["left_hand"] is True
    run = trained(tmp_path, session_cache, 240.0, {"sumocfg": "docklands/map.sumocfg"}, {"count": 3})
    check(run)


def test_erlangen_with_its_buildings(shared: Path, tmp_path: Path, session_cache: Path) -> None:
    """Its net has no signals, and its one stream of vehicles drives away from the campus."""
    install(catalogue()["erlangen"], scenario_file(shared, "erlangen_veins"))
    assert len(read_map(inputs(map_config("erlangen"))).buildings) == 743
    sites = [
        {"name": "campus", "x_m": 646_850.0, "y_m": 5_493_070.0},
        {"name": "bend", "x_m": 646_500.0, "y_m": 5_492_800.0},
    ]
    run = trained(tmp_path, session_cache, 60.0, {"map": "erlangen"}, {"placement": "sites", "sites": sites})
    check(run)


def test_the_built_in_world_of_bologna(shared: Path, tmp_path: Path, session_cache: Path) -> None:
    """It is P1's world but for the city, and the same whether its map is installed or named by its file."""
    folder = scenario_file(shared, "bologna_joined")
    here, there = without_paths(load_scenario("p1-bologna")), without_paths(load_scenario("p1"))
    changed = {key for key in here if here[key] != there[key]}
    assert changed == {"name", "time", "sensors"}
    install(catalogue()["bologna"], folder)
    shorter: dict[str, object] = {"time.start_s": 30.0, "time.duration_s": 30.0}
    installed = load_scenario("p1-bologna", shorter)
    named = load_scenario("p1-bologna", shorter | {"mobility": {"sumocfg": str(folder / "run.sumocfg")}})
    one, two = (build_city(world, 1, session_cache, lambda step, done: None) for world in (installed, named))
    assert one.folder == two.folder
    assert len(one.rsus) == 5
