"""What was trained or evaluated before is not computed again, and nobody can tell but by the counts."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from iovsim.domain import Failure, LossReason, TrainerKind, TrainJob, Tuning, Update
from iovsim.errors import TrainingError
from iovsim.learning.adapter import head_of, with_head
from iovsim.learning.batched.trainer import BatchedTrainer
from iovsim.learning.digest import digest_of
from iovsim.learning.prepared import LearningTask
from iovsim.learning.store.folder import stored_files
from iovsim.learning.store.trainer import StoredTrainer
from iovsim.learning.trainer import PeftTrainer
from tests.learning.batched.jobs import make_job

if TYPE_CHECKING:
    from .conftest import Begin


class Watched(BatchedTrainer):
    """Remembers the jobs that were trained together."""

    def __init__(self, learning: LearningTask) -> None:
        super().__init__({"signs": learning})
        self.together: list[list[str]] = []

    def train(self, jobs: Sequence[TrainJob]) -> list[Update | Failure]:
        self.together.append([job.vehicle for job in jobs])
        return super().train(jobs)


@pytest.fixture
def jobs(trainer: PeftTrainer) -> list[TrainJob]:
    """Three short jobs of different vehicles, samples and ranks."""
    return [make_job(trainer, number, rank=2 + 2 * number, samples=8) for number in range(3)]


def results(trainer: StoredTrainer, jobs: Sequence[TrainJob]) -> list[Update | Failure]:
    handles = [trainer.submit(job) for job in jobs]
    return [trainer.result(handle) for handle in handles]


def trainings(trainer: StoredTrainer) -> tuple[int, int, int]:
    """Hits, shared, misses."""
    counts = trainer.counts
    return counts["training_hits"], counts["training_shared"], counts["training_misses"]


def evaluations(trainer: StoredTrainer) -> tuple[int, int]:
    """Hits, misses."""
    return trainer.counts["evaluation_hits"], trainer.counts["evaluation_misses"]


@pytest.mark.parametrize("kind", TrainerKind)
def test_a_job_is_trained_once_and_comes_back_in_every_bit(
    begin: Begin, trainer: PeftTrainer, jobs: list[TrainJob], kind: TrainerKind
) -> None:
    first, second = begin(kind), begin(kind)
    trained = results(first, jobs[:2])
    assert trainings(first) == (0, 0, 2)
    read = results(second, jobs[:2])
    assert trainings(second) == (2, 0, 0)
    assert [digest_of(u) for u in read] == [digest_of(u) for u in trained]
    assert second.counts["read_bytes"] == first.counts["written_bytes"] > 0
    assert second.counts["written_bytes"] == 0
    if kind is TrainerKind.PEFT:
        assert digest_of(trained[0]) == digest_of(trainer.train(jobs[0]))


@pytest.mark.parametrize("tuning", [Tuning.HEAD, Tuning.FULL])
def test_training_without_adapters_is_kept_too(begin: Begin, trainer: PeftTrainer, tuning: Tuning) -> None:
    job = make_job(trainer, 1, rank=0, samples=8, tuning=tuning)
    [trained] = results(begin(), [job])
    again = begin()
    assert digest_of(results(again, [job])) == digest_of([trained])
    assert trainings(again) == (1, 0, 0)


def test_other_names_of_the_same_work_are_found(begin: Begin, jobs: list[TrainJob]) -> None:
    results(begin(), jobs[:1])
    again = begin()
    results(again, [replace(jobs[0], vehicle="w", rsu="r9", round=7)])
    assert trainings(again) == (1, 0, 0)


def test_ways_to_train_do_not_share(begin: Begin, jobs: list[TrainJob]) -> None:
    results(begin(TrainerKind.BATCHED), jobs[:1])
    other = begin(TrainerKind.PEFT)
    results(other, jobs[:1])
    assert trainings(other) == (0, 0, 1)


def test_equal_jobs_that_wait_train_once_and_the_others_still_together(
    begin: Begin, one_learning: LearningTask, jobs: list[TrainJob]
) -> None:
    results(begin(), jobs[1:2])
    watched = Watched(one_learning)
    stored = begin(inner=watched)
    same = replace(jobs[0], vehicle="w")
    first, other, twin, known = (stored.submit(job) for job in (jobs[0], jobs[2], same, jobs[1]))
    assert watched.together == []
    of_twin = stored.result(twin)
    assert watched.together == [[jobs[0].vehicle, jobs[2].vehicle]]
    assert digest_of(stored.result(first)) == digest_of(of_twin)
    assert isinstance(stored.result(other), Update)
    assert isinstance(stored.result(known), Update)
    assert len(watched.together) == 1
    assert trainings(stored) == (1, 1, 2)
    with pytest.raises(TrainingError, match=f"no job waits under handle {twin}; a result can be taken once"):
        stored.result(twin)


def test_failures_are_not_kept_and_each_names_its_own_vehicle(begin: Begin, jobs: list[TrainJob]) -> None:
    head = {name: np.full_like(array, 1e38) for name, array in head_of(jobs[0].adapter).items()}
    ruined = replace(jobs[0], adapter=with_head(jobs[0].adapter, head))
    stored = begin()
    outcomes = results(stored, [ruined, replace(ruined, vehicle="w")])
    for outcome, vehicle in zip(outcomes, ("v0", "w"), strict=True):
        assert isinstance(outcome, Failure)
        assert outcome.reason is LossReason.DIVERGED
        assert f"vehicle {vehicle!r}" in outcome.message
    assert stored.counts["written_bytes"] == 0
    again = begin()
    assert isinstance(results(again, [ruined])[0], Failure)
    assert trainings(again) == (0, 0, 1)


def test_impossible_jobs_are_refused_when_they_are_submitted(begin: Begin, jobs: list[TrainJob]) -> None:
    stored = begin()
    with pytest.raises(TrainingError, match="samples must index the training pool"):
        stored.submit(replace(jobs[0], samples=np.array([10**6])))
    with pytest.raises(TrainingError, match="task 'sings' is not known to the store; did you mean 'signs'"):
        stored.submit(replace(jobs[0], task="sings"))
    assert trainings(stored) == (0, 0, 0)


def test_evaluations_are_kept_in_every_bit(begin: Begin, jobs: list[TrainJob]) -> None:
    adapter = jobs[2].adapter
    heads = [{k: v + 1 for k, v in head_of(adapter).items()}, head_of(adapter)]
    shards = [np.array([1, 2, 3]), np.array([3, 9])]

    def asked(trainer: StoredTrainer) -> list[str]:
        return [
            digest_of(trainer.evaluate("signs", adapter)),
            digest_of(trainer.evaluate("signs", adapter, heads)),
            digest_of(trainer.validate("signs", adapter)),
            digest_of(trainer.validate("signs", adapter, heads[:1])),
            digest_of(trainer.evaluate_shards("signs", adapter, shards, [None, None])),
            digest_of(trainer.evaluate_shards("signs", adapter, shards, [heads[0], None])),
            digest_of(trainer.evaluate_shards("signs", adapter, shards[::-1], [None, None])),
        ]

    first, second = begin(), begin()
    computed = asked(first)
    assert evaluations(first) == (0, 7)
    assert len(set(computed)) == 7, "every one is another question"
    assert asked(second) == computed
    assert evaluations(second) == (7, 0)


def test_no_shards_need_no_evaluation(begin: Begin, jobs: list[TrainJob]) -> None:
    for stored in (begin(), begin()):
        assert stored.evaluate_shards("signs", jobs[0].adapter, [], []) == []


def test_the_adapter_to_start_from_is_the_trainers(begin: Begin, trainer: PeftTrainer) -> None:
    ours, theirs = (t.initial("signs", 4, 9, Tuning.LORA) for t in (begin(), trainer))
    assert digest_of(ours) == digest_of(theirs)


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "swapped", "foreign"])
def test_damaged_entries_are_computed_again(begin: Begin, jobs: list[TrainJob], tmp_path: Path, damage: str) -> None:
    trained = results(begin(), jobs[:2])
    evaluated = begin().evaluate("signs", jobs[0].adapter)
    files = [file.path for file in stored_files(tmp_path / "store")]
    contents = [path.read_bytes() for path in files]
    for number, (path, content) in enumerate(zip(files, contents, strict=True)):
        flipped = bytearray(content)
        flipped[-5] ^= 64
        path.write_bytes(
            {
                "cut": content[:-7],
                "flipped": bytes(flipped),
                "emptied": b"",
                "swapped": contents[number - 1],
                "foreign": b"not ours",
            }[damage]
        )
    stored = begin()
    assert digest_of(results(stored, jobs[:2])) == digest_of(trained)
    assert digest_of(stored.evaluate("signs", jobs[0].adapter)) == digest_of(evaluated)
    assert (trainings(stored), evaluations(stored)) == ((0, 0, 2), (0, 1))
    assert sorted(path.read_bytes() for path in files) == sorted(contents), "mended"


def test_a_full_disk_costs_the_store_and_not_the_run(
    begin: Begin, jobs: list[TrainJob], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    stored = begin()
    assert stored.problem == ""
    monkeypatch.setattr("os.replace", full)
    outcomes = results(stored, jobs)
    assert all(isinstance(outcome, Update) for outcome in outcomes)
    stored.validate("signs", jobs[0].adapter)
    assert "nothing more is kept in it: No space left on device" in stored.problem
    assert stored_files(tmp_path / "store") == []
    assert stored.counts["written_bytes"] == 0
