"""Turns a run into what it cost and how its jobs ended: one number for the run or a task. The definitions are ours.

A number is None where the run has nothing to measure, such as a latency without deliveries.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
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

REWARD_LATENCY_S, REWARD_ENERGY_J = 30.0, 75.0


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


def budget_share(run: Run) -> float | None:
    """What was spent of what was granted, over the rounds of an RSU and task that had any clients."""
    rounds = run.table("rounds").query("clients > 0")
    granted_j = float(rounds["energy_budget_j"].sum())
    return float(rounds["energy_j"].sum()) / granted_j if granted_j > 0 else None


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


def round_latency_s(run: Run) -> float | None:
    """Mean time from a round's start to the end of the last of its jobs, per RSU and task; rounds without are left out.

    P1's tau_round without the time that aggregation takes, which is not simulated.
    """
    jobs = run.table("jobs")
    ended = jobs[jobs["status"] != str(JobStatus.IN_FLIGHT)]
    rounds = ended.groupby(["rsu", "round", "task"])
    return float((rounds["end_s"].max() - rounds["start_s"].min()).mean()) if len(ended) else None


def memory_gbit(run: Run) -> float | None:
    """Mean memory that the training of a job takes, lost jobs included."""
    jobs = run.table("jobs")
    return float(jobs["memory_bits"].mean()) / 1e9 if len(jobs) else None


def mean_reward(run: Run) -> float | None:
    """Mean over all jobs that ended of P1's reward of a job, 0 where no update arrived, whatever the method chose by.

    fraction (0.6 exp(-loss) + 0.2 (1 - min(tau / 30 s, 1)) + 0.2 (1 - min(e / 75 J, 1))), with the form and the
    references of the policy file `p1` (see `policies.bandits.rewards`), for all methods alike.
    """
    ended = int((run.table("jobs")["status"] != str(JobStatus.IN_FLIGHT)).sum())
    if not ended:
        return None
    arrived = _jobs(run, ARRIVED)
    timely = 1.0 - ((arrived["end_s"] - arrived["start_s"]) / REWARD_LATENCY_S).clip(upper=1.0)
    thrifty = 1.0 - (arrived["energy_j"] / REWARD_ENERGY_J).clip(upper=1.0)
    rewards = arrived["fraction"] * (0.6 * np.exp(-arrived["loss_after"]) + 0.2 * timely + 0.2 * thrifty)
    return float(rewards.sum()) / ended


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
