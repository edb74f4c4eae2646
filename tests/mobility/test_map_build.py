"""OpenStreetMap extracts become maps: whole, repeatable, on the right side of the road, or one clear error."""

from __future__ import annotations

import bz2
import gzip
import math
from pathlib import Path

import pytest

from iovsim.errors import ScenarioError, TraceError
from iovsim.files import sha256_of
from iovsim.mobility import map_build
from iovsim.mobility.map_build import Demand, build_map
from iovsim.mobility.map_record import read_record
from iovsim.mobility.map_summary import summarise
from iovsim.mobility.osm import unpack
from iovsim.mobility.sumo import record
from iovsim.mobility.trace import Trace

from .osm_town import TOO_LITTLE, town

SHORT = Demand(cars_per_lane_km_hour=60.0, duration_s=120, seed=3)


def extract(folder: Path, text: str, name: str = "town.osm.gz") -> Path:
    path = folder / name
    data = text.encode()
    packed = {".gz": gzip.compress(data, mtime=0), ".bz2": bz2.compress(data)}.get(path.suffix, data)
    path.write_bytes(packed)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("town")
    build_map(extract(folder, town()), folder / "map", SHORT)
    return folder / "map"


def test_a_built_map_is_complete_and_drives(built: Path, tmp_path: Path) -> None:
    made = read_record(built)
    assert {path.name for path in built.iterdir()} == {*made.files, "map.json"}
    assert made.files == {name: sha256_of(built / name) for name in made.files}
    assert "OpenStreetMap contributors" in made.licence
    assert [command.split()[0] for command in made.built["commands"]] == [
        "netconvert",
        "polyconvert",
        "randomTrips.py",
        "duarouter",
    ]
    assert not any(str(Path.home()) in command or "/tmp" in command for command in made.built["commands"])
    trace = Trace(record(built / made.sumocfg, seed=1, cache=tmp_path))
    assert trace.summary().vehicles == summarise(built / made.sumocfg).demand["vehicle"]


def test_roads_and_houses_have_their_true_size(built: Path) -> None:
    found = summarise(built / "map.sumocfg")
    northwards_m, eastwards_m = 0.008 * 111_200, 0.008 * 111_320 * math.cos(math.radians(49.604))
    turned = math.radians(9.0 - 6.104) * math.sin(math.radians(49.604))  # UTM's grid north against true north, zone 32
    wide_m = eastwards_m * math.cos(turned) + northwards_m * math.sin(turned)
    high_m = northwards_m * math.cos(turned) + eastwards_m * math.sin(turned)
    west, south, east, north = found.location.bounds
    assert (east - west, north - south) == pytest.approx((wide_m, high_m), rel=0.003)
    assert found.road_m == pytest.approx(2 * 5 * (northwards_m + eastwards_m), rel=0.1)  # junctions take some of it
    assert len(found.roadmap.buildings) == 2, "a canopy blocks no radio link"
    assert found.location.projection is not None
    assert found.location.degrees == pytest.approx((6.1, 49.6, 6.108, 49.608), abs=1e-4)


def test_density_is_cars_per_hour_and_lane_kilometre(built: Path) -> None:
    found = summarise(built / "map.sumocfg")
    due = 60.0 * found.road_m / 1000 * 120 / 3600
    assert found.demand["vehicle"] == pytest.approx(due, rel=0.15)


def test_equal_extracts_and_seeds_give_equal_bytes(built: Path, tmp_path: Path) -> None:
    build_map(extract(tmp_path, town()), tmp_path / "again", SHORT)
    assert contents(tmp_path / "again") == contents(built)
    build_map(extract(tmp_path, town()), tmp_path / "other", Demand(60.0, 120, seed=4))
    other = contents(tmp_path / "other")
    assert [name for name, data in contents(built).items() if other[name] != data] == ["map.json", "map.rou.xml.gz"]


@pytest.mark.parametrize("name", ["town.osm", "town.osm.gz", "town.osm.bz2"])
def test_extracts_may_be_packed(tmp_path: Path, name: str) -> None:
    facts = unpack(extract(tmp_path, town(), name), tmp_path / "plain.xml")
    assert (facts.roads, facts.buildings) == (10, 3)
    assert facts.area_km2 == pytest.approx(0.89 * 0.577, rel=0.02)


@pytest.mark.parametrize(("ring", "left"), [("clockwise", True), ("counter-clockwise", False), ("", None)])
def test_roundabouts_tell_on_which_side_one_drives(tmp_path: Path, ring: str, left: bool | None) -> None:
    assert unpack(extract(tmp_path, town(ring)), tmp_path / "plain.xml").left_hand is left


