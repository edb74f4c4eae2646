"""Turns a trainer into one that computes nothing twice: what a store holds is read, equal waiting jobs train once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from iovsim.domain import (
    Adapter,
    Evaluation,
    Failure,
    Head,
    IntArray,
    Metrics,
    Trainer,
    TrainerSpec,
    TrainJob,
    Tuning,
    Update,
)
from iovsim.errors import TrainingError
from iovsim.learning.prepared import LearningTask
from iovsim.learning.store.entries import EVALUATION, METRICS, UPDATE, Form
from iovsim.learning.store.folder import StoreFolder, StoreSpec
from iovsim.learning.store.keys import Keys

COUNTED = (
    "training_hits",  # read from the store
    "training_shared",  # trained for an equal job that waited too
    "training_misses",
    "evaluation_hits",
    "evaluation_misses",
    "read_bytes",
    "written_bytes",
)

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Training:
    """What equal jobs wait for; the first of them is the one that is trained."""

    key: str
    job: TrainJob
    handle: int
    outcome: Update | Failure | None = None


class StoredTrainer:
    """Implements `domain.Trainer`. Failures are not kept: they may be this computer's, and name one vehicle."""

    def __init__(self, inner: Trainer, keys: Keys, folder: StoreFolder) -> None:
        self._inner = inner
        self._keys = keys
        self._folder = folder
        self._counts: Counter[str] = Counter()
        self._trainings: dict[str, _Training] = {}  # by key, those without an outcome
        self._waiting: dict[int, tuple[TrainJob, _Training | Update]] = {}
        self._submitted = 0

    @property
    def counts(self) -> Mapping[str, int]:
        """How often what was asked for was there, and the bytes read and written (`COUNTED`)."""
        return {name: self._counts[name] for name in COUNTED}

    @property
    def problem(self) -> str:
        """Why nothing is kept any more; empty where all is well."""
        return self._folder.problem

    def initial(self, task: str, rank: int, seed: int, tuning: Tuning = Tuning.LORA) -> Adapter:
        """The adapter that every policy starts from."""
        return self._inner.initial(task, rank, seed, tuning)

    def submit(self, job: TrainJob) -> int:
        """Keeps a job, and submits it to the trainer if it must be trained: all those still train together."""
        found = self._found(job)
        self._submitted += 1
        self._waiting[self._submitted] = job, found
        return self._submitted

    def result(self, handle: int) -> Update | Failure:
        """The outcome of a job; each handle is answered once."""
        if handle not in self._waiting:
            raise TrainingError(f"no job waits under handle {handle}; a result can be taken once.")
        job, found = self._waiting.pop(handle)
        if isinstance(found, Update):
            return found
        if found.outcome is None:
            del self._trainings[found.key]
            found.outcome = self._inner.result(found.handle)
            if isinstance(found.outcome, Update):
                self._keep(found.key, UPDATE, found.outcome)
        if isinstance(found.outcome, Failure) and job is not found.job:
            return self._inner.result(self._inner.submit(job))  # its message names the vehicle
        return found.outcome

    def evaluate(self, task: str, adapter: Adapter, heads: Sequence[Head] = ()) -> Evaluation:
        """On the task's held-out set; with heads, the mean over them."""
        key = self._keys.of_evaluation(task, adapter, heads)
        return self._evaluated(key, EVALUATION, lambda: self._inner.evaluate(task, adapter, heads))

    def validate(self, task: str, adapter: Adapter, heads: Sequence[Head] = ()) -> Metrics:
        """On the task's validation samples."""
        key = self._keys.of_validation(task, adapter, heads)
        return self._evaluated(key, METRICS, lambda: [self._inner.validate(task, adapter, heads)])[0]

    def evaluate_shards(
        self, task: str, adapter: Adapter, shards: Sequence[IntArray], heads: Sequence[Head | None]
    ) -> list[Metrics]:
        """On sets of training-pool indices, none empty, each with its own head."""
        key = self._keys.of_shards(task, adapter, shards, heads)
        return self._evaluated(key, METRICS, lambda: self._inner.evaluate_shards(task, adapter, shards, heads))

    def _found(self, job: TrainJob) -> _Training | Update:
        """The job's update if the store holds it, or the training that it waits for."""
        key = self._keys.of_job(job)
        if key in self._trainings:
            self._counts["training_shared"] += 1
            return self._trainings[key]
        update = self._known(key, UPDATE)
        if update is not None:
            self._counts["training_hits"] += 1
            return update
        self._trainings[key] = _Training(key, job, self._inner.submit(job))
        self._counts["training_misses"] += 1
        return self._trainings[key]

    def _evaluated(self, key: str, form: Form[T], compute: Callable[[], T]) -> T:
        known = self._known(key, form)
        if known is not None:
            self._counts["evaluation_hits"] += 1
            return known
        self._counts["evaluation_misses"] += 1
        computed = compute()
        self._keep(key, form, computed)
        return computed

    def _known(self, key: str, form: Form[T]) -> T | None:
        content = self._folder.read(key)
        if content is None:
            return None
        result = form.unpacked(key, content)
        if result is None:
            self._folder.remove(key)
            return None
        self._counts["read_bytes"] += len(content)
        return result

    def _keep(self, key: str, form: Form[T], result: T) -> None:
        self._counts["written_bytes"] += self._folder.write(key, form.packed(key, result))


def stored_trainer(
    inner: Trainer, tasks: Mapping[str, LearningTask], training: TrainerSpec, store: StoreSpec, code: str
) -> StoredTrainer:
    """`inner`, which trains `tasks` in the way of `training`, over a store; `code` is a digest of the sources."""
    return StoredTrainer(inner, Keys(tasks, training, code), StoreFolder(store))
