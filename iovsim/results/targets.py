"""Turns learning curves into the time and the energy that it took to reach a wished accuracy, or to not reach it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

from iovsim.errors import ResultsError, near_match
from iovsim.results import survival
from iovsim.results.evaluations import curves
from iovsim.results.measured import Measured, Reach
from iovsim.results.metrics import Metric
from iovsim.results.run import Run


@dataclass(frozen=True, slots=True)
class Target:
    """A held-out accuracy, above 0 and at most 1, that the merged adapter of a task is to reach."""

    task: str
    accuracy: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """`signs=0.6` as a target. Raises `ResultsError`."""
        task, found, number = text.partition("=")
        try:
            accuracy = float(number)
        except ValueError:
            accuracy = 0.0
        if not found or not task or not 0 < accuracy <= 1:
            raise ResultsError(f"--target {text!r}: write TASK=SHARE, above 0 and at most 1, such as signs=0.6.")
        return cls(task, accuracy)


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a run reached a target, counted from its first evaluation, and what its task had cost by then.

    Of a run that did not: how long it lasted, and what it cost in all. `kept`: the last evaluation is above it too.
    """

    reached: bool
    kept: bool
    time_s: float
    energy_j: float


def arrival(run: Run, target: Target) -> Arrival | None:
    """The first evaluation of the merged adapter on the whole held-out set whose accuracy is at least the target's.

    Ours: the time is that at which this adapter came into force; nothing is interpolated between evaluations, and
    falling below later undoes nothing (`kept` tells). The energy is what the ledger has booked for this task by then,
    vehicles and RSUs together, wasted energy included; a phase is booked at its end. None where the task was never
    evaluated. Raises `ResultsError` from reading tables.
    """
    curve = curves(run).get(target.task)
    if curve is None:
        return None
    above = curve[curve["accuracy"] >= target.accuracy]
    at_s = float(above["time_s"].iloc[0]) if len(above) else float(curve["time_s"].iloc[-1])
    ledger = run.table("energy")
    spent = ledger[(ledger["task"] == target.task) & (ledger["time_s"] <= at_s)]
    return Arrival(
        reached=len(above) > 0,
        kept=bool(curve["accuracy"].iloc[-1] >= target.accuracy),
        time_s=at_s - float(curve["time_s"].iloc[0]),
        energy_j=float(spent["energy_j"].sum()),
    )


def measure_targets(
    runs: Mapping[str, Mapping[int, Run]], seeds: Sequence[int], targets: Sequence[Target]
) -> list[Measured]:
    """Restricted time and energy to each target, by policy and seed.

    Restricted: all values are cut off at one limit, the least at which a run that did not reach the target ended. Up
    to there every run was seen, so that the mean of the values is the area under Kaplan and Meier's curve up to the
    limit, and differences by seed are differences of such areas. For times the limit is the horizon; for energies it is
    the least that a run without success has spent. Raises `ResultsError` for a task that no run has.
    """
    return [table for target in targets for table in _measure(runs, seeds, target)]


def _measure(runs: Mapping[str, Mapping[int, Run]], seeds: Sequence[int], target: Target) -> list[Measured]:
    tasks = {task for by_seed in runs.values() for seed in seeds for task in by_seed[seed].manifest.charge_as}
    if target.task not in tasks:
        raise ResultsError(f"target {target.task}={target.accuracy:g}: no such task; {near_match(target.task, tasks)}")
    arrivals = {
        policy: {s: found for s in seeds if (found := arrival(by_seed[s], target)) is not None}
        for policy, by_seed in runs.items()
    }
    return [
        _restricted(_metric(name, unit, column, target), target.task, arrivals, column)
        for name, unit, column in (("time", "s", "time_s"), ("energy", "J", "energy_j"))
    ]


def _restricted(metric: Metric, task: str, arrivals: Mapping[str, Mapping[int, Arrival]], column: str) -> Measured:
    """The values of `column`, cut off at the least that a run without success has."""
    every = [found for by_seed in arrivals.values() for found in by_seed.values()]
    limit = min((getattr(found, column) for found in every if not found.reached), default=None)
    values, reaches = {}, {}
    for policy, by_seed in arrivals.items():
        ends = {seed: float(getattr(found, column)) for seed, found in by_seed.items()}
        values[policy] = {seed: end if limit is None else min(end, limit) for seed, end in ends.items()}
        reached = [found.reached for found in by_seed.values()]
        kept = sum(found.reached and found.kept for found in by_seed.values())
        middle = survival.median(list(ends.values()), reached)
        reaches[policy] = Reach(len(by_seed), sum(reached), kept, middle, limit)
    return Measured(metric, task, values, reaches)


def _metric(name: str, unit: str, column: str, target: Target) -> Metric:
    what = "simulated time" if name == "time" else "energy of the task, vehicles and RSUs together,"
    return Metric(
        f"{name}_to_accuracy_{target.accuracy:g}",
        unit,
        f"{what} until held-out accuracy is {target.accuracy:g} for the first time",
        "lower",
        partial(_alone, target=target, column=column),
    )


def _alone(run: Run, target: Target, column: str) -> Mapping[str, float | None]:
    """The value of one run, None where it did not reach the target."""
    found = arrival(run, target)
    return {target.task: float(getattr(found, column)) if found is not None and found.reached else None}
