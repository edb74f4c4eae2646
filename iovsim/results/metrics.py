"""Boils a run's tables down to the numbers by which policies are compared: one number a metric, or one a task.

The definitions are ours; each is one line of prose in `METRICS` and one function here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from iovsim.domain import ARRIVED, JobStatus
from iovsim.results.run import Run

LOST = (JobStatus.LOST_DOWNLINK, JobStatus.LOST_COMPUTE, JobStatus.LOST_UPLINK, JobStatus.ABANDONED)
"""Statuses of jobs that ended without one. A job still in flight at the horizon is neither."""

ByTask = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of a run; `function` gives it by task, under the task "" where it belongs to the whole run.

    A value is None where the run has nothing to measure (such as a latency without deliveries).
    """

    name: str
    unit: str
    meaning: str
    better: Literal["higher", "lower"]
    function: Callable[[Run], ByTask]


@dataclass(frozen=True, slots=True)
class Value:
    """A metric's value for one task ("" for the whole run)."""

    metric: Metric
    task: str
    value: float | None


def metrics(run: Run) -> list[Value]:
    """All metrics of a run, in the order of `METRICS`, then by task. Raises `ResultsError` from reading tables."""
    return [
        Value(metric, task, value)
        for metric in METRICS.values()
        for task, value in sorted(metric.function(run).items())
    ]


def _global_curves(run: Run) -> dict[str, pd.DataFrame]:
    rows = run.table("evaluations").query("scope == 'global'").sort_values("merge", kind="stable")
    return {str(task): curve for task, curve in rows.groupby("task", sort=True)}


def _final_accuracy(run: Run) -> ByTask:
    return {task: float(curve["accuracy"].iloc[-1]) for task, curve in _global_curves(run).items()}


def _best_accuracy(run: Run) -> ByTask:
    return {task: float(curve["accuracy"].max()) for task, curve in _global_curves(run).items()}


def _mean_accuracy(run: Run) -> ByTask:
    """Trapezoidal rule, divided by the time from the first evaluation to the last."""
    means: dict[str, float | None] = {}
    for task, curve in _global_curves(run).items():
        time_s = curve["time_s"].to_numpy(dtype=np.float64)
        span_s = float(time_s[-1] - time_s[0])
        area = float(np.trapezoid(curve["accuracy"].to_numpy(dtype=np.float64), time_s))
        means[task] = area / span_s if span_s > 0 else None
    return means


def _personalised_accuracy(run: Run) -> ByTask:
    rows = run.table("evaluations").query("scope == 'vehicle'")
    last = rows[rows["merge"] == rows.groupby("task")["merge"].transform("max")]
    return {str(task): float(group["accuracy"].mean()) for task, group in last.groupby("task", sort=True)}


def _energy_j(run: Run) -> ByTask:
    return {"": float(run.table("energy")["energy_j"].sum())}


def _wasted_share(run: Run) -> ByTask:
    ledger = run.table("energy")
    total_j = float(ledger["energy_j"].sum())
    wasted_j = float(ledger.loc[ledger["cause"] == "wasted", "energy_j"].sum())
    return {"": wasted_j / total_j if total_j > 0 else None}


def _jobs(run: Run, statuses: tuple[JobStatus, ...]) -> pd.DataFrame:
    jobs = run.table("jobs")
    return jobs[jobs["status"].isin([str(status) for status in statuses])]


def _delivered_jobs(run: Run) -> ByTask:
    return {"": float(len(_jobs(run, ARRIVED)))}


def _lost_jobs(run: Run) -> ByTask:
    return {"": float(len(_jobs(run, LOST)))}


def _latency_s(run: Run) -> ByTask:
    delivered = _jobs(run, ARRIVED)
    return {"": float((delivered["end_s"] - delivered["start_s"]).mean()) if len(delivered) else None}


def _energy_per_update_j(run: Run) -> ByTask:
    updates = len(_jobs(run, ARRIVED))
    return {"": float(run.table("energy")["energy_j"].sum()) / updates if updates else None}


def _overrun_j(run: Run) -> ByTask:
    return {"": float(run.table("rounds")["overrun_j"].sum())}


_DEFINED = (
    Metric("final_accuracy", "1", "global held-out accuracy of the last evaluated merge", "higher", _final_accuracy),
    Metric("best_accuracy", "1", "highest global held-out accuracy of any merge", "higher", _best_accuracy),
    Metric(
        "mean_accuracy",
        "1",
        "area under global accuracy over simulated time, divided by the time from first to last evaluation",
        "higher",
        _mean_accuracy,
    ),
    Metric(
        "personalised_accuracy",
        "1",
        "accuracy of the last evaluated merge on each vehicle's own held-out samples, mean over vehicles",
        "higher",
        _personalised_accuracy,
    ),
    Metric("energy_j", "J", "all energy of the ledger, vehicles and RSUs together", "lower", _energy_j),
    Metric("wasted_share", "1", "share of that energy spent on jobs that were lost", "lower", _wasted_share),
    Metric("delivered_jobs", "1", "jobs whose update reached the server", "higher", _delivered_jobs),
    Metric("lost_jobs", "1", "jobs that ended without an update", "lower", _lost_jobs),
    Metric("latency_s", "s", "mean time from start to end of the delivered jobs", "lower", _latency_s),
    Metric(
        "energy_per_update_j", "J", "all energy, wasted included, by delivered update", "lower", _energy_per_update_j
    ),
    Metric("overrun_j", "J", "energy above the rounds' budgets, summed", "lower", _overrun_j),
)

METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _DEFINED}
