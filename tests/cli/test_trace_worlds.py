"""Worlds on a trace alone: one from tracks to figures; and those that cannot be: one clear line, exit code 2."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from iovsim.cli import app

from .conftest import WORLD, Refused

ALONE = WORLD.replace('map = "portside"', 'trace = "tracks"').replace(
    """placement = "sites"
[[rsus.sites]]
name = "a"
x_m = 1000.0
y_m = 1000.0
""",
    """placement = "grid"
count = 1
range_m = 500.0
""",
)
LON, LAT, DEGREE_M = -122.4, 37.78, 111_320.0


def tracks(path: Path, vehicles: int = 4, seconds: int = 120) -> Path:
    """Vehicles that drive in a circle of 300 m, heard every 10 s, in degrees."""
    rows = ["taxi,time,lat,lon"]
    for vehicle in range(vehicles):
        for second in range(0, seconds + 1, 10):
            turn = second / 120 * 2 * math.pi + vehicle
            east_m, north_m = 300 * math.cos(turn), 300 * math.sin(turn)
            lon = LON + east_m / DEGREE_M / math.cos(math.radians(LAT))
            rows.append(f"cab{vehicle},{second},{LAT + north_m / DEGREE_M:.6f},{lon:.6f}")
    path.write_text("\n".join(rows))
    return path


def command(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


Place = Callable[..., None]


@pytest.fixture
def place(world: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The world and its trace in the current folder, with changes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IOVSIM_CACHE", str(tmp_path / "cache"))

    def put(old: str = "", new: str = "", **how: int) -> None:
        world()
        assert old in ALONE
        (tmp_path / "world.toml").write_text(ALONE.replace(old, new, 1) if old else ALONE)
        told = command("trace", "import", str(tracks(tmp_path / "gps.csv", **how)), "-o", "tracks")
        assert 'in a world: mobility = { trace = "tracks" }' in told

    return put


def test_from_one_s_own_tracks_to_figures(place: Place, tmp_path: Path) -> None:
    """What a user does with tracks: import, check, look at the RSUs, run twice (the second keeps all), draw."""
    place()
    assert "no roads (a trace alone)" in command("check", "world.toml", "-p", "random")
    assert "vehicle time" in command("rsus", "world.toml", "-o", "rsus")
    run = ("run", "world.toml", "-p", "random", "-o", "runs")
    assert "finished" in command(*run)
    assert "complete, kept" in command(*run)
    command("figures", "runs", "-o", "figures")
    assert {path.suffix for path in (tmp_path / "rsus").iterdir()} == {".csv", ".png", ".pdf", ".svg"}
    assert list((tmp_path / "figures").rglob("*.png"))


def test_a_changed_trace_is_another_run(place: Place, refused: Refused, tmp_path: Path) -> None:
    place()
    run = ("run", "world.toml", "-p", "random", "-o", "runs")
    command(*run)
    command("trace", "cut", "tracks", "--end", "100", "-o", "shorter")
    told = refused(*run, "--data", "mobility.trace=shorter")
    assert "holds another run" in told
    assert "mobility.trace" in told


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"tracks"', '"gone"', "key 'mobility.trace': {folder}/gone: no such trace; make one (`iovsim trace import`"),
        ('"tracks"', '"gps.csv"', "key 'mobility.trace': {folder}/gps.csv: not a Parquet file, as traces are; `iovsim"),
        ("duration_s = 60.0", "duration_s = 600.0", "covers 0 s to 120 s, but the scenario runs from 10 s to 610 s"),
        ("start_s = 10.0", "start_s = 7200.0", "covers 0 s to 120 s, but the scenario runs from 7200 s to 7260 s"),
        ('placement = "grid"', 'placement = "coverage"', "puts RSUs at junctions, and a trace alone has none"),
        ('"tracks"', '"tracks"\nsource = "live"', "'trace' is traffic of the past"),
        ('"tracks"', '"tracks"\nnet = "gone.net.xml"', "key 'mobility.net': {folder}/gone.net.xml: no such file"),
    ],
)
def test_wrong_worlds(place: Place, refused: Refused, tmp_path: Path, old: str, new: str, message: str) -> None:
    place(old, new)
    expected = message.format(folder=tmp_path)
    assert expected in refused("run", "world.toml", "-p", "random", "-o", "runs")
    assert expected in refused("check", "world.toml")


def test_one_vehicle(place: Place, refused: Refused) -> None:
    place(vehicles=1)
    assert "holds one vehicle, 'cab0', from 10 s to 70 s; two are needed" in refused(
        "run", "world.toml", "-p", "random"
    )


@pytest.mark.parametrize(
    ("sites", "message"),
    [
        ("lat,lon\n-122.4,37.78", "sites.csv, line 2: longitude 37.78, latitude -122.4 is no place on Earth; are they"),
        ("lat,lon\n38.9,-122.4", "lies outside the map"),
        ("radio,mcc,cell,net,lat,lon,samples\nLTE,1,1,1,38.9,-122.4,5", "0 sites are on the map, 1 wanted"),
        ("lat,lon\n37.78,-122.4\n37.78,0", "lies outside the map"),
    ],
)
def test_sites_beside_the_trace(place: Place, refused: Refused, tmp_path: Path, sites: str, message: str) -> None:
    place('placement = "grid"', 'placement = "file"\nfile = "sites.csv"')
    (tmp_path / "sites.csv").write_text(sites)
    assert message in refused("run", "world.toml", "-p", "random")
