"""A study from Python runs what is missing, joins and compares its runs, and starts workers from a bare script."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import iovsim

FEW = {"time.duration_s": 30.0, "tasks.lights.data.train": 400, "tasks.lights.data.test": 20, "rsus.count": 1}
STUDY: dict[str, Any] = {
    "name": "mine",
    "title": "a < b",
    "scenario": "tiny",
    "policies": ["random", "all-available"],
    "seeds": "1",
    "baseline": "all-available",
    "targets": {"lights": 0.01},
    "set": FEW,
    "grid": {"tasks.lights.round_energy_j": [40.0, 80.0]},
}


@pytest.fixture(scope="module")
def finished(session_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> iovsim.Study:
    out = tmp_path_factory.mktemp("studies") / "mine"
    heard: list[tuple[str, str, float]] = []
    study = iovsim.study(STUDY, out, cache=session_cache, store=False, progress=lambda *told: heard.append(told))
    assert heard[0] == ("mine", "0 of 4 runs", 0.0)
    assert heard[-1] == ("mine", "4 of 4 runs", 1.0)
    assert ("round_energy_j=40.0, random, seed 1", "simulating", 1.0) in heard
    return study


def test_the_runs_are_those_that_were_asked_for(finished: iovsim.Study) -> None:
    assert repr(finished) == "<Study mine: 4 runs>"
    assert [run.manifest.policy.name for run in finished.runs] == ["random", "all-available"] * 2
    energies = [run.manifest.scenario["tasks"][0]["round_energy_j"] for run in finished.runs]
    assert energies == [40.0, 40.0, 80.0, 80.0]


def test_the_same_call_keeps_what_is_finished(finished: iovsim.Study, session_cache: Path) -> None:
    again = iovsim.study(STUDY, finished.path, cache=session_cache, store=False, progress=None)
    assert [run.manifest for run in again.runs] == [run.manifest for run in finished.runs]


def test_variants_are_told_apart_in_frames_and_comparisons(finished: iovsim.Study) -> None:
    jobs = finished.frame("jobs")
    key = "tasks.lights.round_energy_j"
    assert list(jobs.columns[:3]) == [key, "policy", "seed"]
    assert sorted(set(jobs[key])) == [40.0, 80.0]
    assert len(jobs) == sum(len(run.jobs) for run in finished.runs)
    comparisons = finished.compare(["energy_j"])
    assert [one.variant for one in comparisons] == [{key: 40.0}, {key: 80.0}]
    assert {one.baseline for one in comparisons} == {"all-available"}
    names = [row.metric.name for row in comparisons[0].rows]
    assert names == ["time_to_accuracy_0.01"] * 2 + ["energy_to_accuracy_0.01"] * 2 + ["energy_j"] * 2
    page = finished._repr_html_()
    assert "a &lt; b" in page
    assert f"<td>{key} = 40.0</td>" in page


@pytest.mark.parametrize(
    ("study", "message"),
    [
        ("tny", r"study 'tny': no such built-in study; did you mean 'tiny'\?"),
        (STUDY | {"sed": "1"}, r"study given in Python: unknown key 'sed'; did you mean 'seeds'\?"),
        (STUDY | {"policies": ["rndom"]}, r"policy 'rndom': no such built-in policy"),
        (STUDY | {"grid": {"time.duraton_s": [30.0]}}, r"unknown key 'time.duraton_s'; did you mean 'duration_s'\?"),
    ],
)
def test_a_mistake_is_told_before_anything_runs(study: Any, message: str, tmp_path: Path, session_cache: Path) -> None:
    with pytest.raises(iovsim.IovsimError, match=message):
        iovsim.study(study, tmp_path / "out", cache=session_cache)
    assert not (tmp_path / "out").exists()


def test_no_jobs_are_a_mistake() -> None:
    with pytest.raises(iovsim.IovsimError, match="jobs 0: must be 1 or more"):
        iovsim.study(STUDY, jobs=0)


def test_workers_do_not_run_the_calling_script_again(tmp_path: Path, session_cache: Path) -> None:
    study = STUDY | {"grid": {}, "targets": {}}
    script = tmp_path / "script.py"
    script.write_text(
        "import iovsim\n"
        "print('begun')\n"
        f"study = iovsim.study({study!r}, 'out', jobs=2, cache={str(session_cache)!r}, store=False)\n"
        "print(study, __file__, __spec__)\n"
    )
    command = [sys.executable, str(script)]
    printed = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.splitlines()
    assert printed[0] == "begun"
    assert printed.count("begun") == 1
    assert printed[1:4] == ["mine: 0 of 2 runs 0%", "mine: 1 of 2 runs 50%", "mine: 2 of 2 runs 100%"]
    assert printed[-1] == f"<Study mine: 2 runs> {script} None"
