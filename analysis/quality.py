"""Turns the last evaluations into quality by class, by district and by vehicle: what an average over all hides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from iovsim.domain import FloatArray
from iovsim.results import Run
from iovsim.results.evaluations import Scope, last

from .measures import MEASURES, fit_shares, label_below, task_rows
from .seeds import dodged, draw_points, mean_and_half, spread
from .style import TWO_COLUMNS_IN, empty, legend_above, looks, new_figure, policies, styled, tasks

_LAST = "Merged adapter, last evaluation"
LARGEST_IN = 8.0
"""Room for the rows of classes on a page."""


@styled
def classes(runs: Sequence[Run], task: str) -> Figure:
    """Recall and F1 score of each class of a task, the class of the lowest recall on top; a marker a policy."""
    groups = policies(runs)
    recall, f1 = ({p: _table(group, "class", task, m) for p, group in groups.items()} for m in MEASURES)
    order = pd.concat(list(recall.values())).mean().sort_values(kind="stable").index
    row_in = min(0.09 + 0.045 * len(groups), LARGEST_IN / max(len(order), 1))
    note = f"{_LAST}, held-out samples; their number stands in brackets. {spread(runs)}"
    figure, panels = new_figure(runs, 1, 2, TWO_COLUMNS_IN, 0.9 + row_in * max(len(order), 4), note)
    for axes, values, label in zip(panels, (recall, f1), ("Recall (share)", "F1 score (share)"), strict=True):
        axes.set(title=task, xlabel=label, xlim=(-0.02, 1.02))
        if not len(order):
            empty(axes, "no evaluations by class")
            continue
        for row in range(1, len(order), 2):
            axes.axhspan(row - 0.5, row + 0.5, color="0.95", linewidth=0, zorder=0)
        for i, (policy, look) in enumerate(looks(list(groups)).items()):
            y = dodged(len(order), i, len(groups))
            points = values[policy].reindex(columns=order).to_numpy(dtype=np.float64)
            draw_points(axes, y, points, look, along="x", label=policy, size=3)
        axes.set_ylim(len(order) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        names = [f"{name} ({count})" for name, count in _samples(runs, task).reindex(order).items()]
        axes.set_yticks(range(len(order)), names if axes is panels[0] else [""] * len(order), fontsize=6.5)
        axes.tick_params(axis="y", length=0)
    legend_above(figure)
    return figure


@styled
def districts(runs: Sequence[Run]) -> Figure:
    """Accuracy and macro F1 on the held-out samples of each district: a row a task, a marker a policy.

    Tasks whose data name no districts have no row; the caption says so.
    """
    groups = policies(runs)
    found = {task: {s for run in runs for s in _rows(run, "district", task)["subject"]} for task in tasks(runs)}
    shown = [task for task, names in found.items() if names]
    left_out = [task for task, names in found.items() if not names]
    note = f"{_LAST}, held-out samples of each district. {spread(runs)}"
    if not shown:
        figure, (axes,) = new_figure(runs, width_in=TWO_COLUMNS_IN, height_in=1.2, note=note)
        empty(axes, "no evaluations by district: only tasks whose data name districts have them")
        return figure
    if left_out:
        note += f" Left out, since their data name no districts: {', '.join(left_out)}."
    figure, panels = task_rows(runs, note, 1.4, shown)
    for (task, measure), axes in panels.items():
        tables = {p: _table(group, "district", task, measure) for p, group in groups.items()}
        names = sorted(found[task], key=int)
        axes.set_ylabel(MEASURES[measure])
        for i, (policy, look) in enumerate(looks(list(groups)).items()):
            x = dodged(len(names), i, len(groups))
            points = tables[policy].reindex(columns=names).to_numpy(dtype=np.float64)
            draw_points(axes, x, points, look, along="y", label=policy, size=3.5)
        axes.set_xticks(range(len(names)), names)
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.grid(visible=False, axis="x")
        for edge in range(1, len(names)):
            axes.axvline(edge - 0.5, color="0.85", linewidth=0.5)
    fit_shares(panels)
    label_below(panels, "District")
    legend_above(figure)
    return figure


@styled
def vehicles(runs: Sequence[Run]) -> Figure:
    """Share of vehicles whose accuracy, or macro F1, on their own held-out samples is at most x: a line a policy."""
    groups = policies(runs)
    note = f"{_LAST}, each vehicle's own held-out samples. {spread(runs, 'Line', 'band')}"
    figure, panels = task_rows(runs, note)
    for (task, measure), axes in panels.items():
        tables = {p: [_own(run, task, measure) for run in group] for p, group in groups.items()}
        axes.set(ylabel="Share of vehicles ≤ x", xlim=(0, 1), ylim=(0, 1.02))
        grid = np.unique(np.concatenate([[0.0, 1.0], *(own for owns in tables.values() for own in owns)]))
        for policy, look in looks(list(groups)).items():
            owns = [own for own in tables[policy] if len(own)]
            if not owns:
                continue
            shares = np.array([np.searchsorted(own, grid, side="right") / len(own) for own in owns])
            mean, half = mean_and_half(shares)
            axes.step(grid, mean, where="post", color=look.color, linestyle=look.line, label=policy)
            if half is not None:
                low, high = np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1)
                axes.fill_between(grid, low, high, step="post", color=look.color, alpha=0.12, linewidth=0)
        counts = sorted({len(own) for owns in tables.values() for own in owns if len(own)})
        if counts:
            axes.set_title(f"{task}, {' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} vehicles a run")
        else:
            empty(axes, "no evaluations by vehicle")
    for axes, label in zip(list(panels.values())[-len(MEASURES) :], MEASURES.values(), strict=False):
        axes.set_xlabel(f"x: {label}")
    legend_above(figure)
    return figure


def _table(group: Sequence[Run], scope: Scope, task: str, measure: str) -> pd.DataFrame:
    """The last evaluations by seed (row) and subject (column)."""
    return pd.DataFrame([_rows(run, scope, task).set_index("subject")[measure] for run in group])


def _samples(runs: Sequence[Run], task: str) -> pd.Series:
    """Held-out samples by class."""
    return pd.concat([_rows(run, "class", task) for run in runs]).groupby("subject")["samples"].max()


def _own(run: Run, task: str, measure: str) -> FloatArray:
    """The vehicles' values, ascending."""
    return np.sort(_rows(run, "vehicle", task)[measure].to_numpy(dtype=np.float64))


def _rows(run: Run, scope: Scope, task: str) -> pd.DataFrame:
    rows = last(run, scope)
    return rows[rows["task"] == task]
