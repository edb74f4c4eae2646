"""The commands of `trace`: each leaves a trace that says what it is, or one clear error and nothing."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from iovsim.cli import app
from iovsim.errors import IovsimError, TraceError
from iovsim.mobility.trace import Trace
from iovsim.paths import shared_dir

PORTSIDE = Path(__file__).parents[2] / "sumo_maps" / "portside"


def run(*arguments: object) -> str:
    """The command's output. What it raises goes on: `iovsim.cli.main` makes one line of that."""
    result = CliRunner().invoke(app, ["trace", *map(str, arguments)], env={"COLUMNS": "200"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    run("record", "portside", "--end", 60, "--out", folder / "p", "--cache", folder)
    return folder / "p"


def test_a_recorded_folder_says_what_it_is(recorded: Path) -> None:
    said = run("info", recorded)
    assert "portside.sumocfg, seed 1" in said
    assert "source: vehicles inserted" in said
    assert "unfinished" not in said


def test_an_unfinished_recording_says_so(recorded: Path, tmp_path: Path) -> None:
    run("record", "portside", "--end", 900, "--out", tmp_path / "p", "--cache", tmp_path)
    sorted((tmp_path / "p").iterdir())[-1].unlink()
    assert "recording is unfinished" in run("info", tmp_path / "p")


def test_a_recording_in_one_file_comes_from_the_cache(tmp_path: Path) -> None:
    run("record", "portside", "--end", 60, "--out", tmp_path / "p.parquet", "--cache", tmp_path)
    assert (tmp_path / "p.parquet").read_bytes() == next((tmp_path / "traces").iterdir()).read_bytes()


def test_a_recording_may_be_mesoscopic_and_have_another_step(tmp_path: Path) -> None:
    said = run("record", "portside", "--end", 60, "--mesoscopic", "--step", 0.5, "--cache", tmp_path)
    assert "portside.sumocfg, seed 1, mesoscopic" in said
    assert "0.5 s" in said
    assert "source: samples placed on junctions" in said


@pytest.mark.parametrize("ignore", ["", '<ignore-route-errors value="true"/>'])
@pytest.mark.parametrize("out", ["kept", "kept.parquet"])
def test_broken_routes_are_refused_unless_they_are_accepted(tmp_path: Path, out: str, ignore: str) -> None:
    (tmp_path / "own.rou.xml").write_text(
        '<routes><vehicle id="a" depart="0"><route edges="c2r2_c3r2 c6r6_c6r7"/></vehicle></routes>'
    )
    own = tmp_path / "own.sumocfg"
    own.write_text(
        f'<configuration><input><net-file value="{PORTSIDE / "portside.net.xml.gz"}"/>'
        f'<route-files value="own.rou.xml"/></input><time><end value="30"/></time>{ignore}</configuration>'
    )
    command = ("record", own, "--out", tmp_path / out, "--cache", tmp_path)
    with pytest.raises(TraceError, match="the routes of 1 vehicles are broken"):
        run(*command)
    assert not (tmp_path / out).exists()
    assert "vehicles with a broken route" in run(*command, "--ignore-route-errors")


def test_a_recorded_trace_knows_the_plane_of_its_net(recorded: Path, tmp_path: Path) -> None:
    """Portside's net has no projection; with one, all that is made of the trace keeps it, and another's is refused."""
    assert Trace(recorded).plane is None
    folder = shutil.copytree(shared_dir("sumo_maps") / "portside", tmp_path / "map")
    net = folder / "portside.net.xml.gz"
    text = gzip.decompress(net.read_bytes()).decode()
    for zone, name in ((10, "west"), (11, "east")):
        plane = f'projParameter="+proj=utm +zone={zone} +ellps=WGS84 +datum=WGS84 +units=m +no_defs"'
        net.write_bytes(gzip.compress(text.replace('projParameter="!"', plane).encode()))
        run("record", folder / "portside.sumocfg", "--end", 30, "--out", tmp_path / name, "--cache", tmp_path)
        found = Trace(tmp_path / name).plane
        assert found is not None
        assert f"+zone={zone}" in found.projection
    run("cut", tmp_path / "west", "--begin", 10, "--out", tmp_path / "cut")
    run("merge", tmp_path / "west", tmp_path / "cut", "--out", tmp_path / "both")
    run("sample", tmp_path / "both", "--share", 0.9, "--out", tmp_path / "some")
    assert Trace(tmp_path / "some").plane == Trace(tmp_path / "west").plane
    assert "+zone=10" in run("info", tmp_path / "some")
    with pytest.raises(IovsimError, match="merge of west, east: their metres are of different planes"):
        run("merge", tmp_path / "west", tmp_path / "east", "--out", tmp_path / "no")
    run("merge", tmp_path / "west", recorded, "--out", tmp_path / "unknown")
    assert Trace(tmp_path / "unknown").plane is None


def test_changed_traces_are_traces(recorded: Path, tmp_path: Path) -> None:
    run("cut", recorded, "--begin", 10, "--end", 40, "--box", "0,0,1500,1500", "--out", tmp_path / "cut")
    cut = Trace(tmp_path / "cut")
    assert (cut.begin_s, cut.end_s) == (10.0, 39.0)
    assert "trace merge of p, cut" in run("merge", recorded, tmp_path / "cut", "--out", tmp_path / "both.parquet")
    assert Trace(tmp_path / "both.parquet").rows == Trace(recorded).rows + cut.rows
    run("sample", recorded, "--share", 0.5, "--step", 2, "--out", tmp_path / "some.parquet")
    assert Trace(tmp_path / "some.parquet").step_s == 2.0
    run("export", recorded, "--out", tmp_path / "fcd.parquet")
    assert Trace(tmp_path / "fcd.parquet").rows == Trace(recorded).rows


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cut", "--box", "3,0,1,9"), "write west,south,east,north"),
        (("cut", "--begin", "5000"), "--begin 5000, --end .*: .* covers 0 s to .* s; cut a part of that"),
        (("cut", "--begin", "30", "--end", "20"), "--begin 30, --end 20: .*; cut a part of that"),
        (("sample", "--share", "2"), "at most 1"),
        (("export",), "cannot tell what to write"),
    ],
)
def test_mistakes_leave_nothing(recorded: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(IovsimError, match=message):
        run(arguments[0], recorded, *arguments[1:], "--out", tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
