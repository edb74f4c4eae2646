"""Draws how energy budgets moved between tasks, how much of them was used, and what energy was priced at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from iovsim.results import Run

from .style import ONE_COLUMN_IN, empty, energy_scale, legend_above, looks, new_figure, styled, tasks, time_scale


@styled
def over_time(run: Run) -> Figure:
    """Budget, utilisation and dual price of each task, round by round."""
    rounds = run.table("rounds")
    note = (
        f"Policy {run.manifest.policy.name}. Budget: of the rounds of all RSUs that start together. Used: the part of "
        "it that was spent; what an RSU spends above its budget is left out. Price: that of the "
        "RSUs on average, band from the lowest to the highest."
    )
    figure, (budget, used, price) = new_figure([run], 3, 1, ONE_COLUMN_IN, 4.6, note)
    factor, unit = energy_scale(float(rounds.groupby(["task", "start_s"])["energy_budget_j"].sum().max()))
    budget.set_ylabel(f"Budget per round ({unit})")
    used.set_ylabel("Used (share)")
    price.set_ylabel("Dual price")
    if rounds.empty:
        for axes in (budget, used, price):
            empty(axes, "no rounds")
        return figure
    time_factor, time_unit = time_scale(float(rounds["start_s"].min()), float(rounds["start_s"].max()))
    price.set_xlabel(f"Start of the round ({time_unit})")
    for task, look in looks(tasks([run])).items():
        by_start = _sums(rounds[rounds["task"] == task])
        time = by_start.index.to_numpy(dtype=np.float64) * time_factor
        drawn: dict[str, Any] = {"color": look.color, "linestyle": look.line}
        budget.step(time, by_start["budget_j"] * factor, where="post", label=task, **drawn)
        used.plot(time, by_start["within_j"] / by_start["budget_j"], linewidth=0.9, **drawn)
        price.step(time, by_start["price"], where="post", **drawn)
        band: dict[str, Any] = {"step": "post", "color": look.color, "alpha": 0.2, "linewidth": 0}
        price.fill_between(time, by_start["lowest"], by_start["highest"], **band)
    budget.set_ylim(0, None)
    used.set_ylim(0, 1.02)
    price.set_ylim(0, None)
    for axes in (budget, used):
        axes.tick_params(labelbottom=False)
    if not rounds["price"].any():
        price.set(yticks=[], ylim=(-1, 1))
        price.text(0.5, 0.7, "energy had no price", ha="center", va="center", transform=price.transAxes, color="0.4")
    legend_above(figure)
    return figure


def _sums(rounds: pd.DataFrame) -> pd.DataFrame:
    """By start of the round, over RSUs: sums of budget and of what was used within it, mean and range of the price."""
    within_j = rounds["energy_j"] - rounds["overrun_j"]
    by_start = rounds.assign(within_j=within_j).groupby("start_s")
    return by_start.agg(
        budget_j=("energy_budget_j", "sum"),
        within_j=("within_j", "sum"),
        price=("price", "mean"),
        lowest=("price", "min"),
        highest=("price", "max"),
    )
