"""Turns evaluations of merged adapters into learning curves: accuracy and macro F1 over time, and over energy spent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iovsim.domain import FloatArray
from iovsim.results import Run
from iovsim.results.data import always_majority
from iovsim.results.evaluations import curves

from .measures import MEASURES, fit_shares, label_below, task_rows
from .seeds import mean_and_half, spread
from .style import Look, empty, energy_scale, legend_above, looks, policies, styled, time_scale

_NOTE = (
    "Held-out samples; a marker a merge, whose adapter serves until the next. "
    "Grey line: always answering the most frequent class."
)


@styled
def over_time(runs: Sequence[Run]) -> Figure:
    """Held-out accuracy and macro F1 against simulated time: a row a task, a line a policy."""
    times = [curve["time_s"].to_numpy() for run in runs for curve in curves(run).values()]
    factor, unit = time_scale(min(t[0] for t in times), max(t[-1] for t in times)) if times else (1.0, "s")
    return _figure(runs, lambda run, time_s: time_s * factor, f"Simulated time ({unit})")


@styled
def over_energy(runs: Sequence[Run]) -> Figure:
    """Held-out accuracy and macro F1 against all energy spent so far: a row a task, a line a policy."""
    factor, unit = energy_scale(max((float(run.table("energy")["energy_j"].sum()) for run in runs), default=0.0))
    return _figure(runs, lambda run, time_s: _spent_j(run, time_s) * factor, f"Energy spent so far, all tasks ({unit})")


def _spent_j(run: Run, time_s: FloatArray) -> FloatArray:
    """All energy that the ledger has booked by each of the times."""
    ledger = run.table("energy").sort_values("time_s", kind="stable")
    spent_j = np.concatenate([[0.0], np.cumsum(ledger["energy_j"].to_numpy(dtype=np.float64))])
    upto = np.searchsorted(ledger["time_s"].to_numpy(dtype=np.float64), time_s, side="right")
    found: FloatArray = spent_j[upto]
    return found


def _figure(runs: Sequence[Run], place: Callable[[Run, FloatArray], FloatArray], label: str) -> Figure:
    groups = policies(runs)
    note = f"{_NOTE} {spread(runs, 'Marker', 'bars')}"
    figure, panels = task_rows(runs, note, 1.5 + 0.1 * len(groups))
    for (task, measure), axes in panels.items():
        for policy, look in looks(list(groups)).items():
            found = [(run, curves(run)[task]) for run in groups[policy] if task in curves(run)]
            if found:
                x = pd.DataFrame([by_merge(curve, place(run, curve["time_s"].to_numpy())) for run, curve in found])
                y = pd.DataFrame([by_merge(curve, curve[measure].to_numpy()) for _, curve in found])
                draw_curve(axes, x, y, policy, look)
        axes.set_ylabel(MEASURES[measure])
        if not axes.lines:
            empty(axes, "no evaluations")
            continue
        trivial = always_majority(runs[0], task)
        if trivial is not None:
            axes.axhline(trivial[list(MEASURES).index(measure)], color="0.55", linewidth=0.8, linestyle="--", zorder=1)
    fit_shares(panels)
    label_below(panels, label)
    legend_above(figure)
    return figure


def by_merge(curve: pd.DataFrame, values: FloatArray) -> pd.Series:
    """Values of a run's merges under their numbers."""
    return pd.Series(values, index=curve["merge"].to_numpy())


def draw_curve(axes: Axes, x: pd.DataFrame, y: pd.DataFrame, policy: str, look: Look) -> None:
    """One point for each merge (column) that all seeds (rows) have: means in both directions, with their intervals."""
    merges = [merge for merge in sorted(x.columns) if x[merge].notna().all()]
    (mean_x, half_x), (mean_y, half_y) = (mean_and_half(table[merges].to_numpy()) for table in (x, y))
    axes.errorbar(
        mean_x,
        mean_y,
        xerr=half_x,
        yerr=half_y,
        color=look.color,
        linestyle=look.line,
        marker=look.marker,
        markersize=3,
        drawstyle="steps-post",
        label=policy,
        elinewidth=0.7,
        capsize=1.5,
    )
