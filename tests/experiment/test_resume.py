"""Unfinished runs go on from their manifests alone, wherever that is, or say what is gone or has changed."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iovsim.config import PolicyFile, Scenario, load_policy, load_scenario, scenario_from
from iovsim.config.builtin import builtin_policies, builtin_scenarios
from iovsim.errors import ResultsError, ScenarioError
from iovsim.experiment.inputs import scenario_inputs
from iovsim.experiment.resume import unfinished_runs
from iovsim.experiment.run import RunSpec, check_out, manifest_of, run_one, state_of
from iovsim.learning.store.folder import StoreSpec, stored_files
from iovsim.results import RunFolder, RunState, Stage, open_run, read_manifest

WORLD: dict[str, Any] = {
    "name": "small",
    "title": "A small world",
    "time": {"start_s": 60.0, "duration_s": 20.0},
    "mobility": {"map": "portside"},
    "rsus": {"placement": "junctions", "count": 2, "spacing_m": 400.0, "range_m": 200.0},
    "tasks": [
        {
            "name": "signs",
            "data": {"kind": "npz", "path": "data.npz"},
            "charge_as": "vit-base-patch16-224",
            "round_energy_j": 200.0,
            "lora": {"top_blocks": 1},
            "shards": {"samples": 8},
        }
    ],
    "rounds": {"period_s": 20.0, "deadline_s": 18.0, "merge_every": 1},
}


def quiet(step: str, done: float) -> None: ...


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the world's data."""
    (tmp_path / "worlds").mkdir()
    rng = np.random.default_rng(1)
    images, labels = rng.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8), np.arange(40) % 4
    np.savez(tmp_path / "worlds" / "data.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    return tmp_path


@pytest.fixture
def spec(place: Path) -> RunSpec:
    return RunSpec(scenario_at(place), load_policy("random"), 1, place / "runs" / "random" / "seed-1")


def scenario_at(place: Path) -> Scenario:
    return scenario_from(WORLD, place / "worlds" / "small.toml")


def begun(spec: RunSpec) -> RunSpec:
    """As if the run had been killed right after it began."""
    RunFolder.create(spec.out, manifest_of(spec, scenario_inputs(spec.scenario))).recorder.discard()
    return spec


def test_a_run_goes_on_from_anywhere_and_is_then_kept(
    spec: RunSpec, place: Path, session_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert state_of(spec) == RunState(Stage.ABSENT)
    run_one(spec, session_cache, quiet)
    assert state_of(spec) == RunState(Stage.COMPLETE)
    assert unfinished_runs([place]) == []
    first = open_run(spec.out).fingerprint()
    written = (spec.out / "manifest.json").read_bytes()
    run_one(spec, session_cache, quiet)
    assert (spec.out / "manifest.json").read_bytes() == written, "kept, not run again"
    (spec.out / "manifest.json").write_bytes(written.replace(b'"status": "complete"', b'"status": "running"'))
    (place / "elsewhere").mkdir()
    monkeypatch.chdir(place / "elsewhere")
    (again,) = unfinished_runs([place])
    assert state_of(again) == RunState(Stage.UNFINISHED, "status: running")
    assert (again.scenario, again.policy.policy, again.seed, again.out) == (
        spec.scenario.model_copy(),
        spec.policy.policy,
        1,
        spec.out,
    )
    run_one(again, session_cache, quiet)
    assert open_run(spec.out).fingerprint() == first


def test_with_overwrite_a_complete_run_is_run_anew(spec: RunSpec, session_cache: Path) -> None:
    run_one(spec, session_cache, quiet)
    table = spec.out / "tables" / "jobs.parquet"
    table.unlink()
    assert state_of(spec) == RunState(Stage.UNFINISHED, "its tables jobs are gone")
    run_one(spec, session_cache, quiet)
    table.write_bytes(b"")
    run_one(spec, session_cache, quiet, overwrite=True)
    assert len(open_run(spec.out).table("jobs"))


def test_another_world_is_told_when_it_stands(spec: RunSpec, session_cache: Path) -> None:
    begun(spec)
    path = spec.out / "manifest.json"
    path.write_text(path.read_text().replace('"world_hash": ""', '"world_hash": "abc"'))
    assert state_of(spec).stage is Stage.UNFINISHED
    with pytest.raises(ResultsError, match=r"same specification in another world \(abc, now .*program has changed"):
        run_one(spec, session_cache, quiet)
    assert read_manifest(spec.out).world_hash == "abc", "nothing was touched"


def test_the_scenario_file_may_have_gone_and_a_changed_one_is_another_run(spec: RunSpec, place: Path) -> None:
    begun(spec)
    (again,) = unfinished_runs([place])
    assert again.scenario.model_dump() == spec.scenario.model_dump()
    changed = replace(
        spec, scenario=scenario_from(WORLD | {"time": {"start_s": 60.0, "duration_s": 40.0}}, place / "w")
    )
    with pytest.raises(ResultsError, match=r"time\.duration_s \(found 20\.0, asked 40\.0\).*choose another --out, or"):
        check_out([changed], overwrite=False)
    check_out([changed], overwrite=True)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda p: (p / "worlds" / "data.npz").unlink(), r"data\.npz \(tasks\.signs\.data\.path\) is gone; undo that"),
        (
            lambda p: (p / "worlds" / "data.npz").write_bytes(b"x"),
            r"data\.npz \(tasks\.signs\.data\.path\) has changed",
        ),
        (lambda p: shutil.rmtree(p / "worlds"), r"data\.npz \(tasks\.signs\.data\.path\) is gone"),
        (
            lambda p: manifest_without(p, "origin"),
            "does not say where the run came from; give its 'iovsim run' command",
        ),
        (lambda p: next(p.rglob("manifest.json")).write_text("{"), "not valid JSON"),
        (lambda p: shutil.rmtree(p / "runs"), "no run in it or below"),
    ],
)
def test_what_keeps_a_run_from_going_on_is_told(
    break_it: Callable[[Path], object], message: str, spec: RunSpec, place: Path
) -> None:
    begun(spec)
    break_it(place)
    with pytest.raises(ResultsError, match=message):
        unfinished_runs([place])


