"""Turns training jobs into updates together: all that wait and are alike, some steps at a time, in chunks.

Equal to `PeftTrainer` but for rounding. On a processor results do not depend on who is trained beside whom, bit for
bit: ranks are padded by class, short batches of pictures are filled up, texts of which one token is computed are padded
to the longest of their set, and the first step of each shape of chunk is done again alone; where a bit differs, chunks
of that shape are not used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from iovsim.domain import Adapter, Evaluation, Failure, Head, IntArray, Metrics, Precision, TrainJob, Tuning, Update
from iovsim.errors import TrainingError
from iovsim.learning.adapter import adapted_layers
from iovsim.learning.backbones.backbone import layers
from iovsim.learning.batched.chunk import train_alike
from iovsim.learning.batched.cut import Cut
from iovsim.learning.batched.features import MergedFeatures
from iovsim.learning.batched.flat import LEAST_RANK, padded_rank
from iovsim.learning.batched.kind import Kind, Samples
from iovsim.learning.batched.models import Models, Source
from iovsim.learning.batched.state_files import StatesPlace
from iovsim.learning.batched.work import Work, work_of
from iovsim.learning.evaluator import Evaluator
from iovsim.learning.lora import PREFIX
from iovsim.learning.precision import computed, trained
from iovsim.learning.prepared import LearningTask, check_job
from iovsim.learning.trainer import PeftTrainer

BYTES_AT_ONCE = 8 * 8 * 17 * 128 * 4
"""Of a chunk: samples times tokens times width, in the computed type. More floods a processor's second-level cache."""

SHOWN_BYTES_AT_ONCE = 2**24
"""Of a chunk: the states that it is shown. More makes the last block alone, which reads much for one token, slower."""

MOST_AT_ONCE = 64

GPU_BYTES_AT_ONCE = 2**25
"""The same on a GPU, whose memory takes the activations of all blocks; where it does not, chunks are halved."""

COMMON_RANK = 32
"""Ranks are padded to this and train together where factors cost little: in the last block for one token, on GPUs."""


