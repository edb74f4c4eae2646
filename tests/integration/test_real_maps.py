"""Maps that nobody in this project drew, under a policy with real training: one built, one installed, one by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from iovsim.cli import app
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


def test_taxis_of_san_francisco_under_real_cell_sites(shared: Path, tmp_path: Path, session_cache: Path) -> None:
    """Twenty minutes of the built-in world's morning: no net, no SUMO, degrees of taxis and of cells in one plane."""
    day = scenario_file(shared, "cabspotting_sf_day/cabspotting_2008-05-19_497taxis.csv.gz")
    cells = scenario_file(shared, "cabspotting_sf_day/opencellid_verizon_lte_san_francisco.csv")
    command = ["trace", "import", str(day), "--timezone", "America/Los_Angeles", "--box=-122.52,37.70,-122.35,37.83"]
    times = ["--begin", "2008-05-19T08:00", "--end", "2008-05-19T08:21", "-o", str(tmp_path / "taxis")]
    done = CliRunner().invoke(app, [*command, *times])
    assert done.exit_code == 0, done.output
    shorter: dict[str, object] = {"time.start_s": 28_800.0, "time.duration_s": 1200.0, "evaluation.every_merges": 4}
    scenario = load_scenario("san-francisco", shorter | {"rsus.count": 30, "rounds.period_s": 120.0})
    scenario = scenario.with_data("mobility.trace", tmp_path / "taxis").with_data("rsus.file", cells)
    runs = {}
    for policy in ("all-available", "energy-budget"):
        spec = RunSpec(scenario, load_policy(policy), 1, tmp_path / policy)
        runs[policy] = open_run(run_one(spec, session_cache, lambda step, done: None))
    one, other = runs.values()
    assert one.manifest.world_hash == other.manifest.world_hash
    assert one.table("shapes").empty
    assert len(one.table("rsus")) == 30
    met = one.table("connectivity")
    assert met["vehicles"].between(200, 497).all()
    assert 0.3 < met["connected"].sum() / met["vehicles"].sum() < 0.9, "cells stand where the taxis drive"
    for run in runs.values():
        assert (run.table("jobs")["status"] == "delivered").sum() > 100
        curve = run.table("evaluations").query("scope == 'global'")["accuracy"].tolist()
        assert curve[-1] > 0.45 > curve[0], "the largest of the five classes has 43 %"


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


def test_a_minute_of_the_built_in_world_of_luxembourg(shared: Path, tmp_path: Path, session_cache: Path) -> None:
    """The whole city, on the rebuild of LuST that is beside this checkout: 80 RSUs among 13,552 buildings."""
    sumocfg = scenario_file(shared, "lust_luxembourg/lust.sumocfg")
    shorter = {
        "mobility": {"sumocfg": str(sumocfg)},
        "time.duration_s": 60.0,
        "sensors.camera": 1.0,
        "rounds": {"period_s": 30.0, "deadline_s": 28.0, "merge_every": 1},
    }
    scenario = load_scenario("luxembourg", shorter)
    spec = RunSpec(scenario, load_policy("random"), 1, tmp_path / "run")
    run = open_run(run_one(spec, session_cache, lambda step, done: None))
    assert len(run.table("rsus")) == 80
    assert run.table("shapes").query("kind == 'building'")["shape"].nunique() > 13_000
    assert len(run.table("rounds")) == 80 * 2 * 2
    assert (run.table("jobs")["status"] == "delivered").sum() > 10
    assert set(run.table("jobs")["task"]) == {"signs", "lights"}
