"""A task's data become inputs of its backbone and labels that a trainer can train and evaluate on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from iovsim.domain import Float32Array, IntArray, Task, TrainJob
from iovsim.errors import TrainingError
from iovsim.learning.backbones.backbone import Backbone, Inputs
from iovsim.learning.data.samples import Data, Samples


@dataclass(frozen=True, slots=True, eq=False)
class LearningTask:
    """A task, its backbone, the training pool that jobs and shards index, the held-out set and validation samples."""

    task: Task
    backbone: Backbone
    data: Data
    validation: Samples


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A task whose samples are made ready for its backbone."""

    learning: LearningTask
    pool: Inputs
    test: Inputs
    validation: Inputs
    class_weights: Float32Array  # (classes,); all 1 where the recipe does not balance


def prepare(name: str, learning: LearningTask) -> Prepared:
    """The task's samples as its backbone takes them. Raises `TrainingError` where they do not fit task or backbone."""
    found = len(learning.data.train.classes)
    if found != learning.task.classes:
        raise TrainingError(
            f"task {name!r}: classes = {learning.task.classes}, but its data have {found} classes; "
            f"set classes = {found} or choose other data."
        )
    balanced = learning.task.recipe.balanced
    return Prepared(
        learning=learning,
        pool=learning.backbone.prepare(learning.data.train.inputs),
        test=learning.backbone.prepare(learning.data.test.inputs),
        validation=learning.backbone.prepare(learning.validation.inputs),
        class_weights=(
            class_weights(learning.data.train.labels, found) if balanced else np.ones(found, dtype=np.float32)
        ),
    )


def class_weights(labels: IntArray, classes: int) -> Float32Array:
    """Weights (classes,) by inverse frequency among the labels, mean 1 over them; absent classes weigh 0."""
    counts = np.bincount(labels, minlength=classes)
    present = counts > 0
    weights = np.where(present, len(labels) / (present.sum() * np.maximum(counts, 1)), 0.0)
    return weights.astype(np.float32)


def check_job(job: TrainJob, pool: int) -> None:
    """Raises `TrainingError` for a job that can never be trained on a pool of so many samples."""
    where = f"task {job.task!r}, vehicle {job.vehicle!r}"
    for samples in (job.samples, *(() if job.carrier_samples is None else (job.carrier_samples,))):
        if not len(samples) or samples.min() < 0 or samples.max() >= pool:
            raise TrainingError(
                f"{where}: samples must index the training pool of {pool}, and there must be at least one."
            )
    recipe = job.recipe
    if job.epochs < 1 or recipe.batch_size < 1 or not recipe.learning_rate > 0:
        raise TrainingError(
            f"{where}: epochs = {job.epochs}, batch_size = {recipe.batch_size}, "
            f"learning_rate = {recipe.learning_rate}; all must be positive."
        )
    if job.steps is not None and not 1 <= job.steps <= job.planned_steps:
        raise TrainingError(f"{where}: steps = {job.steps}; it must lie in 1 to the planned {job.planned_steps}.")
