"""A run over a store gives the tables and adapters of one without; a second run computes nothing."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iovsim.config import PolicyFile, Scenario, load_policy, scenario_from
from iovsim.experiment.run import RunSpec, run_one
from iovsim.learning.store.folder import StoreSpec
from iovsim.results import Run, StoreRecord, open_run, read_manifest

WORLD: dict[str, Any] = {
    "name": "small",
    "time": {"start_s": 120.0, "duration_s": 40.0},
    "mobility": {"map": "portside"},
    "rsus": {"placement": "junctions", "count": 2, "spacing_m": 400.0, "range_m": 200.0},
    "sensors": {"camera": 0.5},
    "tasks": [
        {
            "name": "signs",
            "sensor": "camera",
            "data": {"kind": "signs", "train": 400, "test": 60},
            "round_energy_j": 200.0,
            "training": {"learning_rate": 5e-3},
            "lora": {"dropout": 0.1, "top_blocks": 1},
            "shards": {"samples": 16},
            "head": "local",
        }
    ],
    "evaluation": {"adapters_every_merges": 1, "vehicles_every_merges": 1},
    "rounds": {"period_s": 20.0, "deadline_s": 18.0, "merge_every": 1},
}


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return scenario_from(WORLD, Path("small.toml"))


@pytest.fixture(scope="module")
def policy() -> PolicyFile:
    return load_policy("all-available")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> StoreSpec:
    return StoreSpec(tmp_path_factory.mktemp("store"), 10**9)


@pytest.fixture(scope="module")
def plain(
    scenario: Scenario, policy: PolicyFile, session_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> RunSpec:
    """A finished run without a store."""
    spec = RunSpec(scenario, policy, 1, tmp_path_factory.mktemp("plain") / "run")
    run_one(spec, session_cache, quiet)
    return spec


@pytest.fixture(scope="module")
def first(plain: RunSpec, store: StoreSpec, session_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> RunSpec:
    """The same run, which fills the store."""
    spec = replace(plain, out=tmp_path_factory.mktemp("first") / "run", store=store)
    run_one(spec, session_cache, quiet)
    return spec


def quiet(step: str, done: float) -> None: ...


def counts(run: Run) -> dict[str, int]:
    assert run.manifest.store is not None
    return dict(run.manifest.store.counts)


def adapters(run: Run) -> dict[str, str]:
    files = [p for p in sorted((run.path / "adapters").rglob("*")) if p.is_file()]
    return {str(p.relative_to(run.path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_a_store_changes_no_table_and_no_adapter(plain: RunSpec, first: RunSpec) -> None:
    without, over = open_run(plain.out), open_run(first.out)
    assert without.manifest.store is None
    assert over.fingerprint() == without.fingerprint()
    assert adapters(over) == adapters(without)
    assert any(name.endswith("heads.safetensors") for name in adapters(over))
    assert (over.table("jobs")["status"] == "delivered").any()


def test_the_second_run_computes_nothing(first: RunSpec, session_cache: Path, tmp_path: Path) -> None:
    again = open_run(run_one(replace(first, out=tmp_path / "run"), session_cache, quiet))
    filled, read = counts(open_run(first.out)), counts(again)
    assert filled["training_hits"] == filled["evaluation_hits"] == filled["read_bytes"] == 0
    assert filled["training_misses"] > 5
    assert read["training_misses"] == read["evaluation_misses"] == read["written_bytes"] == 0
    assert read["training_hits"] == filled["training_misses"]
    assert read["evaluation_hits"] == filled["evaluation_misses"]
    assert read["read_bytes"] == filled["written_bytes"]
    assert again.fingerprint() == open_run(first.out).fingerprint()
    assert adapters(again) == adapters(open_run(first.out))


def test_another_policy_finds_the_first_round_of_equal_ranks(
    first: RunSpec, session_cache: Path, tmp_path: Path
) -> None:
    other = replace(first, policy=load_policy("random"), out=tmp_path / "run")
    found = counts(open_run(run_one(other, session_cache, quiet)))
    assert found["evaluation_hits"] >= 2, "of the adapter that all begin with"
    assert found["training_misses"] > 0


def test_runs_of_before_there_were_stores_are_read(plain: RunSpec, tmp_path: Path) -> None:
    old = json.loads((plain.out / "manifest.json").read_text())
    del old["store"]
    (tmp_path / "manifest.json").write_text(json.dumps(old))
    assert read_manifest(tmp_path).store is None


def test_the_record_survives_the_round_trip(first: RunSpec) -> None:
    record = read_manifest(first.out).store
    assert isinstance(record, StoreRecord)
    assert record.problem == ""
    assert record.counts["training_misses"] > 0
