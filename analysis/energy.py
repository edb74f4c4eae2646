"""Draws where the joules went: by cause over time, by RSU, by policy, and against the rounds' budgets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iovsim.domain import FloatArray
from iovsim.results import Run
from iovsim.results.intervals import interval

from .measures import task_grid
from .seeds import spread
from .style import (
    BLACK,
    BLUE,
    CAUSE_LOOKS,
    ONE_COLUMN_IN,
    VERMILLION,
    empty,
    energy_scale,
    legend_above,
    new_figure,
    policies,
    styled,
    time_scale,
)

LISTED_RSUS = 20


@styled
def over_time(run: Run) -> Figure:
    """Energy spent up to each moment, stacked by cause."""
    ledger = run.table("energy").sort_values("time_s", kind="stable")
    figure, (axes,) = new_figure(
        [run], width_in=ONE_COLUMN_IN, height_in=2.8, note=f"Policy {run.manifest.policy.name}. Vehicles and RSUs."
    )
    if ledger.empty:
        empty(axes, "no energy was spent")
        return figure
    ends_s = run.table("evaluations")["time_s"].max()  # the last evaluation is at the horizon
    time_s = np.unique(np.append(ledger["time_s"].to_numpy(dtype=np.float64), ends_s))
    factor, unit = energy_scale(float(ledger["energy_j"].sum()))
    time_factor, time_unit = time_scale(float(time_s[0]), float(time_s[-1]))
    base = np.zeros_like(time_s)
    for cause, look in CAUSE_LOOKS.items():
        mine = ledger[ledger["cause"] == cause]
        if mine.empty:
            continue
        spent_j = np.concatenate([[0.0], np.cumsum(mine["energy_j"].to_numpy(dtype=np.float64))])
        upto = np.searchsorted(mine["time_s"].to_numpy(dtype=np.float64), time_s, side="right")
        top = base + spent_j[upto] * factor
        axes.fill_between(
            time_s * time_factor,
            base,
            top,
            step="post",
            facecolor=look.color,
            hatch=look.hatch,
            edgecolor="white",
            linewidth=0,
            label=cause,
        )
        base = top
    axes.step(time_s * time_factor, base, where="post", color=BLACK, linewidth=0.8)
    axes.set(xlabel=f"Simulated time ({time_unit})", ylabel=f"Energy spent so far ({unit})", ylim=(0, None))
    axes.margins(x=0)
    legend_above(figure)
    return figure


@styled
def by_rsu(run: Run) -> Figure:
    """Energy spent for each RSU, stacked by cause; the largest first, those beyond `LISTED_RSUS` by their mean."""
    sums = run.table("energy").pivot_table(index="rsu", columns="cause", values="energy_j", aggfunc="sum", fill_value=0)
    sums = sums.loc[sums.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    others = len(sums) - LISTED_RSUS
    if others > 0:
        rest = sums.iloc[LISTED_RSUS:].mean().to_frame(f"mean of {others} others").T
        sums = pd.concat([sums.iloc[:LISTED_RSUS], rest])
    figure, (axes,) = new_figure(
        [run],
        width_in=ONE_COLUMN_IN,
        height_in=1.4 + 0.19 * max(len(sums), 3),
        note=f"Policy {run.manifest.policy.name}. Vehicles and RSUs.",
    )
    if sums.empty:
        empty(axes, "no energy was spent")
        return figure
    _stack(axes, [str(name) for name in sums.index], sums)
    legend_above(figure)
    return figure


@styled
def by_policy(runs: Sequence[Run]) -> Figure:
    """Energy of each policy's runs, stacked by cause: the mean over seeds, with the interval of the total."""
    groups = policies(runs)
    sums = pd.DataFrame(
        {
            name: pd.concat([run.table("energy") for run in group]).groupby("cause")["energy_j"].sum() / len(group)
            for name, group in groups.items()
        }
    ).T.fillna(0.0)
    figure, (axes,) = new_figure(
        runs,
        width_in=ONE_COLUMN_IN,
        height_in=1.4 + 0.28 * max(len(groups), 2),
        note=f"Vehicles and RSUs. {spread(runs, 'Bar', 'whisker of the total')}",
    )
    factor = _stack(axes, list(groups), sums)
    for place, group in enumerate(groups.values()):
        totals = [float(run.table("energy")["energy_j"].sum()) * factor for run in group]
        found = interval(totals)
        if found and found.half is not None:
            axes.errorbar(found.mean, place, xerr=found.half, color=BLACK, capsize=3, linewidth=1)
    legend_above(figure)
    return figure


def _stack(axes: Axes, names: Sequence[str], sums: pd.DataFrame) -> float:
    """Horizontal bars by row, first row on top, stacked by cause; returns the factor from joules to the axis."""
    factor, unit = energy_scale(float(sums.sum(axis=1).max()))
    base = np.zeros(len(sums))
    for cause, look in ((cause, look) for cause, look in CAUSE_LOOKS.items() if cause in sums):
        part: FloatArray = sums[cause].to_numpy(dtype=np.float64) * factor
        axes.barh(
            range(len(sums)),
            part,
            left=base,
            height=0.7,
            color=look.color,
            hatch=look.hatch,
            edgecolor="white",
            linewidth=0,
            label=cause,
        )
        base = base + part
    axes.set_yticks(range(len(sums)), names)
    axes.set_ylim(len(sums) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"Energy ({unit})")
    return factor


@styled
def against_budget(run: Run) -> Figure:
    """Budget, estimate and use of the rounds of each task, summed over RSUs that started a round together."""
    rounds = run.table("rounds")
    note = (
        f"Policy {run.manifest.policy.name}. Rounds of all RSUs that start together are added. Overrun: energy above "
        "budget, added over RSUs, so that one RSU's saving hides no other's overrun."
    )
    figure, panels = task_grid([run], note)
    sums = rounds.groupby(["task", "start_s"])[["energy_budget_j", "estimated_j", "energy_j", "overrun_j"]].sum()
    factor, unit = energy_scale(float(sums.to_numpy().max(initial=0.0)))
    for task, axes in panels.items():
        axes.set(title=task, ylabel=f"Energy per round ({unit})")
        if task not in sums.index.get_level_values("task"):
            empty(axes, "no rounds")
            continue
        mine = sums.loc[task] * factor
        time_factor, time_unit = time_scale(float(mine.index.min()), float(mine.index.max()))
        time = mine.index.to_numpy(dtype=np.float64) * time_factor
        axes.plot(time, mine["energy_budget_j"], color=BLACK, linestyle="--", label="budget")
        axes.plot(time, mine["estimated_j"], color="0.5", linestyle=":", label="estimated")
        axes.plot(time, mine["energy_j"], color=BLUE, marker="o", markersize=2.5, linewidth=0.9, label="used")
        over = mine["overrun_j"].to_numpy() > 0
        axes.bar(
            time[over],
            mine["overrun_j"].to_numpy()[over],
            width=_width(time),
            color=VERMILLION,
            hatch="xxxx",
            edgecolor="white",
            linewidth=0,
            label="overrun",
        )
        axes.set(xlabel=f"Start of the round ({time_unit})", ylim=(0, None))
    legend_above(figure)
    return figure


def _width(time: FloatArray) -> float:
    return 0.6 * float(np.diff(time).min()) if len(time) > 1 else 1.0
