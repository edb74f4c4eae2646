"""Killed at any moment a run goes on and gives what it would have given; the harness that says so can say otherwise."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from iovsim.bench.soak import Moment, Soaked, contents, faults, soak
from iovsim.errors import ResultsError

SEED = 1

CARELESS = """
import pathlib, time
out = pathlib.Path("runs")
if not out.exists():
    out.mkdir()
    with (out / "table").open("w") as file:
        for word in range(20):
            print(word, file=file, flush=True)
            time.sleep(0.02)
"""

CAREFUL = """
import os, pathlib, time
out = pathlib.Path("runs")
out.mkdir(exist_ok=True)
for part in pathlib.Path().glob("*.part"):
    part.unlink()
if not (out / "table").exists():
    with pathlib.Path("table.part").open("w") as file:
        for word in range(20):
            print(word, file=file, flush=True)
            time.sleep(0.02)
    os.replace("table.part", out / "table")
"""


def program(text: str) -> Soaked:
    return Soaked([], {}, resumed=False, program=[sys.executable, "-S", "-c", text])


def soaked(command: Soaked, place: Path, moments: int) -> list[Moment]:
    return soak(command, place, moments, SEED, lambda moment: None)


def test_a_run_that_is_killed_goes_on_and_nothing_differs(tmp_path: Path) -> None:
    """The short form of `make soak`: each moment has a cold cache, so the recording of traffic is killed too."""
    found = soaked(Soaked(["run", "world.toml", "-p", "random"]), tmp_path, 4)
    assert [moment.faults for moment in found] == [()] * 4
    assert any("killed" in step for moment in found for step in moment.done), "the computer became much faster"
    assert {"runs/random/seed-1/" in name for name in contents(tmp_path / "undisturbed")} == {True, False}


def test_a_careless_program_is_found_out_and_a_careful_one_is_not(tmp_path: Path) -> None:
    careless = soaked(program(CARELESS), tmp_path / "careless", 6)
    assert "table differs" in {fault for moment in careless for fault in moment.faults}
    assert all(moment.faults == () for moment in soaked(program(CAREFUL), tmp_path / "careful", 6))


def test_moments_are_those_of_the_seed(tmp_path: Path) -> None:
    nothing = program("import pathlib; pathlib.Path('runs').mkdir(exist_ok=True); pathlib.Path('runs/a').touch()")
    found = soaked(nothing, tmp_path, 3)
    assert [moment.number for moment in found] == [0, 1, 2]
    assert all(moment.faults == () for moment in found)


def test_a_command_that_fails_or_writes_nothing_is_no_measure(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"exit status 1: .*cannot"):
        soaked(program("raise SystemExit('cannot')"), tmp_path / "fails", 1)
    with pytest.raises(ResultsError, match="writes nothing into 'runs'"):
        soaked(program(""), tmp_path / "nothing", 1)


def test_everything_that_differs_or_is_left_is_told(tmp_path: Path) -> None:
    for name, text in (("a", "1"), ("deep/b", "2"), ("deep/c", "3")):
        (tmp_path / "whole" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "whole" / name).write_text(text)
    expected = contents(tmp_path / "whole")
    (tmp_path / "whole" / "a").write_text("one")
    (tmp_path / "whole" / "deep" / "b").unlink()
    (tmp_path / "whole" / "deep" / "d").write_text("4")
    (tmp_path / ".part-1").mkdir()
    assert faults(expected, tmp_path, "whole") == [
        "deep/b is missing",
        "deep/d is there too",
        "a differs",
        ".part-1 is left",
    ]
