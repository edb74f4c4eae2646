"""Worlds without a net: a trace alone carries contacts, radio, training, tables and figures, and says what it lacks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyproj
import pytest
from iovsim.analysis.maps import placement_map

from iovsim.config import Scenario, load_policy, load_scenario, scenario_from
from iovsim.errors import IovsimError, ScenarioError
from iovsim.experiment.check import check_scenario
from iovsim.experiment.city import build_city
from iovsim.experiment.ground import ground_of
from iovsim.experiment.inputs import scenario_inputs
from iovsim.experiment.reach import reached
from iovsim.experiment.run import RunSpec, run_one, state_of
from iovsim.experiment.world import build_world
from iovsim.mobility import sumo
from iovsim.mobility.planes import Plane
from iovsim.mobility.sumo_config import SumoInputs
from iovsim.mobility.trace import Trace
from iovsim.mobility.trace.export import export
from iovsim.results import Stage, open_run

from .tracks import BLOCK_M, PLANE, SOUTH_M, WEST_M, write_town

TASK = {
    "name": "signs",
    "data": {"kind": "signs", "train": 400, "test": 40},
    "charge_as": "vit-base-patch16-224",
    "lora": {"top_blocks": 1},
    "training": {"learning_rate": 5e-3},
    "shards": {"samples": 20},
    "round_energy_j": 200.0,
}

NET = f"""<net><location netOffset="0.00,0.00" convBoundary="{WEST_M},{SOUTH_M},{WEST_M + 800},{SOUTH_M + 400}"
 origBoundary="-122.42,37.76,-122.41,37.77" projParameter="{PLANE.projection}"/>
<edge id="e" from="a" to="b"><lane id="e_0" index="0" length="800" speed="10"
 shape="{WEST_M},{SOUTH_M} {WEST_M + 800},{SOUTH_M}"/></edge>
<junction id="a" type="traffic_light" x="{WEST_M}" y="{SOUTH_M}"/>
<junction id="b" type="priority" x="{WEST_M + 800}" y="{SOUTH_M}"/></net>"""

HOUSE = '<additional><poly id="h" type="building" shape="{}"/></additional>'


def world(
    folder: Path, rsus: dict[str, Any] | None = None, time: dict[str, Any] | None = None, **mobility: Any
) -> Scenario:
    content = {
        "name": "taxis",
        "time": {"start_s": 20.0, "duration_s": 120.0} | (time or {}),
        "mobility": {"trace": "town"} | mobility,
        "rsus": rsus or {"placement": "grid", "count": 2, "range_m": 260.0},
        "tasks": [TASK],
        "rounds": {"period_s": 30.0, "deadline_s": 28.0, "merge_every": 1},
    }
    return scenario_from(content, folder / "world.toml")


def nothing(step: str, done: float) -> None:
    pass


@pytest.fixture(autouse=True)
def no_sumo(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of these worlds may ask SUMO anything."""

    def never(*arguments: object, **options: object) -> SumoInputs:
        raise AssertionError("SUMO was asked")

    monkeypatch.setattr(sumo, "inputs", never)
    monkeypatch.setattr("iovsim.mobility.sumo_config.sumo_command", never)


@pytest.fixture
def town(tmp_path: Path) -> Path:
    write_town(tmp_path / "town")
    return tmp_path


def test_a_trace_alone_is_a_world_with_real_training(town: Path, session_cache: Path) -> None:
    scenario = world(town)
    spec = RunSpec(scenario, load_policy("all-available"), 1, town / "run")
    run_one(spec, session_cache, nothing)
    run = open_run(town / "run")
    assert run.table("jobs")["status"].eq("delivered").sum() > 10
    curve = run.table("evaluations").query("scope == 'global'")["accuracy"]
    assert curve.iloc[-1] > curve.iloc[0]
    assert run.table("shapes").empty
    assert run.manifest.origin is not None
    assert list(run.manifest.origin.inputs) == ["mobility.trace"]
    assert state_of(spec).stage is Stage.COMPLETE


def test_a_trace_s_content_decides_whether_a_run_is_the_same(town: Path, session_cache: Path) -> None:
    scenario = world(town)
    before = scenario_inputs(scenario)["mobility.trace"].sha256
    one = build_world(scenario, 1, session_cache, nothing)
    shutil.copytree(town / "town", town / "elsewhere")
    moved = build_world(world(town, trace="elsewhere"), 1, session_cache, nothing)
    assert (moved.world.hash, moved.city.folder) == (one.world.hash, one.city.folder)
    shutil.rmtree(town / "town")
    write_town(town / "town", vehicles=7)
    other = build_world(scenario, 1, session_cache, nothing)
    assert scenario_inputs(scenario)["mobility.trace"].sha256 != before
    assert other.world.hash != one.world.hash
    assert other.city.folder != one.city.folder


