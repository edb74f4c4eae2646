"""Turns a run into how well its merged adapters do: one number for each task. The definitions are ours.

A number is None where it cannot be measured, such as a gap between districts where the data name none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from iovsim.results.evaluations import curves, last
from iovsim.results.run import Run

ByTask = Mapping[str, float | None]


def final(run: Run, column: str) -> ByTask:
    """`column` of the evaluations on the whole held-out set, after the last evaluated merge."""
    return {task: _known(curve[column].iloc[-1]) for task, curve in curves(run).items()}


def best(run: Run, column: str) -> ByTask:
    """The highest value of `column` on the whole held-out set, chosen on that very set: an optimistic number."""
    return {task: _known(curve[column].max()) for task, curve in curves(run).items()}


def mean_over_time(run: Run, column: str) -> ByTask:
    """Area under `column` over simulated time by the trapezoidal rule, divided by the first to last evaluation."""
    means: dict[str, float | None] = {}
    for task, curve in curves(run).items():
        time_s = curve["time_s"].to_numpy(dtype=np.float64)
        span_s = float(time_s[-1] - time_s[0])
        area = float(np.trapezoid(curve[column].to_numpy(dtype=np.float64), time_s))
        means[task] = area / span_s if span_s > 0 else None
    return means


def mean_of_vehicles(run: Run, column: str) -> ByTask:
    """Mean over vehicles of `column` on each one's own held-out samples, after the last merge evaluated so."""
    return {task: _known(rows[column].mean()) for task, rows in _by_task(last(run, "vehicle")).items()}


def worst_class_recall(run: Run) -> ByTask:
    """The lowest recall of a class after the last evaluated merge."""
    return {task: _known(rows["accuracy"].min()) for task, rows in _by_task(last(run, "class")).items()}


def district_gap(run: Run) -> ByTask:
    """Accuracy in the best district minus that in the worst, after the last evaluated merge; None for one district."""
    return {
        task: float(np.ptp(rows["accuracy"])) if len(rows) > 1 else None
        for task, rows in _by_task(last(run, "district")).items()
    }


def final_stable_rank(run: Run) -> ByTask:
    """The stable rank of the merged update after the last merge."""
    merges = _by_task(run.table("merges").dropna(subset="stable_rank"))
    return {
        task: float(merges[task]["stable_rank"].iloc[-1]) if task in merges else None for task in run.manifest.charge_as
    }


def _by_task(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {str(task): mine for task, mine in rows.groupby("task", sort=True)}


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
