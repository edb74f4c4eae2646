"""The commands about maps: what they say, what they refuse, and that worlds find what they have made."""

from __future__ import annotations

from pathlib import Path

import pytest

from iovsim.cli import main
from iovsim.cli.run_commands import warn
from iovsim.mobility.map_record import MapRecord, write_record
from iovsim.mobility.sumo_process import BROKEN
from iovsim.results import Manifest, PolicyRecord
from iovsim.results.manifest import write_manifest

from .conftest import WORLD, Refused

PORTSIDE = Path(__file__).parents[2] / "sumo_maps" / "portside"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IOVSIM_DATA", str(tmp_path / "cache" / "data"))
    return tmp_path / "cache" / "data"


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr("sys.argv", ["iovsim", "map", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("get", "bolonga"), "map 'bolonga': not in the catalogue; did you mean 'bologna'?"),
        (("get", "bologna", "--from", "nowhere"), "nowhere/run.sumocfg: no such file; --from must name a folder"),
        (("get", "best"), "map 'best' cannot be fetched from here: get it from https://github.com/mosaic-addons/best"),
        (("info", "bologna"), "map 'bologna' is public, but not installed; run: iovsim map get bologna"),
        (("info", "gone.sumocfg"), "gone.sumocfg: no such SUMO configuration"),
        (("build", "gone.osm", "-o", "m"), "gone.osm: no such OpenStreetMap extract"),
        (("build", "gone.osm", "-o", "m", "--density", "nan"), "--density nan: must be from 0.01 to 2000"),
    ],
)
def test_mistakes(refused: Refused, arguments: tuple[str, ...], message: str) -> None:
    assert message in refused("map", *arguments)


def test_a_world_on_a_public_map_names_the_command_that_fetches_it(refused: Refused, tmp_path: Path) -> None:
    world = tmp_path / "world.toml"
    world.write_text(WORLD.replace('"portside"', '"bologna"').replace('"npz", path = "data.npz"', '"signs"'))
    for command in (("check", str(world)), ("check", "p1-bologna"), ("run", "p1-bologna", "-p", "random")):
        error = refused(*command)
        assert "key 'mobility.map': map 'bologna' is public, but not installed; run: iovsim map get bologna" in error


def test_list_tells_the_state_of_each(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(monkeypatch, capsys, "list").splitlines()
    for name, state in (("portside", "built in"), ("bologna", "iovsim map get"), ("best", "by hand, then get --from")):
        assert any(name in line and state in line for line in lines)


def test_info_of_a_map_that_is_installed(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = data / "maps" / "harbour"
    place.mkdir(parents=True)
    for file in PORTSIDE.iterdir():
        (place / file.name).write_bytes(file.read_bytes()) if file.suffix in (".gz", ".sumocfg") else None
    write_record(place, MapRecord("portside.sumocfg", "A harbour", "https://example.org", "Apache-2.0", {}))
    (place / "map.sumocfg").write_bytes((place / "portside.sumocfg").read_bytes())
    for name in ("harbour", str(place / "portside.sumocfg"), str(place)):
        out = said(monkeypatch, capsys, "info", name)
        assert "556, 83.5 km, each direction by itself" in out
        assert "172, 33 with signals" in out
        assert "none: metres of its own" in out
        assert "2160 vehicles" in out
        assert "Apache-2.0" in out


def test_broken_routes_are_refused_by_worlds_unless_they_accept_them(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.rou.xml").write_text(
        '<routes><vehicle id="a" depart="0"><route edges="c2r2_c3r2 c6r6_c6r7"/></vehicle></routes>'
    )
    (tmp_path / "own.sumocfg").write_text(
        f'<configuration><input><net-file value="{PORTSIDE / "portside.net.xml.gz"}"/>'
        '<route-files value="own.rou.xml"/></input><ignore-route-errors value="true"/></configuration>'
    )
    world = tmp_path / "world.toml"
    text = WORLD.replace('map = "portside"', 'sumocfg = "own.sumocfg"').replace('"npz", path = "data.npz"', '"signs"')
    world.write_text(text)
    error = refused("check", str(world))
    assert "the routes of 1 vehicles are broken" in error
    assert "accept them with mobility.ignore_route_errors = true" in error
    world.write_text(text.replace('"own.sumocfg"', '"own.sumocfg"\nignore_route_errors = true'))
    monkeypatch.setattr("sys.argv", ["iovsim", "check", str(world)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    assert "errors are ignored; broken: those of 1 vehicles" in capsys.readouterr().out


def test_accepted_broken_routes_are_told_after_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = PolicyRecord(name="p", kind="p", forecast="heading", parameters={})
    for seed, broken in ((1, 3), (2, 7), (3, 0)):
        traffic = {BROKEN: broken, "vehicles loaded": 90} if broken else {}
        (tmp_path / str(seed)).mkdir()
        manifest = Manifest("small", "", seed, policy, scenario={}, charge_as={}, traffic=traffic)
        write_manifest(tmp_path / str(seed), manifest)
    warn([tmp_path / str(seed) for seed in (1, 2, 3)])
    told = capsys.readouterr().err
    assert told.count("warning:") == 1
    assert "vehicles with a broken route, accepted: up to 7 in a run" in told
