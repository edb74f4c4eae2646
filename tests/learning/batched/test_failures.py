"""What goes wrong ends its own job: loss, weights, memory; and what can never be trained is refused at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from iovsim.domain import Failure, LossReason, TrainJob, Update
from iovsim.errors import TrainingError
from iovsim.learning.batched import model
from iovsim.learning.batched.trainer import BatchedTrainer
from iovsim.learning.prepared import LearningTask
from iovsim.learning.trainer import PeftTrainer
from tests.learning.batched.jobs import equal_bits, make_job


def _jobs(learning: LearningTask, count: int) -> list[TrainJob]:
    reference = PeftTrainer({"signs": learning})
    return [make_job(reference, k, rank=8, samples=20, epochs=2) for k in range(count)]


def _spoilt(job: TrainJob) -> TrainJob:
    """The job with one weight so large that its loss is not finite."""
    tensors = {name: array.copy() for name, array in job.adapter.tensors.items()}
    head = next(name for name in tensors if name.endswith("head.weight"))
    tensors[head][:] = np.float32(1e38)
    return replace(job, adapter=replace(job.adapter, tensors=tensors))


def test_a_diverging_job_harms_no_other(learning: LearningTask) -> None:
    jobs = _jobs(learning, 5)
    whole = BatchedTrainer({"signs": learning}).train(jobs)
    found = BatchedTrainer({"signs": learning}).train([*jobs[:2], _spoilt(jobs[2]), *jobs[3:]])
    failure = found[2]
    assert isinstance(failure, Failure)
    assert failure.reason is LossReason.DIVERGED
    assert "task 'signs', vehicle 'v2', round 0 of 'r0': the loss is" in failure.message
    assert all(equal_bits(found[k], whole[k]) for k in (0, 1, 3, 4))


def test_weights_that_end_infinite_are_a_failure(learning: LearningTask) -> None:
    job = make_job(PeftTrainer({"signs": learning}), 1, rank=8, samples=8)
    huge = replace(job, recipe=replace(job.recipe, optimiser="sgd", learning_rate=1e38, weight_decay=1e3))
    (failure,) = BatchedTrainer({"signs": learning}).train([huge])
    assert isinstance(failure, Failure)
    assert failure.reason is LossReason.DIVERGED


def _without_memory_for(most: int) -> Callable[..., Any]:
    real = model.losses_and_gradients

    def limited(upper: Any, parameters: Any, batch: Any) -> Any:
        if len(batch.counts) > most:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.")
        return real(upper, parameters, batch)

    return limited


def test_chunks_shrink_to_what_memory_holds(learning: LearningTask, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = _jobs(learning, 5)
    whole = BatchedTrainer({"signs": learning}).train(jobs)
    monkeypatch.setattr("iovsim.learning.batched.chunk.losses_and_gradients", _without_memory_for(2))
    found = BatchedTrainer({"signs": learning}).train(jobs)
    assert all(equal_bits(a, b) for a, b in zip(found, whole, strict=True))


def test_a_job_too_large_for_memory_fails_alone(learning: LearningTask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iovsim.learning.batched.chunk.losses_and_gradients", _without_memory_for(0))
    found = BatchedTrainer({"signs": learning}).train(_jobs(learning, 3))
    assert [f.reason for f in found if isinstance(f, Failure)] == [LossReason.MEMORY] * 3
    monkeypatch.undo()
    assert isinstance(BatchedTrainer({"signs": learning}).train(_jobs(learning, 1))[0], Update)


def test_another_error_is_not_hidden(learning: LearningTask, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a mistake in the code")

    monkeypatch.setattr("iovsim.learning.batched.chunk.losses_and_gradients", broken)
    with pytest.raises(RuntimeError, match="a mistake in the code"):
        BatchedTrainer({"signs": learning}).train(_jobs(learning, 1))


def test_jobs_that_can_never_be_trained_are_refused_when_submitted(learning: LearningTask) -> None:
    trainer = BatchedTrainer({"signs": learning})
    job = _jobs(learning, 1)[0]
    for wrong, message in (
        (replace(job, samples=np.array([], dtype=np.int64)), "there must be at least one"),
        (replace(job, samples=np.array([len(learning.data.train)])), "must index the training pool of 96"),
        (replace(job, epochs=0), "epochs = 0"),
        (replace(job, task="sings"), "did you mean 'signs'"),
    ):
        with pytest.raises(TrainingError, match=message):
            trainer.submit(wrong)


def test_a_result_is_taken_once(learning: LearningTask) -> None:
    trainer = BatchedTrainer({"signs": learning})
    handle = trainer.submit(_jobs(learning, 1)[0])
    trainer.result(handle)
    with pytest.raises(TrainingError, match=f"no job waits under handle {handle}"):
        trainer.result(handle)