def manifest_without(place: Path, key: str) -> None:
    path = next(place.rglob("manifest.json"))
    content = json.loads(path.read_text())
    del content[key]
    path.write_text(json.dumps(content))


def test_nothing_depends_on_the_clock(
    spec: RunSpec, place: Path, session_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_one(spec, session_cache, quiet)
    hours = itertools.cycle((0.0, 9e5, -9e5, 3.0, 4e9, -1e9))
    monkeypatch.setattr("time.time", lambda: 1e9 + next(hours))
    monkeypatch.setattr("iovsim.results.folder.now", lambda: f"{1970 + int(next(hours)) % 90}-01-01T00:00:00+00:00")
    store = StoreSpec(place / "store", 200_000)  # small: entries have to go
    jumping = [replace(spec, out=place / name, store=store) for name in ("once", "again")]
    for each in jumping:
        RunFolder.create(each.out, manifest_of(each, {}), overwrite=True).recorder.discard()
        run_one(each, place / "cache", quiet, overwrite=True)
        assert state_of(each).stage is Stage.COMPLETE
        assert open_run(each.out).fingerprint() == open_run(spec.out).fingerprint()
    assert sum(file.size_bytes for file in stored_files(store.folder)) <= 200_000


def test_a_moved_folder_of_worlds_is_the_same_run(spec: RunSpec, place: Path) -> None:
    begun(spec)
    (place / "worlds").rename(place / "moved")
    moved = replace(spec, scenario=scenario_from(WORLD | {"title": "Moved"}, place / "moved" / "small.toml"))
    assert state_of(moved).stage is Stage.UNFINISHED
    assert state_of(spec).stage is Stage.OTHER


def test_modules_are_compared_by_content_and_looked_for_where_the_run_was_begun(
    spec: RunSpec, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = place / "worlds" / "own_resumed_policy.py"
    module.write_text("class Own:\n    def plan(self, view): ...\n    def feedback(self, outcome): ...\n")
    monkeypatch.chdir(place / "worlds")
    monkeypatch.syspath_prepend(str(place / "worlds"))
    policy = PolicyFile.model_validate({"name": "own", "policy": {"kind": "own_resumed_policy:Own"}})
    begun(replace(spec, policy=policy))
    (again,) = unfinished_runs([place])
    assert again.policy == policy
    with module.open("a") as file:
        file.write("# changed\n")
    with pytest.raises(ResultsError, match=r"own_resumed_policy\.py \(module own_resumed_policy\) has changed"):
        unfinished_runs([place])
    module.unlink()
    monkeypatch.undo()
    monkeypatch.delitem(__import__("sys").modules, "own_resumed_policy")
    with pytest.raises(ScenarioError, match=r"cannot be imported .* What is to be resumed was begun in .*worlds; go"):
        unfinished_runs([place])


def test_the_store_of_the_run_is_used_again(spec: RunSpec, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    begun(replace(spec, store=StoreSpec(Path("kept"), 5)))
    (again,) = unfinished_runs([place])
    assert again.store == StoreSpec(place / "kept", 5)


@pytest.mark.parametrize("name", builtin_scenarios())
def test_every_built_in_scenario_comes_back_from_a_manifest(name: str, tmp_path: Path) -> None:
    scenario = load_scenario(name)
    for policy in builtin_policies():
        begun(RunSpec(scenario, load_policy(policy), 3, tmp_path / policy))
    found = {spec.policy.name: spec for spec in unfinished_runs([tmp_path])}
    for policy in builtin_policies():
        asked = load_policy(policy)
        again = found[asked.name]
        assert again.scenario.model_dump() == scenario.model_dump()
        assert again.policy.model_dump(exclude={"title"}) == asked.model_dump(exclude={"title"})
        assert (again.seed, again.out) == (3, tmp_path / policy)