def test_what_is_asked_goes_before_what_roundabouts_tell(tmp_path: Path) -> None:
    file = extract(tmp_path, town("clockwise"))
    for asked, due in ((None, True), (False, False)):
        made, _ = build_map(file, tmp_path / str(asked), SHORT, left_hand=asked)
        net = gzip.decompress((tmp_path / str(asked) / "map.net.xml.gz").read_bytes())
        assert made.built["left_hand"] is due
        assert (b'lefthand="true"' in net) is due


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.osm", None, "no such OpenStreetMap extract"),
        ("a.osm", b"<osm><node", r"a\.osm: not OpenStreetMap XML, or cut off \(.*line 1"),
        ("a.osm", b"\x89PNG\r\n\x1a\n", "not OpenStreetMap XML, or cut off"),
        ("a.osm", b"<html><body>too many requests</body></html>", "begins with <html>, expected <osm>"),
        ("a.osm.pbf", b"\x00\x00\x00\x0e\x0a\x09OSMHeader\x18", "packed as PBF.* osmium cat"),
        ("a.osm.gz", gzip.compress(town().encode())[:400], r"damaged packed file \(Compressed file ended"),
        ("a.osm.gz", b"\x1f\x8b\x08\x00" + b"\x07" * 60, "damaged packed file"),
        ("a.osm", TOO_LITTLE.format("").encode(), "holds no roads for cars"),
        ("a.osm", town(highway="footway").encode(), "holds no roads for cars"),
        ("a.osm", town().replace('lat="49.6', 'lat="149.6').encode(), "lat='149.6000000'.*expected degrees"),
    ],
)
def test_unusable_extracts(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ScenarioError, match=message):
        build_map(tmp_path / name, tmp_path / "map", SHORT)
    assert not (tmp_path / "map").exists()


def test_a_road_that_no_trip_fits_into(tmp_path: Path) -> None:
    way = '<way id="9"><nd ref="1"/><nd ref="2"/><tag k="highway" v="primary"/></way>'
    text = TOO_LITTLE.format(way).replace("49.61", "49.601")
    with pytest.raises(ScenarioError, match=r"randomTrips\.py cannot convert it|no trip of 300 m could be made"):
        build_map(extract(tmp_path, text), tmp_path / "map", SHORT)
    assert not (tmp_path / "map").exists()


def test_too_large_an_area_is_refused_before_it_is_converted(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"rectangle of 1 km2, more than 0\.1; cut out"):
        build_map(extract(tmp_path, town()), tmp_path / "map", SHORT, largest_km2=0.1)


@pytest.mark.parametrize(
    ("demand", "message"),
    [
        (Demand(cars_per_lane_km_hour=0.0), r"--density 0: must be from 0\.01 to 2000"),
        (Demand(cars_per_lane_km_hour=math.nan), "--density nan"),
        (Demand(duration_s=0), "--duration 0: must be from 1 to 604800"),
        (Demand(seed=-1), "--seed -1"),
    ],
)
def test_bad_demands(tmp_path: Path, demand: Demand, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        build_map(tmp_path / "unread.osm", tmp_path / "map", demand)


def test_only_a_built_map_can_be_replaced(tmp_path: Path) -> None:
    file = extract(tmp_path, town())
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.tex").touch()
    with pytest.raises(ScenarioError, match=r"holds 1 files; choose another folder \(only a built map can be replaced"):
        build_map(file, tmp_path / "own", SHORT, overwrite=True)
    build_map(file, tmp_path / "map", SHORT)
    with pytest.raises(ScenarioError, match="or replace this map with --overwrite"):
        build_map(file, tmp_path / "map", SHORT)
    build_map(file, tmp_path / "map", Demand(60.0, 60), overwrite=True)
    assert "--end 60 " in read_record(tmp_path / "map").built["commands"][2]
    with pytest.raises(ScenarioError, match="is a file; name a folder"):
        build_map(file, file, SHORT)


def test_without_sumos_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr("iovsim.mobility.sumo_config.sumo_command", lambda: [str(tmp_path / "bin" / "sumo")])
    with pytest.raises(TraceError, match=r"bin/netconvert: this part of SUMO is missing; run: pip install"):
        build_map(extract(tmp_path, town()), tmp_path / "map", SHORT)
    assert not (tmp_path / "map").exists()


def test_a_tool_that_fails_is_told_in_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_build, "NETCONVERT", ("--geometry.remov",))
    with pytest.raises(ScenarioError, match=r"netconvert cannot convert it: On processing option '--geometry\.remov'"):
        build_map(extract(tmp_path, town()), tmp_path / "map", SHORT)
    assert not (tmp_path / "map").exists()