def test_the_room_is_that_of_the_trace_and_a_verge(town: Path) -> None:
    ground = ground_of(world(town))
    verge = 50.0
    room = (WEST_M - verge, SOUTH_M - verge, WEST_M + 2 * BLOCK_M + verge, SOUTH_M + BLOCK_M + verge)
    assert ground.roadmap.bounds == room
    assert (ground.plane, ground.files, ground.sumo) == (PLANE, (), None)
    export(Trace(town / "town"), town / "fcd.parquet")
    of_sumo = ground_of(world(town, trace="fcd.parquet"))
    assert (of_sumo.roadmap.bounds, of_sumo.plane) == (room, None), "SUMO's own file does not say where it lies"


def test_sites_in_degrees_stand_in_the_trace_s_own_plane(town: Path, session_cache: Path) -> None:
    """Two corners of the town, in degrees by pyproj's inverse, and as metres, are the same RSUs."""
    corners = [(WEST_M, SOUTH_M), (WEST_M + 2 * BLOCK_M, SOUTH_M + BLOCK_M)]
    utm = pyproj.Proj(PLANE.projection)
    rows = [utm(x_m, y_m, inverse=True) for x_m, y_m in corners]
    (town / "sites.csv").write_text("lon,lat\n" + "\n".join(f"{lon:.9f},{lat:.9f}" for lon, lat in rows))
    city = build_city(world(town, {"placement": "file", "file": "sites.csv"}), 1, session_cache, nothing)
    assert np.allclose([(rsu.x_m, rsu.y_m) for rsu in city.rsus], corners, atol=0.01)
    assert len(city.contacts) > 0


def test_sites_in_degrees_need_a_plane(tmp_path: Path, session_cache: Path) -> None:
    write_town(tmp_path / "town", plane=None)
    (tmp_path / "sites.csv").write_text("lon,lat\n-122.4,37.7\n")
    with pytest.raises(ScenarioError, match=r"in degrees, but the map or trace says nothing of its projection"):
        build_city(world(tmp_path, {"placement": "file", "file": "sites.csv"}), 1, session_cache, nothing)


def test_a_register_s_counts_are_told(town: Path, session_cache: Path) -> None:
    header = "radio,mcc,net,area,cell,lon,lat,samples"
    lon, lat = pyproj.Proj(PLANE.projection)(WEST_M + BLOCK_M, SOUTH_M + BLOCK_M, inverse=True)
    cells = [f"LTE,310,1,1,{cell},{lon},{lat},9" for cell in (256, 257, 258)] + ["LTE,310,1,1,512,0,0,9"]
    (town / "cells.csv").write_text("\n".join([header, *cells]))
    scenario = world(town, {"placement": "file", "file": "cells.csv"})
    counts = {"cells joined to others of their base station": 2, "base stations outside the map": 1}
    assert reached(scenario, 1, session_cache, nothing).counted == counts
    (line,) = [line for line in check_scenario(scenario, [], session_cache) if line.startswith("RSUs")]
    assert line.startswith("RSUs: 1 (1 base stations outside the map, 2 cells joined to others of their base station),")


def test_figures_need_no_roads(town: Path, session_cache: Path) -> None:
    found = reached(world(town), 1, session_cache, nothing)
    figures = found.figures()
    assert figures["covered_road_share"] is None
    assert found.shapes.empty
    assert figures["connected_share"] is not None
    assert 0.3 < figures["connected_share"] < 1.0
    assert figures["seen_share"] == pytest.approx(figures["connected_share"], abs=0.02), "nothing hides anybody"
    assert placement_map(found.rsus, found.density, found.shapes, "no roads").axes


def test_a_net_and_buildings_may_lie_beside_the_trace(town: Path, session_cache: Path) -> None:
    (town / "net.xml").write_text(NET)
    corners = ((300, 100), (350, 100), (350, 300), (300, 300))
    (town / "houses.xml").write_text(HOUSE.format(" ".join(f"{WEST_M + x},{SOUTH_M + y}" for x, y in corners)))
    sites = {"placement": "sites", "sites": [{"name": "a", "x_m": WEST_M + 200, "y_m": SOUTH_M + 200}]}
    junctions = {"placement": "junctions", "count": 1}
    with_net = build_city(world(town, junctions, net="net.xml"), 1, session_cache, nothing)
    assert [(rsu.x_m, rsu.y_m) for rsu in with_net.rsus] == [(WEST_M, SOUTH_M)]
    assert len(with_net.roadmap.roads) == 1
    hidden = build_city(world(town, sites, buildings="houses.xml"), 1, session_cache, nothing)
    open_air = build_city(world(town, sites), 1, session_cache, nothing)
    assert len(hidden.roadmap.buildings) == 1
    assert hidden.links.frame()["nlos_share"].max() > 0.1
    assert hidden.map_sha256 != open_air.map_sha256
    assert {"mobility.trace", "mobility.buildings"} == set(scenario_inputs(world(town, buildings="houses.xml")))


