"""The package's own functions do what the commands do, lightly, and end in the same errors."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import iovsim
from iovsim import api

FEW = {"time.duration_s": 30.0, "tasks.lights.data.train": 400, "tasks.lights.data.test": 20, "rsus.count": 1}


@pytest.fixture(scope="module")
def tiny() -> iovsim.Scenario:
    return iovsim.load_scenario("tiny", FEW)


@pytest.fixture(scope="module")
def finished(tiny: iovsim.Scenario, session_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> iovsim.Run:
    """A run in a folder of its own."""
    out = tmp_path_factory.mktemp("runs") / "random"
    return iovsim.run(tiny, "random", 1, out, cache=session_cache, store=False, progress=None)


def test_all_names_are_there_and_none_other() -> None:
    for name in iovsim.__all__:
        assert getattr(iovsim, name) is not None
    assert set(iovsim.__all__) <= set(dir(iovsim))
    assert set(api.__all__) == set(iovsim.__all__) - {"__version__"}
    with pytest.raises(AttributeError, match="module 'iovsim' has no attribute 'rum'"):
        iovsim.rum  # type: ignore[attr-defined]  # noqa: B018


def test_neither_loading_nor_reading_nor_a_misspelt_name_waits_for_torch() -> None:
    code = """
import sys, iovsim
iovsim.load_policy("random"), iovsim.load_scenario("demo"), iovsim.compare, iovsim.open_run
try:
    iovsim.run("demo", "rndom")
except iovsim.IovsimError as error:
    assert "did you mean 'random'" in str(error)
