"""On a GPU bits may depend on company; what is promised are the same statuses, and accuracies to the digit shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from iovsim.domain import Adapter, Failure, LossReason, Precision, TrainJob, Tuning, Update
from iovsim.learning.aggregators.svd import SvdAggregator
from iovsim.learning.batched.trainer import BatchedTrainer
from iovsim.learning.prepared import LearningTask
from iovsim.learning.trainer import PeftTrainer
from tests.learning.batched.jobs import distance, in_double, make_job, with_rule
from tests.learning.batched.test_equal import ADAMW, MIXED, SGD

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")

TOLERANCE = {Precision.FP32: 1e-4, Precision.BF16: 5e-2}
"""Of the largest change of a weight in training by SGD; AdamW's first steps turn rounding into sign."""


@pytest.mark.parametrize("top_blocks", [None, 2, 1])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_in_double_precision_updates_equal_those_of_peft(
    one_learning: LearningTask, top_blocks: int | None, dropout: float
) -> None:
    learning = replace(one_learning, backbone=in_double(one_learning.backbone))
    rule = replace(learning.task.lora, top_blocks=top_blocks, dropout=dropout)
    for recipe in (ADAMW, replace(SGD, clip_norm=0.5)):
        changed = with_rule(learning, rule, recipe)
        theirs = PeftTrainer({"signs": changed})
        ours = BatchedTrainer({"signs": changed}, precision=Precision.FP64, device="cuda")
        jobs = [make_job(theirs, k, rank=r, samples=n, epochs=1 + k % 2) for k, (r, n) in enumerate(MIXED)]
        for job, update in zip(jobs, ours.train(jobs), strict=True):
            assert distance(update, theirs.train(job), job) < 1e-9


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
@pytest.mark.parametrize("top_blocks", [None, 1])
def test_other_precisions_stay_within_their_tolerance(
    one_learning: LearningTask, top_blocks: int | None, precision: Precision
) -> None:
    learning = with_rule(one_learning, replace(one_learning.task.lora, top_blocks=top_blocks), SGD)
    theirs = PeftTrainer({"signs": learning})
    ours = BatchedTrainer({"signs": learning}, precision=precision, device="cuda")
    jobs = [make_job(theirs, k, rank=r, samples=n) for k, (r, n) in enumerate(MIXED)]
    for job, update in zip(jobs, ours.train(jobs), strict=True):
        assert distance(update, theirs.train(job), job) < TOLERANCE[precision]


def test_heads_alone_are_trained_there_too(one_learning: LearningTask) -> None:
    learning = with_rule(one_learning, one_learning.task.lora, SGD)
    theirs = PeftTrainer({"signs": learning})
    ours = BatchedTrainer({"signs": learning}, device="cuda")
    jobs = [make_job(theirs, k, rank=0, samples=9 + k, tuning=Tuning.HEAD) for k in range(3)]
    for job, update in zip(jobs, ours.train(jobs), strict=True):
        assert distance(update, theirs.train(job), job) < 1e-4


def test_rounds_of_federated_training_end_alike(one_learning: LearningTask) -> None:
    """Four rounds of eight vehicles of mixed ranks: statuses as on the processor, accuracies to three digits."""
    learning = with_rule(one_learning, one_learning.task.lora, replace(SGD, learning_rate=0.1))
    accuracies = {}
    for device in ("cpu", "cuda"):
        trainer = BatchedTrainer({"signs": learning}, device=device)
        adapter = PeftTrainer({"signs": learning}).initial("signs", 8, 0)
        seen = []
        for number in range(4):
            jobs = [replace(j, seed=100 * number + k) for k, j in enumerate(_round(learning, adapter))]
            found = trainer.train(jobs)
            assert [type(f) for f in found] == [Update] * 7 + [Failure]
            updates = [f for f in found if isinstance(f, Update)]
            adapter = SvdAggregator().aggregate(adapter, updates)
            seen.append(round(trainer.evaluate("signs", adapter).overall.accuracy, 3))
        accuracies[device] = seen
    assert accuracies["cuda"] == accuracies["cpu"]


def _round(learning: LearningTask, adapter: Adapter) -> Sequence[TrainJob]:
    """Eight vehicles at ranks 2, 4 and 8; the last one's loss is not finite."""
    reference = PeftTrainer({"signs": learning})
    jobs = [make_job(reference, k, rank=(2, 4, 8)[k % 3], samples=12 + k) for k in range(8)]
    jobs = [replace(j, adapter=SvdAggregator().redistribute(adapter, j.adapter.rank, k)) for k, j in enumerate(jobs)]
    spoilt = dict(jobs[-1].adapter.tensors)
    head = next(name for name in spoilt if name.endswith("head.weight"))
    spoilt[head] = np.full_like(spoilt[head], 1e38)
    return [*jobs[:-1], replace(jobs[-1], adapter=replace(jobs[-1].adapter, tensors=spoilt))]


def test_what_finds_no_memory_fails_alone(one_learning: LearningTask, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.")

    monkeypatch.setattr("iovsim.learning.batched.chunk.losses_and_gradients", full)
    job = make_job(PeftTrainer({"signs": one_learning}), 1, rank=8, samples=9)
    (found,) = BatchedTrainer({"signs": one_learning}, device="cuda").train([job])
    assert isinstance(found, Failure)
    assert found.reason is LossReason.MEMORY


def test_chunks_are_halved_until_they_fit(one_learning: LearningTask) -> None:
    """With most of the GPU's memory taken, a large round still trains, in several chunks."""
    jobs = [make_job(PeftTrainer({"signs": one_learning}), k, rank=8, samples=40) for k in range(96)]
    whole = BatchedTrainer({"signs": one_learning}, device="cuda").train(jobs)
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 600 * 2**20) / total)
    try:
        halved = BatchedTrainer({"signs": one_learning}, device="cuda").train(jobs)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert all(isinstance(update, Update) for update in (*whole, *halved))
