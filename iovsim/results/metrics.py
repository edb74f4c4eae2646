"""Turns a run into the numbers by which policies are compared: one number a metric, or one a task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from iovsim.domain import JobStatus
from iovsim.errors import ResultsError, near_match
from iovsim.results import effort, quality, reach
from iovsim.results.quality import ByTask
from iovsim.results.run import Run

Direction = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of a run; `function` gives it by task, under the task "" where it belongs to the whole run.

    A value is None where the run has nothing to measure (such as a latency without deliveries).
    """

    name: str
    unit: str
    meaning: str
    better: Direction
    function: Callable[[Run], ByTask]

    @property
    def heading(self) -> str:
        """The name with its unit, if any, and an arrow that points to what is better."""
        unit = "" if self.unit == "1" else f" [{self.unit}]"
        return f"{self.name}{unit} {'↑' if self.better == 'higher' else '↓'}"


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


def check_names(names: Iterable[str]) -> None:
    """Raises `ResultsError` for the first name that is no metric."""
    for name in names:
        if name not in METRICS:
            raise ResultsError(f"metric {name!r}: no such metric; {near_match(name, METRICS)}")


def _of_tasks(name: str, meaning: str, better: Direction, function: Callable[[Run], ByTask], unit: str = "1") -> Metric:
    return Metric(name, unit, meaning, better, function)


def _of_run(name: str, unit: str, meaning: str, better: Direction, function: Callable[[Run], float | None]) -> Metric:
    return Metric(name, unit, meaning, better, lambda run: {"": function(run)})


