"""In the built-in town every fallback and every way to lose a job occurs, and the tables count them."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import iovsim
from iovsim.config import load_policy, load_scenario
from iovsim.domain import ARRIVED, JobStatus, World
from iovsim.engine import Setting, simulate
from iovsim.experiment.method import build_method
from iovsim.experiment.world import build_world
from iovsim.results import Charge, Manifest, PolicyRecord, Run, RunFolder, open_run
from iovsim.results.metrics import metrics
from iovsim.testing import FakeTrainer

CHANGES: dict[str, object] = {
    "rsus.count": 8,
    "rsus.spacing_m": 250.0,
    "tasks.lights.training.local_epochs": 6,
    "radio.bandwidth_up_hz": 4e6,
    "radio.bandwidth_down_hz": 4e6,
}
"""RSUs near each other, training that takes a while, and links that do."""


@pytest.fixture(scope="module")
def town(session_cache: Path) -> World:
    return build_world(load_scenario("tiny", CHANGES), 1, session_cache, lambda *_: None).world


@pytest.fixture(scope="module")
def runs(town: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Of policies that take everybody or three clients, with and without fallback; training is not real."""
    cases: dict[str, tuple[str, dict[str, object]]] = {
        "plain": ("random", {"policy.clients": 3}),
        "all": ("with-fallback", {}),
        "few": ("random", {"policy.clients": 3, "fallback": {"kind": "cost"}}),
        "early": ("all-available", {"fallback": {"kind": "early-upload"}}),
    }
    made = {}
    for name, (policy, changes) in cases.items():
        method = build_method(load_policy(policy, changes))
        record = PolicyRecord(name=name, kind="p", forecast="heading", parameters={})
        charge = {task.task: Charge("fake", task.charged.name) for task in town.tasks}
        manifest = Manifest(world=town.name, world_hash=town.hash, seed=1, policy=record, scenario={}, charge_as=charge)
        path = tmp_path_factory.mktemp(name) / "run"
        with RunFolder.create(path, manifest) as folder:
            simulate(Setting(town, method, FakeTrainer(), folder.recorder, lambda *_: None), lambda _: None)
        made[name] = open_run(path)
    return made


def ends(run: Run) -> Counter[tuple[str, str]]:
    jobs = run.table("jobs")
    return Counter(zip(jobs["fallback"], jobs["status"], strict=True))


def test_every_fallback_and_every_loss_occurs(runs: dict[str, Run]) -> None:
    seen = sum((ends(run) for run in runs.values()), Counter[tuple[str, str]]())
    assert {("upload", "delivered_early"), ("next-rsu", "migrated"), ("carrier", "migrated")} <= set(seen)
    statuses = {status for _, status in seen}
    assert {*JobStatus} - statuses <= {JobStatus.FAILED, JobStatus.IN_FLIGHT}
    assert {fallback for fallback, _ in ends(runs["plain"])} == {""}
    assert {fallback for fallback, _ in ends(runs["early"])} == {"", "upload", "abandon"}


def test_the_counts_are_in_the_tables_and_in_the_report(runs: dict[str, Run]) -> None:
    for run in runs.values():
        jobs, rounds, energy = (run.table(name) for name in ("jobs", "rounds", "energy"))
        status = jobs["status"].value_counts()
        found = {value.metric.name: value.value for value in metrics(run) if not value.task}
        assert found["early_jobs"] == status.get("delivered_early", 0)
        assert found["migrated_jobs"] == status.get("migrated", 0)
        assert found["abandoned_jobs"] == status.get("abandoned", 0)
        lost = jobs["status"].str.startswith("lost") | (jobs["status"] == "abandoned")
        assert found["lost_jobs"] == lost.sum() == rounds["lost"].sum()
        arrived = jobs["status"].isin([str(status) for status in ARRIVED])
        assert found["delivered_jobs"] == arrived.sum() == rounds["delivered"].sum()
        assert run.table("merges")["updates"].sum() == arrived.sum()
        assert (lost | arrived).all()
        wasted_j = math.fsum(energy.loc[energy["cause"] == "wasted", "energy_j"])
        assert wasted_j == pytest.approx(jobs.loc[lost, "energy_j"].sum())


def test_saved_work_is_more_and_wasted_energy_less(runs: dict[str, Run]) -> None:
    """With the same policy, clients and world; each job's fraction is what its update is worth."""

    def worth(run: Run) -> tuple[float, float]:
        energy = run.table("energy")
        return run.table("jobs")["fraction"].sum(), energy.loc[energy["cause"] == "wasted", "energy_j"].sum()

    plain, saved = worth(runs["plain"]), worth(runs["few"])
    assert saved[0] > plain[0]
    assert saved[1] < plain[1]


def test_a_real_run_trains_what_was_done_and_no_more(session_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IOVSIM_CACHE", str(session_cache))
    world = iovsim.load_scenario("tiny", {**CHANGES, "time.duration_s": 60.0})
    run = iovsim.run(world, "with-fallback", 1)
    rows: list[dict[str, Any]] = run.jobs.to_dict("records")  # type: ignore[assignment]
    steps = {(r["fallback"], r["status"]): r for r in rows}
    early, migrated = steps["upload", "delivered_early"], steps["next-rsu", "migrated"]
    planned = 6 * -(-early["samples"] // 16)
    done = early["fraction"] * planned
    assert 1 <= round(done) < planned
    assert done == pytest.approx(round(done))
    assert migrated["fraction"] == 1.0
    assert migrated["arrived_at"] != migrated["rsu"]
    for row in (early, migrated):
        assert row["loss_after"] < row["loss_before"]
    assert run.accuracy["accuracy"].iloc[-1] > run.accuracy["accuracy"].iloc[0]