sys.exit(bool({"torch", "peft", "simpy", "IPython"} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_changes_are_given_as_a_mapping_or_as_keywords() -> None:
    changed = iovsim.load_scenario(
        "demo", {"time.duration_s": 60.0}, **{"tasks.signs.round_energy_j": 7.0}, name="mine"
    )
    assert (changed.name, changed.time.duration_s, changed.tasks[0].round_energy_j) == ("mine", 60.0, 7.0)
    assert iovsim.load_policy("random", name="seeing", forecast={"kind": "oracle"}).forecast.kind == "oracle"


def test_a_run_is_in_the_folder_asked_for_and_opens_again(finished: iovsim.Run) -> None:
    again = iovsim.open_run(str(finished.path))
    assert again.fingerprint() == finished.fingerprint()
    assert [run.path for run in iovsim.find_runs(finished.path.parent)] == [finished.path]
    assert finished.manifest.store is None
    assert finished.manifest.scenario["time"]["duration_s"] == 30.0


def test_a_run_without_a_folder_goes_with_its_object(
    tiny: iovsim.Scenario, finished: iovsim.Run, session_cache: Path
) -> None:
    heard: list[tuple[str, str, float]] = []
    run = iovsim.run(
        tiny,
        "random",
        np.int64(1),
        cache=session_cache,
        store=False,
        progress=lambda *told: heard.append(told),
    )
    assert run.fingerprint() == finished.fingerprint()
    assert ("random, seed 1", "simulating", 1.0) in heard
    path = run.path
    assert path.is_dir()
    del run
    gc.collect()
    assert not path.parent.exists()


def test_a_store_that_cannot_be_written_is_told(
    tiny: iovsim.Scenario, finished: iovsim.Run, session_cache: Path
) -> None:
    with pytest.warns(UserWarning, match="/dev/null"):
        run = iovsim.run(tiny, "random", store="/dev/null/store", cache=session_cache, progress=None)
    assert run.fingerprint() == finished.fingerprint()


def test_an_interrupted_run_leaves_no_temporary_folder(
    tiny: iovsim.Scenario, session_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def interrupt(label: str, step: str, done: float) -> None:
        if step == "simulating":
            assert list(tmp_path.glob("iovsim-*/run/manifest.json"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        iovsim.run(tiny, "random", cache=session_cache, store=False, progress=interrupt)
    assert not list(tmp_path.glob("iovsim-*"))


def test_the_same_run_is_kept_and_another_replaces_it_on_demand_only(
    tiny: iovsim.Scenario, finished: iovsim.Run, session_cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished.path, out)
    ways: dict[str, Any] = {"cache": session_cache, "store": False, "progress": None}
    again = iovsim.run(tiny, "random", 1, out, **ways)
    assert again.manifest == finished.manifest
    with pytest.raises(iovsim.IovsimError, match=r"holds another run .*seed \(found 1, asked 2\)"):
        iovsim.run(tiny, "random", 2, out, **ways)
    other = iovsim.run(tiny, "random", 2, out, overwrite=True, **ways)
    assert iovsim.open_run(out).manifest.seed == other.manifest.seed == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policy": "rndom"}, r"policy 'rndom': no such built-in policy; did you mean 'random'\?"),
        ({"scenario": "tny"}, r"scenario 'tny': no such built-in scenario; did you mean 'tiny'\?"),
        ({"scenario": Path("nowhere.toml")}, r"nowhere.toml: no such file"),
        ({"seed": -1}, r"seed -1: must be a whole number from 0 to"),
        ({"seed": 1.5}, r"seed 1.5: must be a whole number"),
        (
            {"trainer": "batch"},
            r"trainer 'batch': no such trainer; did you mean 'batched'\? Allowed: 'batched', 'peft'",
        ),
        ({"precision": "bf61"}, r"precision 'bf61': no such precision; did you mean 'bf16'\?"),
        ({"store": "/dev/null"}, r"^store /dev/null: is a file, a store needs a folder"),
        ({"cache": "/dev/null"}, r"^cache /dev/null: cannot be made or written"),
    ],
)
def test_a_mistake_is_told_before_anything_runs(
    arguments: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IOVSIM_CACHE", str(tmp_path))
    asked: dict[str, Any] = {"scenario": "tiny", "policy": "random", "progress": None} | arguments
    with pytest.raises(iovsim.IovsimError, match=message):
        iovsim.run(**asked)


def test_runs_are_compared_as_objects_or_as_folders(finished: iovsim.Run) -> None:
    ways: list[Callable[[], iovsim.Comparison]] = [
        lambda: iovsim.compare(finished),
        lambda: iovsim.compare([finished]),
        lambda: iovsim.compare(str(finished.path.parent)),
        lambda: iovsim.compare([finished.path], baseline="random"),
    ]
    first, *others = (way().rows for way in ways)
    assert all(rows == first for rows in others)
    by_energy = iovsim.compare(finished, metrics=["energy_j"])
    assert [row.metric.name for row in by_energy.rows] == ["energy_j"]
    by_target = iovsim.compare(finished, metrics=["energy_j"], targets={"lights": 0.01})
    assert [row.metric.name for row in by_target.rows][:2] == ["time_to_accuracy_0.01", "energy_to_accuracy_0.01"]
    with pytest.raises(iovsim.IovsimError, match=r"'lights=1.5': write TASK=SHARE, above 0 and at most 1"):
        iovsim.compare(finished, targets={"lights": 1.5})
    with pytest.raises(iovsim.IovsimError, match="no policy 'rndom' among the runs, did you mean 'random'"):
        iovsim.compare(finished, "rndom")
    with pytest.raises(iovsim.IovsimError, match="metric 'energy': no such metric; did you mean 'energy_j'"):
        iovsim.compare(finished, metrics=["energy"])


def test_tables_of_runs_are_joined(finished: iovsim.Run) -> None:
    jobs = iovsim.frame([finished, finished], "jobs")
    assert list(jobs.columns) == ["policy", "seed", *finished.jobs.columns]
    assert len(jobs) == 2 * len(finished.jobs) > 0
    assert set(jobs["policy"]) == {"random"}
    curve = iovsim.frame(finished.path, "accuracy")
    assert curve["accuracy"].tolist() == finished.accuracy["accuracy"].tolist()
    with pytest.raises(iovsim.IovsimError, match="table 'job': no such table; did you mean 'jobs'"):
        iovsim.frame(finished, "job")
    with pytest.raises(iovsim.IovsimError, match="no runs are given"):
        iovsim.frame([], "jobs")