@pytest.mark.parametrize(
    ("mobility", "message"),
    [
        ({"trace": None}, r"give either 'map' .* or neither, but a 'trace'"),
        ({"map": "portside", "net": "n.xml"}, r"'net' is for a trace alone; 'map' has its own"),
        ({"source": "live"}, r"'trace' is traffic of the past; .* name a 'map' or 'sumocfg'"),
        ({"seed": 3}, r"'seed', 'step_s' and 'ignore_route_errors' are SUMO's, and a trace alone runs none"),
    ],
)
def test_what_a_trace_alone_cannot_be(tmp_path: Path, mobility: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        world(tmp_path, **mobility)


@pytest.mark.parametrize("placement", ["junctions", "centrality", "coverage", "sight", "k-means"])
def test_placements_at_junctions_need_a_net(tmp_path: Path, placement: str) -> None:
    with pytest.raises(ScenarioError, match=r"puts RSUs at junctions, and a trace alone has none: add mobility.net,"):
        world(tmp_path, {"placement": placement, "count": 2})


def refusal(scenario: Scenario, cache: Path) -> str:
    """What `check` and `run` both say."""
    with pytest.raises(IovsimError) as checked:
        [*check_scenario(scenario, [], cache)]
    with pytest.raises(IovsimError) as built:
        build_world(scenario, 1, cache, nothing)
    assert str(checked.value) == str(built.value)
    return str(built.value)


@pytest.mark.parametrize(
    ("time", "message"),
    [
        ({"duration_s": 181.0}, "covers 0 s to 200 s, but the scenario runs from 20 s to 201 s; change [time]"),
        ({"start_s": 300.0}, "covers 0 s to 200 s, but the scenario runs from 300 s to 420 s; change [time]"),
    ],
)
def test_a_trace_must_cover_the_time(town: Path, session_cache: Path, time: dict[str, Any], message: str) -> None:
    told = refusal(world(town, time=time), session_cache)
    assert f"key 'mobility.trace': {town / 'town'}: {message}" in told


def test_one_vehicle_is_too_few(tmp_path: Path, session_cache: Path) -> None:
    write_town(tmp_path / "town", vehicles=1)
    assert "holds one vehicle, 'taxi00', from 20 s to 140 s; two are needed" in refusal(world(tmp_path), session_cache)


def test_degrees_are_no_metres(tmp_path: Path, session_cache: Path) -> None:
    degrees = tmp_path / "town"
    write_town(tmp_path / "metres")
    trace = Trace(tmp_path / "metres")
    export(trace, tmp_path / "fcd.parquet")
    table = pd.read_parquet(tmp_path / "fcd.parquet")
    place = pyproj.Proj(PLANE.projection)(table["vehicle_x"], table["vehicle_y"], inverse=True)
    table["vehicle_x"], table["vehicle_y"] = place
    table.to_parquet(degrees.with_suffix(".parquet"))
    told = refusal(world(tmp_path, trace="town.parquet"), session_cache)
    assert "all vehicles are between (-122.4" in told
    assert "look like degrees, or nobody moves; metres are needed. `iovsim trace import`" in told


def test_a_net_of_another_plane_is_refused(town: Path, session_cache: Path) -> None:
    (town / "net.xml").write_text(NET.replace("+zone=10", "+zone=11"))
    told = refusal(world(town, net="net.xml"), session_cache)
    assert "its metres are those of +proj=utm +zone=10" in told
    assert told.endswith("import it with --net and this net.")


def test_a_trace_beside_the_net_is_refused(tmp_path: Path, session_cache: Path) -> None:
    write_town(tmp_path / "town", plane=None)
    far = f"{WEST_M + 5000},{SOUTH_M},{WEST_M + 6000},{SOUTH_M + 400}"
    shifted = NET.replace(f"{WEST_M},{SOUTH_M},{WEST_M + 800},{SOUTH_M + 400}", far)
    (tmp_path / "net.xml").write_text(shifted)
    assert "no vehicle comes onto the map net.xml" in refusal(world(tmp_path, net="net.xml"), session_cache)


@pytest.mark.parametrize("key", ["net", "buildings"])
def test_named_files_must_be_there(town: Path, session_cache: Path, key: str) -> None:
    mobility: dict[str, Any] = {key: "gone.xml"}
    told = refusal(world(town, None, None, **mobility), session_cache)
    assert f"key 'mobility.{key}': {town / 'gone.xml'}: no such file" in told


def test_buildings_of_another_frame_are_refused(town: Path, session_cache: Path) -> None:
    (town / "houses.xml").write_text(HOUSE.format("0,0 10,0 10,10"))
    assert "none of the 1 buildings stands on the trace" in refusal(world(town, buildings="houses.xml"), session_cache)


def test_files_are_moved_by_their_keys(town: Path) -> None:
    scenario = load_scenario("san-francisco")
    moved = scenario.with_data("mobility.trace", town / "town").with_data("rsus.file", town / "cells.csv")
    assert (moved.mobility.trace, moved.rsus.file) == (town / "town", town / "cells.csv")
    with pytest.raises(ScenarioError, match=r"no task 'mobility.net'; did you mean 'mobility.trace'\?"):
        scenario.with_data("mobility.net", town)


def test_a_plane_is_told_apart_by_its_offset() -> None:
    assert Plane(PLANE.projection) == PLANE
    assert Plane(PLANE.projection, 1.0) != PLANE
