"""Turns accuracy, latency and energy into the policies that no other beats in all three, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iovsim.domain import FloatArray
from iovsim.results.measured import Measured
from iovsim.results.metrics import METRICS, Direction
from iovsim.results.resampling import FEWEST, resamples

OBJECTIVES: Mapping[str, Direction] = {
    name: METRICS[name].better for name in ("final_accuracy", "task_latency_s", "task_energy_j")
}
"""The metrics of a task that are weighed against each other, and which way is better."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One policy among the others of a task ("": each objective averaged over tasks), by means over the same seeds.

    `values` (seeds, objectives) are what the means are of. It is on the front if `dominated_by` is empty: none of the
    others is at least as good in every objective and better in one. `share` is the part of resampled seeds in which it
    is; None below `resampling.FEWEST` seeds.
    """

    task: str
    policy: str
    values: FloatArray
    dominated_by: tuple[str, ...]
    share: float | None


def standings(tables: Sequence[Measured], policies: Sequence[str], seeds: Sequence[int]) -> list[Standing]:
    """The standings of all policies by task, then those over the mean over tasks, if there are several.

    Only seeds count for which every policy has every objective; a policy with none in any seed, such as a latency
    without deliveries, is left out. The bootstrap resamples seeds, the same for all policies: worlds are paired (ours).
    """
    known = {(table.task, table.metric.name): table.values for table in tables if table.metric.name in OBJECTIVES}
    tasks = sorted({task for task, _ in known})
    by_task: dict[str, dict[str, FloatArray]] = {}
    for task in tasks:
        by_task[task] = {
            policy: np.array([[_value(known, task, name, policy, s) for name in OBJECTIVES] for s in seeds])
            for policy in policies
        }
    if len(tasks) > 1:
        by_task[""] = {p: np.mean([by_task[task][p] for task in tasks], axis=0) for p in policies}
    return [found for task, values in by_task.items() for found in _standings(task, values)]


def _value(
    known: Mapping[tuple[str, str], Mapping[str, Mapping[int, float]]], task: str, name: str, policy: str, seed: int
) -> float:
    return known.get((task, name), {}).get(policy, {}).get(seed, np.nan)


def _standings(task: str, values: Mapping[str, FloatArray]) -> list[Standing]:
    measured = {p: v for p, v in values.items() if not np.isnan(v).any(axis=1).all()}
    if not measured:
        return []
    cube = np.stack(list(measured.values()))  # (policies, seeds, objectives)
    cube = cube[:, ~np.isnan(cube).any(axis=(0, 2))]
    seeds = cube.shape[1]
    if seeds == 0:
        return []
    signs = np.array([-1.0 if better == "higher" else 1.0 for better in OBJECTIVES.values()])
    beaten = dominated(cube.mean(axis=1) * signs)
    shares: list[float | None] = [None] * len(measured)
    if seeds >= FEWEST:
        drawn = resamples(seeds, "front", task)
        means = np.stack([v[drawn].mean(axis=1) for v in cube], axis=1)  # (resamples, policies, objectives)
        shares = list((~dominated(means * signs).any(axis=-1)).mean(axis=0).tolist())
    names = list(measured)
    return [
        Standing(task, name, cube[i], tuple(names[j] for j in np.flatnonzero(beaten[i])), shares[i])
        for i, name in enumerate(names)
    ]


def dominated(costs: FloatArray) -> NDArray[np.bool_]:
    """Whether (..., i, j) policy i is dominated by j: costs (..., policies, objectives), of which less is better."""
    mine, others = costs[..., :, None, :], costs[..., None, :, :]
    return np.logical_and((others <= mine).all(axis=-1), (others < mine).any(axis=-1))
