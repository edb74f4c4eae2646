"""P1, its ablations and a baseline on one world, in small: every part leaves its trace, and only its own."""

from __future__ import annotations

from pathlib import Path

import pytest

import iovsim
from iovsim.results import Run

POLICIES = ("p1", "p1-no-redistribution", "p1-no-bandit", "p1-no-fallback", "p1-authors", "flexlora")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, session_cache: Path) -> dict[str, Run]:
    """Eight rounds of four small cells with real training of the top block, tight budgets and long jobs."""
    changes = {"time.duration_s": 120.0, "rsus.count": 4}
    for task in ("signs", "lights", "vehicles"):
        changes |= {
            f"tasks.{task}.lora.top_blocks": 1,
            f"tasks.{task}.data.train": 600,
            f"tasks.{task}.data.test": 100,
            f"tasks.{task}.round_energy_j": 20.0,
        }
    world = iovsim.load_scenario("p1", changes)
    folder = tmp_path_factory.mktemp("p1")
    return {name: iovsim.run(world, name, 1, out=folder / name, cache=session_cache) for name in POLICIES}


def test_all_meet_the_same_world_and_learn(runs: dict[str, Run]) -> None:
    assert len({run.manifest.world_hash for run in runs.values()}) == 1
    for name, run in runs.items():
        delivered = run.table("jobs")["status"].isin(["delivered", "delivered_early", "migrated"])
        assert delivered.sum() > 20, name
        course = run.table("evaluations").query("scope == 'global'").sort_values("merge")
        ends = course.groupby("task")["loss"].agg(["first", "last"])
        assert (ends["last"] < ends["first"]).all(), name


def test_a_price_is_where_the_bandit_is(runs: dict[str, Run]) -> None:
    for name, run in runs.items():
        priced = name in ("p1", "p1-no-redistribution", "p1-no-fallback")
        jobs, prices = run.table("jobs").query("status == 'delivered'"), run.table("rounds")["price"]
        assert (prices > 0).any() == priced, name
        if name != "p1-authors":
            sent = jobs["downlink_bits"] - jobs["uplink_bits"]
            assert set(sent) == {32.0 if priced else 0.0}, name


def test_budgets_move_where_they_may_and_keep_their_sum(runs: dict[str, Run]) -> None:
    for name, run in runs.items():
        budgets = run.table("budgets")
        moved = (budgets["budget_j"] != budgets["budget_before_j"]).any()
        assert moved == (name not in ("p1-no-redistribution", "flexlora")), name
        sums = budgets.groupby("merge")["budget_j"].sum()
        assert sums.max() == pytest.approx(sums.min())


def test_jobs_are_saved_by_those_alone_that_have_a_fallback(runs: dict[str, Run]) -> None:
    for name, run in runs.items():
        if name in ("p1-no-fallback", "flexlora"):
            assert set(run.table("jobs")["fallback"]) == {""}, name
    assert any((runs[name].table("jobs")["fallback"] != "").any() for name in ("p1", "p1-no-bandit", "p1-authors"))


def test_the_bandit_tries_ranks_that_tiers_alone_do_not_give(runs: dict[str, Run]) -> None:
    assert runs["p1"].table("jobs")["rank"].nunique() > 3
