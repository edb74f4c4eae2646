"""A plan becomes the time that it will take: by its finished runs, or by one world and a few steps of real training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from iovsim.domain import Task, TrainJob, Tuning, World
from iovsim.errors import ResultsError
from iovsim.experiment.city import Progress
from iovsim.experiment.run import Ready, RunSpec, make_ready
from iovsim.results import RunStatus, read_manifest

TRIED_SAMPLES = 64
"""Of the training that is timed, at most."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Processor seconds of one run, and what they follow from."""

    run_s: float
    basis: str


def estimate(specs: Sequence[RunSpec], cache: Path, progress: Progress) -> Estimate:
    """By the mean of finished runs, if there are any among `specs`.

    Else roughly: the first run's world is made (its traffic is kept for the run), and in every round every vehicle that
    is in reach and holds data trains, at the speed of a job that is timed; nothing comes from the store.
    Raises an `IovsimError` for whatever is wrong with that world.
    """
    finished = [seconds for spec in specs if (seconds := _wall_s(spec.out)) is not None]
    if finished:
        return Estimate(fmean(finished), f"the mean of {len(finished)} finished")
    spec = specs[0]
    ready = make_ready(spec.scenario, spec.seed, spec.training, cache, progress)
    run_s = time.process_time()  # since this process began: a run loads the same modules
    world = ready.built.world
    run_s += sum(
        jobs_at_most(world, task) * _job_s(ready, task) + _merges(world) * _evaluation_s(ready, task)
        for task in world.tasks
    )
    return Estimate(run_s, "rough: as if in every round all in reach trained, and nothing were stored")


def jobs_at_most(world: World, task: Task) -> int:
    """Vehicles with data for the task that are in reach of an RSU that hosts it, summed over the starts of rounds."""
    hosts = {rsu.rsu for rsu in world.rsus if task.task in rsu.tasks}
    holders = {name for name, vehicle in world.vehicles.items() if task.task in vehicle.shards}
    open_ = [(c.start_s, c.end_s) for c in world.contacts if c.rsu in hosts and c.vehicle in holders]
    spans = np.array(open_, dtype=np.float64).reshape(-1, 2)
    starts_s = np.arange(world.start_s, world.end_s, world.round_period_s)
    return int(((spans[:, :1] <= starts_s) & (starts_s < spans[:, 1:])).sum())


def _wall_s(folder: Path) -> float | None:
    """Of a finished run; None where there is none."""
    try:
        manifest = read_manifest(folder)
    except ResultsError:
        return None
    return manifest.wall_s if manifest.status is RunStatus.COMPLETE else None


def _job_s(ready: Ready, task: Task) -> float:
    """Of one vehicle's training with the task's median rank, judged by a short one."""
    sizes = [len(v.shards[task.task].train) for v in ready.built.world.vehicles.values() if task.task in v.shards]
    rank = task.ranks[len(task.ranks) // 2]
    pool = len(ready.tasks[task.task].data.train)
    samples = np.arange(min(TRIED_SAMPLES, pool), dtype=np.int64)
    job = TrainJob(
        task=task.task,
        vehicle="timed",
        round=0,
        rsu="timed",
        adapter=ready.trainer.initial(task.task, rank, 0, Tuning.LORA),
        samples=samples,
        epochs=1,
        recipe=task.recipe,
        dropout=task.lora.dropout,
        seed=0,
    )
    ready.trainer.result(ready.trainer.submit(job))  # the first one also makes what later ones find made
    begun_s = time.process_time()
    ready.trainer.result(ready.trainer.submit(job))
    return (time.process_time() - begun_s) / len(samples) * fmean(sizes or [0]) * task.local_epochs


def _evaluation_s(ready: Ready, task: Task) -> float:
    first, second = (ready.trainer.initial(task.task, task.ranks[0], seed, Tuning.LORA) for seed in (0, 1))
    ready.trainer.evaluate(task.task, first)
    begun_s = time.process_time()
    ready.trainer.evaluate(task.task, second)  # another one, since the features of the last are known
    return time.process_time() - begun_s


def _merges(world: World) -> float:
    return (world.end_s - world.start_s) / world.round_period_s / world.merge_every_rounds
