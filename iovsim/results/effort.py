"""Turns a run into what it cost and how its jobs ended: one number for the run or a task. The definitions are ours.

A number is None where the run has nothing to measure, such as a latency without deliveries.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from iovsim.domain import ARRIVED, JobStatus
from iovsim.results.run import Run

LOST = (
    JobStatus.LOST_DOWNLINK,
    JobStatus.LOST_COMPUTE,
    JobStatus.LOST_UPLINK,
    JobStatus.LOST_MIGRATION,
    JobStatus.ABANDONED,
)
"""Statuses of jobs that were broken off. A job whose training failed, or still in flight at the horizon, is none."""


def energy_j(run: Run) -> float:
    """All energy of the ledger."""
    return float(run.table("energy")["energy_j"].sum())


def energy_per_update_j(run: Run) -> float | None:
    """All energy, wasted included, by delivered update."""
    updates = len(_jobs(run, ARRIVED))
    return energy_j(run) / updates if updates else None


def wasted_share(run: Run) -> float | None:
    """The share of all energy that was spent on jobs that gave no update."""
    ledger, total_j = run.table("energy"), energy_j(run)
    wasted_j = float(ledger.loc[ledger["cause"] == "wasted", "energy_j"].sum())
    return wasted_j / total_j if total_j > 0 else None


def overrun_j(run: Run) -> float:
    """Energy above the rounds' budgets, summed."""
    return float(run.table("rounds")["overrun_j"].sum())


def delivered_jobs(run: Run) -> float:
    """How many jobs' updates reached the server."""
    return float(len(_jobs(run, ARRIVED)))


def lost_jobs(run: Run) -> float:
    """How many jobs were broken off before their update reached the server."""
    return float(len(_jobs(run, LOST)))


def jobs_of(run: Run, status: JobStatus) -> float:
    """How many jobs ended with a status."""
    return float(len(_jobs(run, (status,))))


def latency_s(run: Run) -> float | None:
    """Mean time from start to end of the delivered jobs."""
    delivered = _jobs(run, ARRIVED)
    return float((delivered["end_s"] - delivered["start_s"]).mean()) if len(delivered) else None


def task_energy_j(run: Run) -> Mapping[str, float | None]:
    """The energy that the ledger has booked for each task, wasted energy included."""
    ledger = run.table("energy")
    return {t: float(ledger.loc[ledger["task"] == t, "energy_j"].sum()) for t in run.manifest.charge_as}


def task_latency_s(run: Run) -> Mapping[str, float | None]:
    """Mean time from start to end of the delivered jobs of each task."""
    delivered = _jobs(run, ARRIVED)
    lengths_s = (delivered["end_s"] - delivered["start_s"]).groupby(delivered["task"]).mean()
    return {task: float(lengths_s[task]) if task in lengths_s else None for task in run.manifest.charge_as}


def _jobs(run: Run, statuses: tuple[JobStatus, ...]) -> pd.DataFrame:
    jobs = run.table("jobs")
    return jobs[jobs["status"].isin([str(status) for status in statuses])]
