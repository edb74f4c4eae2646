"""Run folders of fixed ranks become arms: each rank with the rewards and costs that its delivered jobs really had."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from iovsim.domain import ARRIVED, FloatArray, IntArray
from iovsim.errors import ResultsError, near_match
from iovsim.policies.bandits import Quality, RewardRule, gain, likelihood
from iovsim.regret.arms import BUDGET_SHARE, Arms
from iovsim.results import Run

VEHICLES = 6
"""Vehicles of the laboratory, as in the synthetic bandit; the tiers take turns."""

FEWEST = 5
"""Delivered jobs that a rank must have in a tier."""

WEIGHTS = (0.6, 0.2, 0.2)
"""Of quality, latency and energy in the reward (see `RewardRule`)."""

MOST = 0.95
"""Latency, energy and loss decrease are relative to this quantile of all jobs, so that no outlier sets the scale."""


def measured(
    runs: Sequence[Run],
    quality: Quality = Quality.LIKELIHOOD,
    budget_share: float | None = None,
    tasks: Sequence[str] = (),
    weights: tuple[float, float, float] = WEIGHTS,
) -> list[Arms]:
    """Arms for each task (of the runs, where none is named), jobs of all runs taken together by tier and rank.

    A play draws one of the delivered jobs of its tier and rank; its reward and cost come together. A rank is an arm
    where every tier has `FEWEST` delivered jobs of it; tiers with fewer than two such ranks are left out. Lost jobs are
    no outcomes: a vehicle observes what it has delivered. Ranks differ little in joules, most of which go into
    computing, so that without a `budget_share` the budget lies `BUDGET_SHARE` of the way from the cost of the cheapest
    arms to that of the dearest.
    Raises `ResultsError` for an unknown task, fewer than two arms, or no decrease of the loss for `Quality.GAIN`.
    """
    jobs = pd.concat([run.table("jobs") for run in runs], ignore_index=True)
    jobs = jobs[jobs["status"].isin(ARRIVED)]
    if jobs.empty:
        raise ResultsError("regret: no job of these runs was delivered; name runs of fixed ranks.")
    by_task = {str(task): mine for task, mine in jobs.groupby("task")}
    for task in tasks:
        if task not in by_task:
            raise ResultsError(f"--task {task!r}: none of its jobs was delivered; {near_match(task, by_task)}")
    return [_arms(task, by_task[task], quality, budget_share, weights) for task in tasks or by_task]


def _arms(
    task: str, jobs: pd.DataFrame, quality: Quality, budget_share: float | None, weights: tuple[float, float, float]
) -> Arms:
    counts = jobs.pivot_table(index="tier", columns="rank", values="job", aggfunc="count", fill_value=0)
    enough = counts >= FEWEST
    counts = counts[enough.sum(axis=1) >= 2]
    ranks = tuple(int(r) for r in counts.columns[(counts >= FEWEST).all(axis=0)]) if len(counts) else ()
    if len(ranks) < 2:
        raise ResultsError(
            f"regret: task {task!r}: fewer than two ranks have {FEWEST} delivered jobs in every device tier; give runs "
            "of fixed ranks, such as 'iovsim run' with policies of kind 'all-available' and 'rank' 2, 4, 8."
        )
    latency_s = jobs["end_s"] - jobs["start_s"]
    rule = RewardRule(float(latency_s.quantile(MOST)), float(jobs["energy_j"].quantile(MOST)), *weights)
    outcomes = pd.DataFrame(
        {
            "tier": jobs["tier"],
            "rank": jobs["rank"],
            "reward": [
                rule.reward(*job)
                for job in zip(_qualities(task, jobs, quality), latency_s, jobs["energy_j"], strict=True)
            ],
            "cost": jobs["energy_j"].map(rule.cost),
        }
    )
    tiers = [str(tier) for tier in counts.index]
    held = [[outcomes[(outcomes["tier"] == tier) & (outcomes["rank"] == rank)] for rank in ranks] for tier in tiers]
    of_vehicle = np.arange(VEHICLES) % len(tiers)
    rewards, costs = (_padded(held, name)[of_vehicle] for name in ("reward", "cost"))
    sizes = np.array([[len(one) for one in row] for row in held])[of_vehicle]

    def outcome(arm: IntArray, drawn: FloatArray, phase: int) -> tuple[FloatArray, FloatArray]:
        vehicles = np.arange(VEHICLES)
        job = (drawn[..., 0] * sizes[vehicles, arm]).astype(np.int64)
        return rewards[vehicles, arm, job], costs[vehicles, arm, job]

    mean_costs = np.nanmean(costs, axis=2)
    cheapest = float(mean_costs.min(axis=1).sum() / mean_costs.max(axis=1).sum())
    return Arms(
        name=task,
        ranks=ranks,
        tiers=tuple(tiers[k] for k in of_vehicle),
        rewards=np.nanmean(rewards, axis=2)[None],
        costs=mean_costs,
        context=np.eye(len(tiers))[of_vehicle],
        outcome=outcome,
        budget_share=cheapest + BUDGET_SHARE * (1 - cheapest) if budget_share is None else budget_share,
    )


def _qualities(task: str, jobs: pd.DataFrame, quality: Quality) -> list[float]:
    if quality is Quality.LIKELIHOOD:
        return [likelihood(loss) for loss in jobs["loss_after"]]
    decrease = float((jobs["loss_before"] - jobs["loss_after"]).quantile(MOST))
    if not decrease > 0:
        raise ResultsError(
            f"regret: task {task!r}: losses do not fall within jobs; a job needs two local epochs to tell, or take "
            f"--quality {Quality.LIKELIHOOD}."
        )
    return [gain(a, b, decrease) for a, b in zip(jobs["loss_before"], jobs["loss_after"], strict=True)]


def _padded(held: list[list[pd.DataFrame]], name: str) -> FloatArray:
    """(tiers, ranks, most jobs), nan beyond those that there are."""
    most = max(len(one) for row in held for one in row)
    padded = np.full((len(held), len(held[0]), most), np.nan)
    for i, row in enumerate(held):
        for k, one in enumerate(row):
            padded[i, k, : len(one)] = one[name]
    return padded
