"""Turns training jobs into updates with plain PEFT, one after the other: the reference for faster trainers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from peft import PeftModel
from torch.nn import functional

from iovsim.domain import Adapter, IntArray, Metrics, Task, TrainJob, Update
from iovsim.errors import TrainingError, near_match
from iovsim.learning import lora
from iovsim.learning.datasets import Data
from iovsim.learning.evaluate import logits, metrics
from iovsim.learning.roadvit import RoadViT, build, to_input
from iovsim.learning.threads import use_one_thread
from iovsim.rng import stream

WEIGHT_DECAY = 0.01  # torch's default for AdamW


@dataclass(frozen=True, slots=True, eq=False)
class LearningTask:
    """A task with its training pool, which jobs and shards index, and its held-out set."""

    task: Task
    data: Data


class PeftTrainer:
    """Implements `domain.Trainer`; a result is a function of the job, the base model and the data only."""

    def __init__(self, tasks: Mapping[str, LearningTask]) -> None:
        """Raises `TrainingError` where a task's data name another number of classes than the task.

        Sets torch to one thread: results of more threads may differ in the last bit.
        """
        use_one_thread()
        for name, learning in tasks.items():
            found = len(learning.data.train.classes)
            if found != learning.task.classes:
                raise TrainingError(
                    f"task {name!r}: classes = {learning.task.classes}, but its data have {found} classes; "
                    f"set classes = {found} or choose other data."
                )
        self._tasks = dict(tasks)
        self._models: dict[tuple[int, int, float], PeftModel] = {}
        self._bases: dict[int, RoadViT] = {}
        self._waiting: dict[int, TrainJob] = {}
        self._submitted = 0

    def initial(self, task: str, rank: int, seed: int) -> Adapter:
        """The adapter that every policy starts from."""
        known = self._task(task).task
        return lora.initial(task, known.classes, rank, known.alpha, seed)

    def submit(self, job: TrainJob) -> int:
        """Keeps a job until `result` asks for it; raises `TrainingError` now where it can never be trained."""
        pool = len(self._task(job.task).data.train)
        where = f"task {job.task!r}, vehicle {job.vehicle!r}"
        if not len(job.samples) or job.samples.min() < 0 or job.samples.max() >= pool:
            raise TrainingError(
                f"{where}: samples must index the training pool of {pool}, and there must be at least one."
            )
        if job.epochs < 1 or job.batch_size < 1 or not job.learning_rate > 0:
            raise TrainingError(
                f"{where}: epochs = {job.epochs}, batch_size = {job.batch_size}, learning_rate = {job.learning_rate}; "
                "all must be positive."
            )
        self._submitted += 1
        self._waiting[self._submitted] = job
        return self._submitted

    def result(self, handle: int) -> Update:
        """Trains the job and forgets it; each handle is answered once."""
        job = self._waiting.pop(handle, None)
        if job is None:
            raise TrainingError(f"no job waits under handle {handle}; a result can be taken once.")
        return self.train(job)

    def drop(self, handle: int) -> None:
        """Forgets a job whose update is lost."""
        self._waiting.pop(handle, None)

    def train(self, job: TrainJob) -> Update:
        """Trains `job.adapter` on the job's samples: cross-entropy, AdamW (Loshchilov and Hutter, 2019) begun anew.

        The order of the samples in epoch k is drawn from `stream(job.seed, "order", k)`; the last batch may be smaller.
        Raises `TrainingError` where the loss stops being finite.
        """
        model = self._filled(job.task, job.adapter)
        pool = self._task(job.task).data.train
        parameters = [p for p in model.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(parameters, lr=job.learning_rate, weight_decay=WEIGHT_DECAY)
        losses: list[float] = []  # mean over the batches of each epoch
        for epoch in range(job.epochs):
            order = job.samples[stream(job.seed, "order", epoch).permutation(len(job.samples))]
            total, batches = 0.0, 0
            for start in range(0, len(order), job.batch_size):
                batch = order[start : start + job.batch_size]
                loss = functional.cross_entropy(
                    model(to_input(pool.images[batch])), torch.from_numpy(pool.labels[batch])
                )
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                total, batches = total + loss.item(), batches + 1
            losses.append(total / batches)
            if not math.isfinite(losses[-1]):
                raise TrainingError(
                    f"task {job.task!r}, vehicle {job.vehicle!r}: the loss is {losses[-1]} in epoch {epoch} of round "
                    f"{job.round}; lower learning_rate = {job.learning_rate}."
                )
        adapter = lora.taken_from(model, job.adapter.rank, job.adapter.alpha)
        if not all(np.isfinite(array).all() for array in adapter.tensors.values()):
            raise TrainingError(
                f"task {job.task!r}, vehicle {job.vehicle!r}: weights are no longer finite after round {job.round}; "
                f"lower learning_rate = {job.learning_rate}."
            )
        return Update(adapter, len(job.samples), loss_before=losses[0], loss_after=losses[-1], fraction=1.0)

    def evaluate(self, task: str, adapter: Adapter) -> Metrics:
        """On the task's held-out set."""
        test = self._task(task).data.test
        return metrics(logits(self._merged(task, adapter), test.images), test.labels)

    def evaluate_shards(self, task: str, adapter: Adapter, shards: Sequence[IntArray]) -> list[Metrics]:
        """On sets of training-pool indices, none empty; a sample that several sets share is looked at once."""
        if not shards:
            return []
        empty = [k for k, shard in enumerate(shards) if not len(shard)]
        if empty:
            raise TrainingError(f"task {task!r}: evaluation set {empty[0]} is empty; raise the shards' test_fraction.")
        pool = self._task(task).data.train
        looked_at, back = np.unique(np.concatenate(shards), return_inverse=True)
        answers = logits(self._merged(task, adapter), pool.images[looked_at])
        ends = np.cumsum([len(shard) for shard in shards])[:-1]
        rows = np.split(back, ends)
        return [metrics(answers[row], pool.labels[shard]) for row, shard in zip(rows, shards, strict=True)]

    def _task(self, name: str) -> LearningTask:
        if name not in self._tasks:
            raise TrainingError(f"task {name!r} is not known to the trainer; {near_match(name, self._tasks)}")
        return self._tasks[name]

    def _filled(self, task: str, adapter: Adapter) -> PeftModel:
        """The PEFT model of the adapter's rank (built once), holding the adapter."""
        key = (self._task(task).task.classes, adapter.rank, adapter.alpha)
        if key not in self._models:
            self._models[key] = lora.peft_model(*key)
        lora.load_into(self._models[key], adapter)
        return self._models[key]

    def _merged(self, task: str, adapter: Adapter) -> RoadViT:
        """The model with the adapter in its weights, for evaluation."""
        classes = self._task(task).task.classes
        if classes not in self._bases:
            self._bases[classes] = build(classes, seed=0)
        return lora.merged(self._bases[classes], adapter)
