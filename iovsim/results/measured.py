"""Turns the runs of several policies into one table a metric and task: its value by policy and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from iovsim.results.metrics import METRICS, Metric, metrics
from iovsim.results.run import Run

ByPolicy = Mapping[str, Mapping[int, float]]
"""Values by policy and seed, without what a run could not measure."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How many of a policy's runs reached a target, and how many were above it at their end too.

    `median` is Kaplan and Meier's, None where fewer than half reached it; `limit` is where all values of the metric and
    task are cut off, whatever the policy, None where nothing had to be.
    """

    runs: int
    reached: int
    kept: int
    median: float | None
    limit: float | None


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric of one task ("" for the whole run); `reaches`, by policy, where it is one of reaching a target."""

    metric: Metric
    task: str
    values: ByPolicy
    reaches: Mapping[str, Reach] = field(default_factory=dict)


def measure(runs: Mapping[str, Mapping[int, Run]], seeds: Sequence[int]) -> list[Measured]:
    """All metrics of runs by policy and seed, in the order of `METRICS`, then by task. Raises `ResultsError`."""
    table: dict[tuple[str, str], dict[str, dict[int, float]]] = {}
    for policy, by_seed in runs.items():
        for seed in seeds:
            for found in metrics(by_seed[seed]):
                values = table.setdefault((found.metric.name, found.task), {p: {} for p in runs})
                if found.value is not None:
                    values[policy][seed] = found.value
    order = list(METRICS)
    return [
        Measured(METRICS[name], task, values)
        for (name, task), values in sorted(table.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))
    ]
