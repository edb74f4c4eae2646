"""Draws what the energy and the time bought: accuracy of the merged adapters, and of each vehicle's own data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iovsim.domain import FloatArray
from iovsim.results import Run

from .style import (
    ONE_COLUMN_IN,
    TWO_COLUMNS_IN,
    Look,
    empty,
    energy_scale,
    legend_above,
    looks,
    new_figure,
    policies,
    styled,
    tasks,
    time_scale,
)


@styled
def accuracy_over_time(runs: Sequence[Run]) -> Figure:
    """Global held-out accuracy against simulated time, one panel a task, one line a policy."""
    curves = {(run.path, task): _curve(run, task) for run in runs for task in tasks(runs)}
    times = [time_s for time_s, _ in curves.values() if len(time_s)]
    factor, unit = time_scale(min(t[0] for t in times), max(t[-1] for t in times)) if times else (1.0, "s")
    scaled = {key: (time_s * factor, accuracy) for key, (time_s, accuracy) in curves.items()}
    return _panels(runs, scaled, f"Simulated time ({unit})")


@styled
def accuracy_over_energy(runs: Sequence[Run]) -> Figure:
    """Global held-out accuracy against all energy spent so far, one panel a task, one line a policy."""
    curves = {}
    for run in runs:
        ledger = run.table("energy").sort_values("time_s", kind="stable")
        spent_j = np.concatenate([[0.0], np.cumsum(ledger["energy_j"].to_numpy(dtype=np.float64))])
        booked_s = ledger["time_s"].to_numpy(dtype=np.float64)
        for task in tasks(runs):
            time_s, accuracy = _curve(run, task)
            curves[run.path, task] = (spent_j[np.searchsorted(booked_s, time_s, side="right")], accuracy)
    factor, unit = energy_scale(max((x_j[-1] for x_j, _ in curves.values() if len(x_j)), default=0.0))
    scaled = {key: (x_j * factor, accuracy) for key, (x_j, accuracy) in curves.items()}
    return _panels(runs, scaled, f"Energy spent so far, all tasks ({unit})")


def _curve(run: Run, task: str) -> tuple[FloatArray, FloatArray]:
    table = run.table("evaluations")
    mine = table[(table["scope"] == "global") & (table["task"] == task)].sort_values("merge", kind="stable")
    return mine["time_s"].to_numpy(dtype=np.float64), mine["accuracy"].to_numpy(dtype=np.float64)


def _panels(runs: Sequence[Run], curves: dict[tuple[Path, str], tuple[FloatArray, FloatArray]], label: str) -> Figure:
    names, groups = tasks(runs), policies(runs)
    several = any(len(group) > 1 for group in groups.values())
    note = " Points: merges, mean over seeds; bars: lowest to highest seed." if several else ""
    figure, panels = new_figure(
        runs,
        1,
        max(len(names), 1),
        TWO_COLUMNS_IN if len(names) > 1 else ONE_COLUMN_IN,
        2.7,
        note=f"An adapter's accuracy holds until the next merge.{note}",
    )
    for axes, task in zip(panels, names, strict=False):
        for policy, look in looks(list(groups)).items():
            found = [curves[run.path, task] for run in groups[policy]]
            _draw(axes, [curve for curve in found if len(curve[0])], policy, look)
        axes.set(title=task, xlabel=label, ylabel="Held-out accuracy (share)")
        if not axes.lines:
            empty(axes, "no evaluations")
    legend_above(figure, panels[0])
    return figure


def _draw(axes: Axes, curves: Sequence[tuple[FloatArray, FloatArray]], policy: str, look: Look) -> None:
    """One point a merge: mean over seeds in both directions, bars from the lowest to the highest seed."""
    if not curves:
        return
    merges = min(len(x) for x, _ in curves)
    x, y = (np.array([curve[side][:merges] for curve in curves]) for side in (0, 1))
    label = f"{policy} ({len(curves)} seeds)" if len(curves) > 1 else policy
    axes.errorbar(
        x.mean(axis=0),
        y.mean(axis=0),
        xerr=_reach(x),
        yerr=_reach(y),
        color=look.color,
        linestyle=look.line,
        marker=look.marker,
        drawstyle="steps-post",
        label=label,
        elinewidth=0.8,
        capsize=1.5,
    )


def _reach(values: FloatArray) -> FloatArray | None:
    """How far the lowest and the highest seed lie from the mean, (2, merges); None for one seed."""
    if len(values) == 1:
        return None
    mean = values.mean(axis=0)
    return np.array([mean - values.min(axis=0), values.max(axis=0) - mean])


@styled
def accuracy_of_vehicles(runs: Sequence[Run]) -> Figure:
    """Share of vehicles whose own held-out accuracy, at the last evaluated merge, is at most x."""
    names, groups = tasks(runs), policies(runs)
    figure, panels = new_figure(
        runs,
        1,
        max(len(names), 1),
        TWO_COLUMNS_IN if len(names) > 1 else ONE_COLUMN_IN,
        2.7,
        note="Merged adapter on each vehicle's own held-out samples, last evaluation; vehicles of all seeds together.",
    )
    for axes, task in zip(panels, names, strict=False):
        own = {policy: np.sort(np.concatenate([_own_accuracy(run, task) for run in g])) for policy, g in groups.items()}
        for (policy, accuracy), look in zip(own.items(), looks(list(own)).values(), strict=True):
            if len(accuracy):
                axes.ecdf(accuracy, color=look.color, linestyle=look.line, label=policy)
        counts = sorted({len(accuracy) for accuracy in own.values()})
        axes.set_title(f"{task}, n = {' to '.join(map(str, counts[:: max(len(counts) - 1, 1)]))}")
        axes.set(xlabel="Accuracy on the vehicle's own data (share)", ylabel="Share of vehicles at or below")
        if not axes.lines:
            empty(axes, "no evaluations by vehicle")
    legend_above(figure, panels[0])
    return figure


def _own_accuracy(run: Run, task: str) -> FloatArray:
    table = run.table("evaluations")
    mine: pd.DataFrame = table[(table["scope"] == "vehicle") & (table["task"] == task)]
    last: FloatArray = mine.loc[mine["merge"] == mine["merge"].max(), "accuracy"].to_numpy(dtype=np.float64)
    return last