_DEFINED = (
    _of_tasks(
        "final_accuracy",
        "share of held-out samples that the last evaluated adapter answers rightly",
        "higher",
        partial(quality.final, column="accuracy"),
    ),
    _of_tasks(
        "final_macro_f1",
        "its mean F1 score of the classes, which counts a rare class as much as a frequent one",
        "higher",
        partial(quality.final, column="macro_f1"),
    ),
    _of_tasks("worst_class_recall", "its lowest recall of a class", "higher", quality.worst_class_recall),
    _of_tasks(
        "district_gap", "its accuracy in the best district minus that in the worst", "lower", quality.district_gap
    ),
    _of_tasks(
        "personalised_accuracy",
        "its accuracy on each vehicle's own held-out samples, mean over vehicles",
        "higher",
        partial(quality.mean_of_vehicles, column="accuracy"),
    ),
    _of_tasks(
        "personalised_macro_f1",
        "its macro F1 on each vehicle's own held-out samples, mean over vehicles",
        "higher",
        partial(quality.mean_of_vehicles, column="macro_f1"),
    ),
    _of_tasks("final_loss", "its mean loss on held-out samples", "lower", partial(quality.final, column="loss")),
    _of_tasks(
        "calibration_error",
        "its expected calibration error on held-out samples",
        "lower",
        partial(quality.final, column="calibration_error"),
    ),
    _of_tasks(
        "mean_accuracy",
        "area under held-out accuracy over simulated time, divided by the time from first to last evaluation",
        "higher",
        partial(quality.mean_over_time, column="accuracy"),
    ),
    _of_tasks(
        "mean_macro_f1",
        "the same area under held-out macro F1",
        "higher",
        partial(quality.mean_over_time, column="macro_f1"),
    ),
    _of_tasks(
        "best_accuracy",
        "highest held-out accuracy of any merge; optimistic, for it is chosen on the held-out samples themselves",
        "higher",
        partial(quality.best, column="accuracy"),
    ),
    _of_tasks(
        "final_stable_rank",
        "over how many directions the merged update spreads at the end: low where its rank collapses, but no merit",
        "higher",
        quality.final_stable_rank,
    ),
    _of_tasks(
        "task_energy_j",
        "energy of the ledger for the task, vehicles and RSUs together",
        "lower",
        effort.task_energy_j,
        "J",
    ),
    _of_tasks(
        "task_latency_s",
        "mean time from start to end of the task's delivered jobs",
        "lower",
        effort.task_latency_s,
        "s",
    ),
    _of_run("energy_j", "J", "all energy of the ledger, vehicles and RSUs together", "lower", effort.energy_j),
    _of_run(
        "energy_per_update_j",
        "J",
        "all energy, wasted included, by delivered update",
        "lower",
        effort.energy_per_update_j,
    ),
    _of_run("wasted_share", "1", "share of that energy spent on jobs without an update", "lower", effort.wasted_share),
    _of_run("overrun_j", "J", "energy above the rounds' budgets, summed", "lower", effort.overrun_j),
    _of_run(
        "budget_share", "1", "energy spent of what was granted to rounds with clients", "lower", effort.budget_share
    ),
    _of_run("delivered_jobs", "1", "jobs whose update reached the server", "higher", effort.delivered_jobs),
    _of_run("lost_jobs", "1", "jobs broken off before their update arrived", "lower", effort.lost_jobs),
    _of_run(
        "failed_jobs",
        "1",
        "jobs whose training diverged or ran out of memory",
        "lower",
        partial(effort.jobs_of, status=JobStatus.FAILED),
    ),
    _of_run(
        "early_jobs",
        "1",
        "delivered jobs that stopped training to upload in time",
        "lower",
        partial(effort.jobs_of, status=JobStatus.DELIVERED_EARLY),
    ),
    _of_run(
        "migrated_jobs",
        "1",
        "delivered jobs that arrived at another RSU or by another vehicle",
        "higher",
        partial(effort.jobs_of, status=JobStatus.MIGRATED),
    ),
    _of_run(
        "abandoned_jobs",
        "1",
        "lost jobs that the fallback gave up",
        "lower",
        partial(effort.jobs_of, status=JobStatus.ABANDONED),
    ),
    _of_run("latency_s", "s", "mean time from start to end of the delivered jobs", "lower", effort.latency_s),
    _of_run(
        "round_latency_s",
        "s",
        "mean time from a round's start to the end of its last job, by RSU and task",
        "lower",
        effort.round_latency_s,
    ),
    _of_run("memory_gbit", "Gbit", "mean memory that the training of a job takes", "lower", effort.memory_gbit),
    _of_run(
        "mean_reward",
        "1",
        "P1's reward of a job (quality 0.6, time 0.2, energy 0.2), mean over all jobs; 0 without an update",
        "higher",
        effort.mean_reward,
    ),
    _of_run(
        "connected_share",
        "1",
        "share of vehicles' time on the road in which an RSU has them",
        "higher",
        lambda run: reach.connected_share(run.table("connectivity")),
    ),
    _of_run(
        "seen_share",
        "1",
        "the same time, as far as no building stands between",
        "higher",
        lambda run: reach.seen_share(run.table("contacts"), run.table("connectivity")),
    ),
    _of_run(
        "covered_road_share",
        "1",
        "share of the length of all roads within range of an RSU",
        "higher",
        lambda run: reach.covered_road_share(run.table("rsus"), run.table("shapes")),
    ),
    _of_run(
        "contact_s",
        "s",
        "mean length of a contact between a vehicle and an RSU",
        "higher",
        lambda run: reach.contact_s(run.table("contacts")),
    ),
    _of_run(
        "handovers_per_vehicle_h",
        "1/h",
        "changes from one RSU straight to another, by hour of a vehicle on the road",
        "lower",
        lambda run: reach.handovers_per_vehicle_h(run.table("contacts"), run.table("connectivity")),
    ),
)

METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _DEFINED}

DEFAULT = (
    "final_accuracy",
    "final_macro_f1",
    "worst_class_recall",
    "personalised_accuracy",
    "energy_j",
    "wasted_share",
    "overrun_j",
    "delivered_jobs",
    "lost_jobs",
    "failed_jobs",
    "latency_s",
)
"""What a comparison shows unless asked: few enough to read, and never accuracy without macro F1."""
