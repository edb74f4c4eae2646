"""Rows about traffic: both sides come from one run, each part has its own file, and what is not here says so."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from iovsim.bench import __main__ as bench
from iovsim.bench import fidelity, recording, replay
from iovsim.bench.drives import Drive, drives
from iovsim.bench.fidelity import City, Way, compared
from iovsim.bench.rows import Skipped
from iovsim.mobility.map_store import builtin_maps

PORTSIDE = builtin_maps()["portside"].absolute()
DRIVE = Drive("portside", PORTSIDE, 0.0, 60.0, 4, 250.0, 1)


def test_recording_and_replaying_have_plain_sumo_beside_them() -> None:
    cost, speed = recording.recorded(DRIVE), replay.replayed(DRIVE)
    assert cost.name == "record/portside"
    assert cost.theirs is not None
    assert cost.ratio == pytest.approx(cost.ours / cost.theirs)
    assert "bytes a vehicle-second" in cost.note
    assert speed.name == "replay/portside"
    assert speed.theirs is not None
    assert speed.ratio == pytest.approx(speed.theirs / speed.ours)
    assert "4 RSUs" in speed.note


def test_luxembourg_is_skipped_where_it_is_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IOVSIM_SHARED", str(tmp_path))
    (skipped,) = (found for found in drives("record") if isinstance(found, Skipped))
    assert skipped.name == "record/luxembourg"
    assert skipped.reason.endswith("lust.sumocfg; set IOVSIM_SHARED to the folder that holds scenarios/")


def test_each_part_can_be_run_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recording, "drives", lambda name: [replace(DRIVE, end_s=20.0), Skipped(f"{name}/x", "gone")])
    monkeypatch.setattr(sys, "argv", ["bench", "record"])
    bench.main()
    assert [path.name for path in (tmp_path / "runs" / "bench").iterdir()] == ["record.json"]
    rows = json.loads((tmp_path / "runs" / "bench" / "record.json").read_text())
    assert [row["name"] for row in rows] == ["record/portside", "record/x"]
    assert rows[1]["reason"] == "gone"


def test_the_growth_of_replay_names_its_last_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "REPEATS", 1)
    costs = {10: 1.0, 100: 2.0, 1000: 20.0}
    row = replay.exponent("x", lambda size: costs[size], tuple(costs))
    assert row.ours == pytest.approx(math.log10(20) / 2)
    assert row.note.endswith("1 between the last two")


def test_ways_to_run_sumo_are_compared_figure_by_figure() -> None:
    ways = (fidelity.WAYS[0], Way("meso-2s", 2.0, True))
    city = City("portside", PORTSIDE, 0.0, 60.0, 180.0, 36, 250.0)
    rows = {row.name.removeprefix("fidelity/portside/"): row for row in compared(city, seeds=(1, 2), ways=ways)}
    share = rows["meso-2s/connected-share"]
    assert share.ratio is not None
    assert 0.7 < share.ratio < 1.3
    assert share.theirs is not None
    assert 0.3 < share.theirs < 1.0
    assert rows["meso-2s/handovers-a-vehicle-hour"].ours > 0.0
    distance = rows["meso-2s/ks-durations"]
    assert distance.theirs is not None
    assert 0.0 < distance.theirs < 1.0
    assert 0.0 < distance.ours < 1.0
