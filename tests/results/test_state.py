"""What a folder holds of a run that is asked for is told from its manifest, and every difference by its key."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iovsim.domain import Precision, TrainerSpec
from iovsim.errors import ResultsError
from iovsim.locks import let_go, taken
from iovsim.results import Manifest, RunFolder, RunStatus, open_run, read_manifest
from iovsim.results.manifest import Input, Origin
from iovsim.results.recorder import table_path
from iovsim.results.state import RunState, Stage, state_in

CONTENT = "12" * 32


@pytest.fixture
def asked(manifest: Manifest) -> Manifest:
    scenario = {
        "name": "grid",
        "title": "A grid",
        "time": {"duration_s": 60.0},
        "tasks": [{"name": "signs", "ranks": [4, 8], "data": {"path": "x.npz"}}, {"name": "lights", "ranks": [4]}],
    }
    origin = Origin("/worlds", "/home", {"tasks.signs.data.path": Input("/worlds/x.npz", CONTENT)}, None, 0)
    return replace(manifest, scenario=scenario, origin=origin)


@pytest.fixture
def complete(tmp_path: Path, asked: Manifest) -> Path:
    with RunFolder.create(tmp_path / "run", asked):
        pass
    return tmp_path / "run"


def unfinished(path: Path, manifest: Manifest) -> Path:
    with pytest.raises(KeyboardInterrupt), RunFolder.create(path, manifest):
        raise KeyboardInterrupt
    return path


def with_task(manifest: Manifest, number: int, **keys: object) -> dict[str, Any]:
    scenario: dict[str, Any] = json.loads(json.dumps(manifest.scenario))
    scenario["tasks"][number] |= keys
    return scenario


def test_nothing_and_a_lock_alone_are_absent(tmp_path: Path, asked: Manifest) -> None:
    assert state_in(tmp_path / "run", asked) == RunState(Stage.ABSENT)
    lock = taken(tmp_path)
    assert lock is not None
    assert state_in(tmp_path, asked) == RunState(Stage.ABSENT)
    let_go(lock)


def test_an_equal_run_is_complete_or_unfinished(complete: Path, tmp_path: Path, asked: Manifest) -> None:
    assert state_in(complete, asked) == RunState(Stage.COMPLETE)
    assert state_in(complete, replace(asked, world_hash="")) == RunState(Stage.COMPLETE)
    assert state_in(unfinished(tmp_path / "b", asked), asked) == RunState(Stage.UNFINISHED, "status: interrupted")
    table_path(complete, "jobs").unlink()
    assert state_in(complete, asked) == RunState(Stage.UNFINISHED, "its tables jobs are gone")


def test_titles_the_store_and_where_data_lie_say_nothing_about_a_run(complete: Path, asked: Manifest) -> None:
    moved = Origin("/elsewhere", "/", {"tasks.signs.data.path": Input("/y.npz", CONTENT)}, "/store", 5)
    scenario = with_task(asked, 0, data={"path": "../y.npz"}) | {"title": "The grid"}
    assert state_in(complete, replace(asked, scenario=scenario, origin=moved)).stage is Stage.COMPLETE


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: {"seed": 8}, "seed (found 7, asked 8)"),
        (lambda m: {"policy": replace(m.policy, name="b")}, "policies.name (found 'greedy', asked 'b')"),
        (lambda m: {"policy": replace(m.policy, parameters={"top": 4})}, "policies.top (found 3, asked 4)"),
        (lambda m: {"policy": replace(m.policy, parameters={})}, "policies.top (found 3, asked nothing)"),
        (
            lambda m: {"training": TrainerSpec(precision=Precision.BF16)},
            "training.precision (found 'fp32', asked 'bf16')",
        ),
        (lambda m: {"scenario": with_task(m, 1, ranks=[8])}, "tasks.lights.ranks (found [4], asked [8])"),
        (
            lambda m: {"scenario": m.scenario | {"tasks": m.scenario["tasks"][::-1]}},
            "tasks (found ['signs', 'lights'], asked ['lights', 'signs'])",
        ),
        (
            lambda m: {"origin": replace(m.origin, inputs={"tasks.signs.data.path": Input("/y.npz", "ab" * 32)})},
            "/y.npz (tasks.signs.data.path) has changed",
        ),
        (
            lambda m: {"origin": replace(m.origin, inputs={"tasks.signs.data.path": Input("/y.npz", "")})},
            "/y.npz (tasks.signs.data.path) is gone",
        ),
    ],
)
def test_another_run_is_told_by_its_keys(
    change: Callable[[Manifest], dict[str, Any]], told: str, complete: Path, asked: Manifest
) -> None:
    other = replace(asked, **change(asked))
    state = state_in(complete, other)
    assert (state.stage, state.is_run, state.differing) == (Stage.OTHER, True, (told,))
    assert state.reason == f"holds another run (status: complete): {told}"
    with pytest.raises(ResultsError, match=r"holds another run .*; choose another path or overwrite it"):
        RunFolder.create(complete, other)
    assert read_manifest(complete).status is RunStatus.COMPLETE
    with RunFolder.create(complete, other, overwrite=True):
        pass
    assert state_in(complete, other).stage is Stage.COMPLETE


def test_of_many_differences_the_first_are_named(complete: Path, asked: Manifest) -> None:
    other = replace(asked, scenario={f"key{k}": k for k in range(4)})
    assert state_in(complete, other).reason.endswith(
        ", key3 (found nothing, asked 3), name (found 'grid', asked nothing) and 6 more"
    )


def test_a_changed_program_is_told_by_the_world_and_the_versions(complete: Path, asked: Manifest) -> None:
    other = replace(asked, world_hash="cd" * 32)
    told = (
        "of the same specification in another world (abababababab, now cdcdcdcdcdcd), because the program has changed"
    )
    assert f"{told} (equal versions)" in state_in(complete, other).reason
    other = replace(other, versions={**asked.versions, "torch": "9.0"})
    assert f"(torch {asked.versions['torch']} -> 9.0)" in state_in(complete, other).reason


def test_an_unfinished_run_is_replaced_and_nothing_of_it_stays(tmp_path: Path, asked: Manifest) -> None:
    path = unfinished(tmp_path / "run", asked)
    for left in (
        "tables/.jobs.parquet.part",
        "adapters/signs/.part-1/final/adapter_config.json",
        ".part-2/manifest.json",
    ):
        (path / left).parent.mkdir(parents=True, exist_ok=True)
        (path / left).write_text("half")
    (path / "notes.txt").write_text("mine")
    with RunFolder.create(path, asked):
        assert state_in(path, asked) == RunState(Stage.UNFINISHED, "status: running")
    assert open_run(path).manifest.status is RunStatus.COMPLETE
    assert sorted(p.name for p in path.iterdir()) == ["manifest.json", "notes.txt", "tables"]
    assert not list(path.rglob(".*"))


def test_half_a_manifest_is_an_unfinished_run_unless_somebody_elses_files_are_there(
    complete: Path, asked: Manifest
) -> None:
    text = (complete / "manifest.json").read_text()
    (complete / "manifest.json").write_text(text[: len(text) // 2])
    assert state_in(complete, asked) == RunState(Stage.UNFINISHED, "its manifest is damaged")
    (complete / "thesis.tex").write_text("mine")
    state = state_in(complete, asked)
    assert (state.stage, state.is_run) == (Stage.OTHER, False)
    assert "not valid JSON" in state.reason
    (complete / "thesis.tex").unlink()
    with RunFolder.create(complete, asked):
        pass
    assert state_in(complete, asked).stage is Stage.COMPLETE


def test_a_folder_that_another_process_is_writing_is_refused(tmp_path: Path, asked: Manifest) -> None:
    with RunFolder.create(tmp_path, asked):
        for overwrite in (False, True):
            with pytest.raises(ResultsError, match="is being written by another process; wait until that has ended"):
                RunFolder.create(tmp_path, asked, overwrite=overwrite)
    assert open_run(tmp_path).manifest.status is RunStatus.COMPLETE, "the first was not disturbed"
