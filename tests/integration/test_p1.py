"""The study of P1 in small, with all its methods: every part leaves its trace, and only its own."""

from __future__ import annotations

from pathlib import Path

import pytest

import iovsim
from iovsim.config import load_study
from iovsim.results import Run

POLICIES = load_study("p1").policies
PRICED = ("p1", "p1-no-redistribution", "p1-no-fallback")
MOVING = ("p1", "p1-no-bandit", "p1-no-fallback", "p1-authors")
SAVING = ("p1", "p1-no-redistribution", "p1-no-bandit", "p1-authors")
HELD = tuple(name for name in POLICIES if name.endswith("-budget"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, session_cache: Path) -> dict[str, Run]:
    """Eight rounds of four small cells with real training, fewer pictures, and tight budgets."""
    changes = {"time.duration_s": 120.0, "rsus.count": 4}
    for task in ("signs", "lights", "vehicles"):
        changes |= {
            f"tasks.{task}.data.train": 600,
            f"tasks.{task}.data.test": 100,
            f"tasks.{task}.round_energy_j": 40.0,
        }
    world = iovsim.load_scenario("p1", changes)
    folder = tmp_path_factory.mktemp("p1")
    return {name: iovsim.run(world, name, 1, out=folder / name, cache=session_cache) for name in POLICIES}


def test_all_meet_the_same_world_and_learn(runs: dict[str, Run]) -> None:
    assert len({run.manifest.world_hash for run in runs.values()}) == 1
    for name, run in runs.items():
        if name == "fedavg-full":  # a whole ViT-L does not come down within a round
            assert set(run.table("jobs")["status"]) <= {"lost_downlink", "in_flight"}
            continue
        delivered = run.table("jobs")["status"].isin(["delivered", "delivered_early", "migrated"])
        assert delivered.sum() > 20, name
        course = run.table("evaluations").query("scope == 'global'").sort_values("merge")
        ends = course.groupby("task")["loss"].agg(["first", "last"])
        assert (ends["last"] < ends["first"]).all(), name


def test_a_price_is_where_the_bandit_is(runs: dict[str, Run]) -> None:
    for name, run in runs.items():
        priced = name in PRICED
        jobs, prices = run.table("jobs").query("status == 'delivered'"), run.table("rounds")["price"]
        assert (prices > 0).any() == priced, name
        if name not in ("p1-authors", "flora-budget", "hetlora-budget", "fedavg-full"):  # up is as much as down
            sent = jobs["downlink_bits"] - jobs["uplink_bits"]
            assert set(sent) == {32.0 if priced else 0.0}, name


def test_budgets_move_where_they_may_and_keep_their_sum(runs: dict[str, Run]) -> None:
    for name, run in runs.items():
        budgets = run.table("budgets")
        moved = (budgets["budget_j"] != budgets["budget_before_j"]).any()
        assert moved == (name in MOVING), name
        sums = budgets.groupby("merge")["budget_j"].sum()
        assert sums.max() == pytest.approx(sums.min())


def test_jobs_are_saved_by_those_alone_that_have_a_fallback(runs: dict[str, Run]) -> None:
    for name, run in runs.items():
        if name not in SAVING:
            assert set(run.table("jobs")["fallback"]) == {""}, name
    assert any((runs[name].table("jobs")["fallback"] != "").any() for name in SAVING)


def test_baselines_keep_to_the_budgets_that_they_would_exceed(runs: dict[str, Run]) -> None:
    unheeded = runs["flexlora"].table("rounds")
    assert unheeded["energy_j"].sum() > 1.5 * unheeded["energy_budget_j"].sum()
    for name in HELD:
        rounds, dearest_j = runs[name].table("rounds"), runs[name].table("jobs")["energy_j"].max()
        for (_, task), spent in rounds[rounds["clients"] > 0].groupby(["rsu", "task"]):
            assert spent["energy_j"].sum() <= spent["energy_budget_j"].sum() + 1.2 * dearest_j, (name, task)


def test_the_bandit_tries_ranks_that_tiers_alone_do_not_give(runs: dict[str, Run]) -> None:
    assert runs["p1"].table("jobs")["rank"].nunique() > 3