class BatchedTrainer:
    """Implements `domain.Trainer`; a result is a function of the job, the base model and the data only."""

    def __init__(
        self,
        tasks: Mapping[str, LearningTask],
        *,
        precision: Precision = Precision.FP32,
        device: str = "cpu",
        place: StatesPlace | None = None,
    ) -> None:
        """States of samples below the lowest adapter are kept in `place`, or for as long as the trainer lives.

        Raises `TrainingError` like `PeftTrainer`, which also trains what has nothing to batch (`Tuning.FULL`).
        """
        self._reference = PeftTrainer(tasks)
        prepared = self._reference.prepared
        self._models = Models(precision, torch.device(device), place)
        self._evaluator = Evaluator(prepared, MergedFeatures(prepared, self._models))
        self._kinds: dict[tuple[Any, ...], Kind] = {}
        self._waiting: dict[int, TrainJob] = {}
        self._finished: dict[int, Update | Failure] = {}
        self._submitted = 0

    def initial(self, task: str, rank: int, seed: int, tuning: Tuning = Tuning.LORA) -> Adapter:
        """The adapter that every policy starts from."""
        return self._reference.initial(task, rank, seed, tuning)

    def submit(self, job: TrainJob) -> int:
        """Keeps a job until any result is asked for; raises `TrainingError` now where it can never be trained."""
        check_job(job, len(self._reference.prepared(job.task).learning.data.train))
        self._submitted += 1
        self._waiting[self._submitted] = job
        return self._submitted

    def result(self, handle: int) -> Update | Failure:
        """Trains all that waits, if this job does, and forgets this one; each handle is answered once."""
        if handle in self._waiting:
            waiting, self._waiting = self._waiting, {}
            self._finished |= zip(waiting, self.train(list(waiting.values())), strict=True)
        if handle not in self._finished:
            raise TrainingError(f"no job waits under handle {handle}; a result can be taken once.")
        return self._finished.pop(handle)

    def train(self, jobs: Sequence[TrainJob]) -> list[Update | Failure]:
        """The outcomes of jobs, in their order, each trained from its own adapter."""
        outcomes: dict[int, Update | Failure] = {}
        alike: dict[tuple[Any, ...], dict[int, Work]] = {}
        for place, job in enumerate(jobs):
            if job.adapter.tuning is Tuning.FULL:
                outcomes[place] = self._reference.train(job)
            else:
                work = self._work(job)
                # By identity: clients of one RSU and round share one base.
                alike.setdefault((self._kind(work), id(job.base)), {})[place] = work
        for (key, _), works in alike.items():
            job = next(iter(works.values())).job
            backbone = self._reference.prepared(job.task).learning.backbone
            self._models.merge(self._kinds[key].upper, backbone, job.base)
            outcomes |= zip(works, train_alike(self._kinds[key], list(works.values())), strict=True)
        return [outcomes[place] for place in range(len(jobs))]

    def evaluate(self, task: str, adapter: Adapter, heads: Sequence[Head] = ()) -> Evaluation:
        """On the task's held-out set; with heads, the mean over them, features worked out once."""
        return self._evaluator.evaluate(task, adapter, heads)

    def validate(self, task: str, adapter: Adapter, heads: Sequence[Head] = ()) -> Metrics:
        """On the task's validation samples."""
        return self._evaluator.validate(task, adapter, heads)

    def evaluate_shards(
        self, task: str, adapter: Adapter, shards: Sequence[IntArray], heads: Sequence[Head | None]
    ) -> list[Metrics]:
        """On sets of training-pool indices, none empty; a sample that several sets share is looked at once."""
        return self._evaluator.evaluate_shards(task, adapter, shards, heads)

    def _work(self, job: TrainJob) -> Work:
        prepared = self._reference.prepared(job.task)
        cut = self._cut(job)
        gathers = self._models.on_gpu or (cut is not None and cut.one_token)
        rank = padded_rank(job.adapter.rank, COMMON_RANK if gathers else LEAST_RANK)
        return work_of(job, prepared.pool.lengths, rank)

    def _kind(self, work: Work) -> tuple[Any, ...]:
        """The key of all work that can be trained together with this one, which is made ready for it."""
        job = work.job
        prepared = self._reference.prepared(job.task)
        backbone, adapted = prepared.learning.backbone, _layers(job)
        cut, left_out = self._cut(job), _in_trunk(job.left_out)
        source = self._models.source(backbone, cut, prepared.pool)
        key = (id(backbone), adapted, left_out, work.shapes(), source.joins or job.task)
        if key not in self._kinds:
            self._kinds[key] = Kind(
                upper=self._models.upper(backbone, adapted, cut, prepared.pool, left_out),
                samples={},
                alike=source.alike,
                exact=not self._models.on_gpu,
                dtype=computed(self._models.precision),
                trained=trained(self._models.precision),
                device=self._models.device,
                most=self._most_at_once(work.batch_size, source),
            )
        self._kinds[key].samples[job.task] = Samples(
            source, prepared.learning.data.train.labels, prepared.class_weights
        )
        return key

    def _cut(self, job: TrainJob) -> Cut | None:
        """Below all blocks that the task adapts, also where the job's own lowest ones are left out."""
        learning = self._reference.prepared(job.task).learning
        adapted, rule = _layers(job), learning.task.lora
        if job.left_out:
            adapted = tuple(layers(learning.backbone.trunk, rule.targets, f"task {job.task!r}, lora", rule.top_blocks))
        return self._models.cut(learning.backbone, adapted, job.dropout)

    def _most_at_once(self, batch_size: int, source: Source) -> int:
        """How many vehicles with batches of this size."""
        one = batch_size * computed(self._models.precision).itemsize
        if self._models.on_gpu:
            return max(1, GPU_BYTES_AT_ONCE // (one * source.computed))
        if not source.alike:
            return 1  # samples of different lengths are not padded to each other's: bits would depend on company
        limits = (MOST_AT_ONCE, BYTES_AT_ONCE // (one * source.computed), SHOWN_BYTES_AT_ONCE // (one * source.shown))
        return max(1, min(limits))


def _layers(job: TrainJob) -> tuple[str, ...]:
    """The adapted layers' names within the trunk."""
    return _in_trunk(adapted_layers(job.adapter))


def _in_trunk(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.removeprefix(f"{PREFIX}trunk.") for name in names)
