"""A study runs what is missing and nothing else, keeps what is finished, and never mixes with another."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iovsim.config import study_from
from iovsim.errors import ResultsError, ScenarioError
from iovsim.experiment.pool import Outcome, Report
from iovsim.experiment.run import RunSpec, manifest_of
from iovsim.locks import let_go, taken
from iovsim.results.manifest import RunStatus, write_manifest
from iovsim.studies import folder as study_folders
from iovsim.studies.folder import NAME, read_study
from iovsim.studies.plan import Plan, plan_of
from iovsim.studies.run import Engine, Tally, run_study
from iovsim.studies.status import Progress, study_status


def planned(tmp_path: Path, **changes: Any) -> Plan:
    content = {"name": "mine", "scenario": "tiny", "policies": ["random", "all-available"], "seeds": "1-2"} | changes
    return plan_of(study_from(content, tmp_path / "mine.toml"), tmp_path / "out", None)


def pretend(spec: RunSpec, status: RunStatus = RunStatus.COMPLETE, error: str | None = None) -> None:
    """Leaves the folder that a run of this status would leave, as far as a study looks at it."""
    spec.out.mkdir(parents=True, exist_ok=True)
    write_manifest(spec.out, replace(manifest_of(spec, {}), status=status, wall_s=2.0, error=error))


def engine(done: list[str], fails: Sequence[str] = ()) -> Engine:
    """Pretends to run everything; runs whose label is in `fails` end with an error."""

    def run(specs: Sequence[RunSpec], cache: Path, report: Report) -> Generator[Outcome, None, None]:
        for number, spec in enumerate(specs):
            if spec.label in fails:
                pretend(spec, RunStatus.FAILED, "it broke")
                yield Outcome(number, None, ScenarioError("it broke"))
            else:
                pretend(spec)
                done.append(spec.label)
                yield Outcome(number, spec.out)

    return run


def study(plan: Plan, tmp_path: Path, how: Engine, ended: Callable[[Tally, str], None] | None = None) -> Tally:
    return run_study(plan, tmp_path / "cache", how, lambda *_: None, ended or (lambda *_: None))


def test_what_is_finished_is_kept_and_the_rest_is_run(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    pretend(plan.runs[1])
    pretend(plan.runs[2], RunStatus.RUNNING)  # killed
    done: list[str] = []
    seen: list[tuple[int, str]] = []
    tally = study(plan, tmp_path, engine(done), lambda t, label: seen.append((t.left, label)))
    assert done == ["random, seed 1", "random, seed 2", "all-available, seed 2"]
    assert (tally.kept, tally.finished, tally.left) == (1, 3, 0)
    assert seen == [(3, ""), (2, done[0]), (1, done[1]), (0, done[2])]
    assert study(plan, tmp_path, engine([])).kept == 4


def test_more_seeds_and_policies_extend_a_study(tmp_path: Path) -> None:
    study(planned(tmp_path), tmp_path, engine([]))
    done: list[str] = []
    study(planned(tmp_path, seeds="1-3", policies=["random", "all-available", "energy-budget"]), tmp_path, engine(done))
    assert len(done) == 9 - 4


def test_an_edited_scenario_is_told_and_nothing_is_run(tmp_path: Path) -> None:
    study(planned(tmp_path), tmp_path, engine([]))
    done: list[str] = []
    with pytest.raises(ResultsError, match=r"rounds.merge_every \(found 1, asked 2\).*another --out"):
        study(planned(tmp_path, set={"rounds.merge_every": 2}), tmp_path, engine(done))
    assert done == []


def test_runs_that_are_not_asked_for_any_more_do_not_mix(tmp_path: Path) -> None:
    study(planned(tmp_path), tmp_path, engine([]))
    with pytest.raises(ResultsError, match=r"does not ask for \(.*seed-2 and 1 more\)"):
        study(planned(tmp_path, seeds="1"), tmp_path, engine([]))


def test_two_studies_do_not_share_a_folder(tmp_path: Path) -> None:
    study(planned(tmp_path), tmp_path, engine([]))
    with pytest.raises(ResultsError, match="holds the study 'mine', not 'yours'; choose another --out"):
        study(planned(tmp_path, name="yours"), tmp_path, engine([]))


def test_a_study_is_not_kept_behind_a_url(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    with pytest.raises(ResultsError, match="--out s3://bucket/runs: a study needs a folder of this computer"):
        study(replace(plan, out=Path("s3://bucket/runs")), tmp_path, engine([]))


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    lock = taken(tmp_path / "out")
    assert lock is not None
    with pytest.raises(ResultsError, match="another process is at a study in this folder"):
        study(planned(tmp_path), tmp_path, engine([]))
    let_go(lock)
    assert study(planned(tmp_path), tmp_path, engine([])).finished == 4


def test_the_first_failure_ends_a_study_and_a_later_one_does_not(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="it broke"):
        study(planned(tmp_path), tmp_path, engine([], fails=["random, seed 1"]))
    plan, done = planned(tmp_path), list[str]()
    tally = study(plan, tmp_path, engine(done, fails=["all-available, seed 1"]))
    assert tally.failed == {"all-available, seed 1": "it broke"}
    assert len(done) == 3


def test_a_study_says_how_far_it_is(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert study(plan, tmp_path, engine([])).finished == 4
    pretend(plan.runs[0], RunStatus.FAILED, "no memory")
    pretend(plan.runs[1], RunStatus.RUNNING)
    for file in plan.runs[2].out.iterdir():
        file.unlink()
    status = study_status(tmp_path / "out")
    assert [run.progress for run in status.runs] == [
        Progress.FAILED,
        Progress.BROKEN_OFF,
        Progress.WAITING,
        Progress.COMPLETE,
    ]
    assert (status.runs[0].error, status.runs[3].wall_s, status.at_work) == ("no memory", 2.0, False)
    lock = taken(plan.runs[1].out)
    assert lock is not None
    assert study_status(tmp_path / "out").count(Progress.RUNNING) == 1
    let_go(lock)


def test_a_damaged_or_strange_record_is_named(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    with pytest.raises(ResultsError, match=r"not the folder of a study \(no study.json\)"):
        read_study(tmp_path)
    study(plan, tmp_path, engine([]))
    path = plan.out / NAME
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"format": study_folders.FORMAT + 1}))
    with pytest.raises(ResultsError, match="format version 2, this iovsim reads 1"):
        read_study(plan.out)
    path.write_text(path.read_text()[:40])
    with pytest.raises(ResultsError, match="damaged"):
        read_study(plan.out)
