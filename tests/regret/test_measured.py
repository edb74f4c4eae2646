"""Runs of fixed ranks become arms: means by hand, draws that are jobs which happened, and clear refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from iovsim.errors import ResultsError
from iovsim.policies.bandits import Quality
from iovsim.regret.arms import Arms
from iovsim.regret.measured import measured
from iovsim.results import Manifest, PolicyRecord, Run

TIERS, RANKS = ("agx", "nano"), (2, 4, 8)


def jobs(seed: int = 0, each: int = 6) -> pd.DataFrame:
    """Delivered jobs of two tiers and three ranks; dearer and better with the rank; and a lost one."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "task": "signs",
            "tier": tier,
            "rank": rank,
            "job": 0,
            "status": "delivered",
            "start_s": 0.0,
            "end_s": 10.0 + rank + rng.random(),
            "energy_j": (1 + (tier == "agx")) * (40.0 + 5 * rank + rng.random()),
            "loss_before": 2.0,
            "loss_after": 2.0 - 0.1 * rank + 0.05 * rng.random(),
        }
        for tier in TIERS
        for rank in RANKS
        for _ in range(each)
    ]
    lost = rows[0] | {"status": "lost_uplink", "rank": 16, "loss_before": None, "loss_after": None}
    return pd.DataFrame([*rows, lost])


def run_of(table: pd.DataFrame) -> Run:
    manifest = Manifest(
        world="w",
        world_hash="0" * 64,
        seed=1,
        policy=PolicyRecord("p", "staged", "linear", {}),
        scenario={},
        charge_as={},
    )
    return Run(Path("run"), manifest, {"jobs": table})


def arms_of(table: pd.DataFrame, quality: Quality = Quality.LIKELIHOOD) -> Arms:
    (found,) = measured([run_of(table)], quality)
    return found


def test_means_are_those_of_the_jobs() -> None:
    table = jobs()
    arms = arms_of(table)
    assert (arms.name, arms.ranks, arms.tiers) == ("signs", RANKS, TIERS * 3)
    done = table[table["status"] == "delivered"]
    latency_ref_s, energy_ref_j = (done["end_s"].quantile(0.95), done["energy_j"].quantile(0.95))
    for tier, vehicle in (("agx", 0), ("nano", 1), ("nano", 5)):
        for k, rank in enumerate(RANKS):
            mine = done[(done["tier"] == tier) & (done["rank"] == rank)]
            cost = (mine["energy_j"] / energy_ref_j).clip(upper=1.0)
            late = (mine["end_s"] / latency_ref_s).clip(upper=1.0)
            reward = 0.6 * np.exp(-mine["loss_after"]) + 0.2 * (1 - late) + 0.2 * (1 - cost)
            assert arms.costs[vehicle, k] == pytest.approx(cost.mean())
            assert arms.rewards[0, vehicle, k] == pytest.approx(reward.mean())


def test_the_budget_lies_between_the_cheapest_and_the_dearest_arms() -> None:
    arms = arms_of(jobs())
    low, high = arms.costs.min(axis=1).sum(), arms.costs.max(axis=1).sum()
    assert arms.budget == pytest.approx(low + 0.45 * (high - low))
    (asked,) = measured([run_of(jobs())], budget_share=0.9)
    assert asked.budget == pytest.approx(0.9 * high)


def test_a_play_draws_a_job_that_happened_and_keeps_its_reward_and_cost_together() -> None:
    arms = arms_of(jobs())
    rng = np.random.default_rng(1)
    arm = np.broadcast_to(np.array([0, 1, 2, 0, 1, 2]), (400, 6))
    reward, cost = arms.outcome(arm, rng.random((400, 6, 2)), 0)
    pairs = {(r, c) for r, c in zip(reward[:, 0], cost[:, 0], strict=True)}
    assert len(pairs) == 6
    assert reward.mean(axis=0) == pytest.approx(arms.rewards[0, np.arange(6), arm[0]], abs=0.01)
    assert cost.mean(axis=0) == pytest.approx(arms.costs[np.arange(6), arm[0]], abs=0.01)


def test_the_weights_may_be_others() -> None:
    table = jobs()
    (arms,) = measured([run_of(table)], weights=(1.0, 0.0, 0.0))
    done = table[(table["status"] == "delivered") & (table["tier"] == "nano") & (table["rank"] == 4)]
    assert arms.rewards[0, 1, 1] == pytest.approx(np.exp(-done["loss_after"]).mean())


def test_the_gain_needs_losses_that_fall() -> None:
    """Losses fall by 0.1 a rank: a higher rank has gained more. With one epoch there is nothing to tell."""
    found = arms_of(jobs(), Quality.GAIN)
    assert (np.diff(found.rewards[0, 1]) > 0).all()
    with pytest.raises(ResultsError, match=r"task 'signs': losses do not fall .* take --quality likelihood"):
        arms_of(jobs().assign(loss_before=1.0, loss_after=1.0), Quality.GAIN)


def test_ranks_that_are_too_rare_are_no_arms() -> None:
    table = jobs()
    rare = table.drop(table[(table["tier"] == "nano") & (table["rank"] == 8)].index[:2])
    assert arms_of(rare).ranks == (2, 4)
    few = pd.concat([jobs(), jobs().query("tier == 'agx' and rank == 2").head(4).assign(tier="nx")])
    assert arms_of(few).tiers == TIERS * 3, "a tier that hardly drove is left out"
    with pytest.raises(ResultsError, match=r"fewer than two ranks have 5 delivered jobs in every device tier"):
        arms_of(jobs(each=4))


def test_jobs_of_several_runs_are_taken_together() -> None:
    halves = [run_of(jobs(seed, each=3)) for seed in (1, 2)]
    (found,) = measured(halves)
    assert found.ranks == RANKS
    with pytest.raises(ResultsError, match="fewer than two ranks"):
        measured(halves[:1])


def test_mistakes_are_refused() -> None:
    run = run_of(jobs())
    with pytest.raises(ResultsError, match=r"--task 'sings': none of its jobs was delivered; did you mean 'signs'"):
        measured([run], tasks=["sings"])
    with pytest.raises(ResultsError, match="no job of these runs was delivered"):
        measured([replace(run, _frames={"jobs": jobs().assign(status="lost_uplink")})])
