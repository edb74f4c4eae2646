"""`trace import`: a trace that says what was mended, or one clear error and nothing left behind."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from iovsim.cli import app, import_commands
from iovsim.errors import TraceError
from iovsim.mobility.importers.cleaning import Cleaning
from iovsim.mobility.importers.gps import GpsOptions
from iovsim.mobility.planes import Plane
from iovsim.mobility.trace import Trace
from iovsim.mobility.trace.format import Note

FCD = "timestep_time;vehicle_id;vehicle_x;vehicle_y;vehicle_speed;vehicle_angle\n"


def run(*arguments: str) -> str:
    """The command's output. What it raises goes on: `iovsim.cli.main` makes one line of that."""
    result = CliRunner().invoke(app, ["trace", "import", *arguments], env={"COLUMNS": "200"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def fcd(tmp_path: Path) -> Path:
    path = tmp_path / "fcd.csv"
    path.write_text(FCD + "".join(f"{t};a;{10 * t};5;10;90\n" for t in range(200)) + "199;a;0;0;0;0\n")
    return path


@pytest.fixture
def taxis(tmp_path: Path) -> Path:
    path = tmp_path / "taxis.csv"
    rows = [
        (f"t{v}", 1_211_200_000 + 30 * k, 37.76 + 0.001 * k, -122.42 - 0.001 * v) for v in range(3) for k in range(9)
    ]
    path.write_text("taxi,when,lat,lon\n" + "".join(f"{v},{t},{lat},{lon}\n" for v, t, lat, lon in rows))
    return path


@pytest.mark.parametrize("out", ["trace", "trace.parquet"])
def test_fcd_becomes_a_trace_that_notes_its_repairs(fcd: Path, tmp_path: Path, out: str) -> None:
    printed = run(str(fcd), "--out", str(tmp_path / out))
    assert "kind: fcd" in printed
    assert re.search(r"source: duplicates +│ 1 ", printed)
    trace = Trace(tmp_path / out)
    assert (trace.begin_s, trace.end_s, trace.step_s, trace.rows) == (0.0, 199.0, 1.0, 200)
    x_m = np.concatenate([window.x_m for window in trace.windows()])
    assert x_m.tolist() == [10.0 * t for t in range(200)]
    last = sorted((tmp_path / out).glob("*.parquet"))[-1] if out == "trace" else tmp_path / out
    note = Note.of(pq.read_metadata(last).metadata)
    assert note is not None
    assert note.complete
    assert note.net
    assert note.counts == {"duplicates": 1}
    assert note.source == "trace import of fcd.csv, fcd"


def test_tracks_with_mapped_columns(taxis: Path, tmp_path: Path) -> None:
    printed = run(str(taxis), "-o", str(tmp_path / "t"), "--map-columns", "id=taxi,time=when", "--step", "5")
    for line in ("columns: id=taxi, time=when, lat=lat, lon=lon", "time 0: 2008-05-19T00:00:00+00:00", "+zone=10"):
        assert line in printed
    trace = Trace(tmp_path / "t")
    assert (trace.step_s, trace.end_s - trace.begin_s) == (5.0, 240.0)
    assert trace.summary().vehicles == 3
    assert trace.plane == Plane("+proj=utm +zone=10 +datum=WGS84 +units=m +no_defs")
    assert not trace.net


def test_ns2(tmp_path: Path) -> None:
    moves = tmp_path / "moves.tcl"
    moves.write_text('$node_(0) set X_ 0\n$node_(0) set Y_ 0\n$ns_ at 5 "$node_(0) setdest 100 0 10"\n')
    run(str(moves), "-o", str(tmp_path / "t"), "--begin", "7", "--present", "always")
    trace = Trace(tmp_path / "t")
    assert (trace.begin_s, trace.end_s) == (7.0, 15.0)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--kind", "gpx"], "--kind 'gpx'"),
        (["--match"], "--match: only for --kind gps; .*fcd.csv is read as fcd"),
        (["--present", "always"], "--present: only for --kind ns2"),
        (["--begin", "2008-05-19"], "--begin '2008-05-19': must be a second of the trace"),
        (["--kind", "gps", "--match"], "--match: needs the roads"),
        (["--kind", "gps", "--box", "1,2,3"], "--box '1,2,3': write west,south,east,north"),
        (["--kind", "gps", "--map-columns", "id"], "write role=column"),
        (["--geographic"], r"position \(1990, 5\) is no longitude|position \(190, 5\) is no longitude"),
    ],
)
def test_mistakes_leave_nothing(fcd: Path, tmp_path: Path, options: list[str], match: str) -> None:
    with pytest.raises(TraceError, match=match):
        run(str(fcd), "-o", str(tmp_path / "trace"), *options)
    assert [path.name for path in tmp_path.iterdir()] == ["fcd.csv"]


def test_a_file_that_breaks_off_leaves_nothing(fcd: Path, tmp_path: Path) -> None:
    """Long enough for parts of the trace to be there when the end is found missing."""
    text = FCD + "".join(f"{t};v{v};{10 * t};{v};10;90\n" for t in range(900) for v in range(100))
    fcd.write_text(text[:-10])
    for out in ("trace", "trace.parquet"):
        with pytest.raises(TraceError, match="columns"):
            run(str(fcd), "-o", str(tmp_path / out))
    assert [path.name for path in tmp_path.iterdir()] == ["fcd.csv"]


def test_what_is_there_stays(fcd: Path, tmp_path: Path) -> None:
    (tmp_path / "trace").mkdir()
    (tmp_path / "trace" / "mine.txt").write_text("mine")
    (tmp_path / "folder.parquet").mkdir()
    for out, match in (
        ("trace", "this folder is not empty"),
        ("fcd.csv", "let the name end in"),
        ("folder.parquet", "folder"),
    ):
        with pytest.raises(TraceError, match=match):
            run(str(fcd), "-o", str(tmp_path / out))
    assert (tmp_path / "trace" / "mine.txt").read_text() == "mine"


def test_defaults_are_those_of_the_library() -> None:
    rules, options = Cleaning(), GpsOptions()
    usual = (import_commands.STEP_S, import_commands.MAX_SPEED_MPS, import_commands.GAP_S)
    assert usual == (options.step_s, rules.max_speed_mps, rules.gap_s)
    assert (options.timezone, options.time_unit, rules.parked) == ("UTC", "auto", "keep")
