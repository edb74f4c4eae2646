"""ns-2 movements: hand-written ones, and those that SUMO's own tool makes of its traffic."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from iovsim.errors import TraceError
from iovsim.mobility.importers.fcd import read_fcd
from iovsim.mobility.importers.ns2 import Present, read_ns2
from iovsim.mobility.samples import Repairs
from iovsim.mobility.sumo_config import sumo_environment
from tests.mobility.importers.tables import Row, rows_of

PLACES = "$node_(0) set X_ 0.0\n$node_(0) set Y_ 100\n$node_(0) set Z_ 0\n"


def read(folder: Path, text: str, step_s: float = 1.0, present: Present = "commanded") -> tuple[list[Row], Repairs]:
    (folder / "moves.tcl").write_text(text)
    repairs = Repairs()
    return rows_of(read_ns2(folder / "moves.tcl", repairs, step_s=step_s, present=present, work=folder)), repairs


def test_a_node_goes_where_it_is_sent_and_waits_there(tmp_path: Path) -> None:
    text = PLACES + '$ns_ at 2.0 "$node_(0) setdest 30 100 10"\n$ns_ at 7.0 "$node_(0) setdest 30.0 90.0 5.0"\n'
    rows, repairs = read(tmp_path, text)
    assert [(row[0], row[2], row[3], row[4]) for row in rows] == [
        (2, 0, 100, 10),
        (3, 10, 100, 10),
        (4, 20, 100, 10),
        (5, 30, 100, 0),
        (6, 30, 100, 0),
        (7, 30, 100, 5),
        (8, 30, 95, 5),
        (9, 30, 90, 5),
    ]
    assert [row[5] for row in rows] == [90] * 5 + [180] * 3
    assert not repairs.counts


def test_a_command_on_the_way_turns_a_node(tmp_path: Path) -> None:
    text = PLACES + '$ns_ at 0 "$node_(0) setdest 100 100 10"\n$ns_ at 2.5 "$node_(0) setdest 25 80 10"\n'
    rows, _ = read(tmp_path, text)
    assert [row[2:4] for row in rows] == [(0, 100), (10, 100), (20, 100), (25, 95), (25, 85)]


def test_nodes_may_be_there_always(tmp_path: Path) -> None:
    text = PLACES + '$ns_ at 2.0 "$node_(0) setdest 10 100 10"\n$node_(1) set X_ 0\n$node_(1) set Y_ 0\n'
    text += '$ns_ at 5.0 "$node_(1) setdest 10 0 10"\n'
    times = {
        present: [row[0] for row in read(tmp_path, text, present=present)[0]] for present in ("commanded", "always")
    }
    assert times["commanded"] == [2, 3, 5, 6]
    assert times["always"] == sorted([0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 6])


def test_other_lines_are_counted(tmp_path: Path) -> None:
    text = "# by setdest\n\n$god_ set-dist 0 1 2\n" + PLACES + "$node_(7) set X_ 1\n"
    rows, repairs = read(tmp_path, text + '$ns_ at 2.0 "$node_(0) setdest 10 100 10"\n')
    assert len(rows) == 2
    assert repairs.counts == {"lines of another form": 1, "nodes that never move": 1}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('$ns_ at 2.0 "$node_(0) setdest 10 100 10"\n', "line 1: node 0 moves, but X_ and Y_ were never set"),
        (
            PLACES + '$ns_ at 9 "$node_(0) setdest 1 1 1"\n$ns_ at 2 "$node_(0) setdest 1 1 1"\n',
            "line 5: node 0's time runs backwards, to 2 s",
        ),
        (PLACES + '$ns_ at 9 "$node_(0) setdest 1-2 1 1"\n', "line 4: '1-2' is not a number"),
        (PLACES, "no node moves between begin and end"),
        ("nothing of the kind", "no node moves"),
        ("", "an empty file"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(TraceError, match=match):
        read(tmp_path, text)


def test_sumos_own_tool(fcd: Path, tmp_path: Path) -> None:
    """It sends a vehicle at each step to where it is by then, so that ns-2 plays the traffic one step late.

    A vehicle is sent at its speed along the chord of its way, so it may miss its place by a part of a step.
    """
    tool = Path(sumo_environment()["SUMO_HOME"]) / "tools" / "traceExporter.py"
    moves = tmp_path / "moves.tcl"
    command = [sys.executable, str(tool), "--fcd-input", str(fcd / "fcd.xml"), "--ns2mobility-output", str(moves)]
    subprocess.run(command, env=sumo_environment(), check=True, capture_output=True)
    traffic = rows_of(read_fcd(fcd / "fcd.xml", Repairs()))
    repairs = Repairs()
    played = {row[:2]: row for row in rows_of(read_ns2(moves, repairs, work=tmp_path))}
    assert not repairs.counts
    number = {name: str(code) for code, name in enumerate(dict.fromkeys(row[1] for row in traffic))}
    late = [(row, played[row[0] + 1, number[row[1]]]) for row in traffic if row[0] < 39]
    assert len(late) > 500
    apart = [np.hypot(a[2] - b[2], a[3] - b[3]) for a, b in late]
    assert np.mean(apart) < 0.1
    assert np.max(apart) < 1.0
