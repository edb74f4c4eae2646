"""What methods add to a job, a base to train beside and ranks to give up, is PEFT's too, and company changes no bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from iovsim.domain import Adapter, LoraRule, Precision, Pruning, Recipe, TrainJob, Update
from iovsim.learning.adapter import adapted_layers
from iovsim.learning.aggregators.adalora import AdaLora
from iovsim.learning.batched.trainer import BatchedTrainer
from iovsim.learning.prepared import LearningTask
from iovsim.learning.trainer import PeftTrainer
from iovsim.rng import stream
from tests.learning.batched.jobs import distance, equal_bits, in_double, make_job, with_rule

CLIPPED = Recipe(learning_rate=1e-3, batch_size=8, clip_norm=1.0)


def learnt(adapter: Adapter, seed: int) -> Adapter:
    """The adapter with a B that is not zero, as after some rounds."""
    moved = {
        f"{layer}.lora_B.weight": 0.02
        * stream(seed, layer).normal(size=adapter.tensors[f"{layer}.lora_B.weight"].shape)
        for layer in adapted_layers(adapter)
    }
    return replace(adapter, tensors={**adapter.tensors, **{k: v.astype(np.float32) for k, v in moved.items()}})


def jobs_of(reference: PeftTrainer) -> list[TrainJob]:
    """Beside two bases and none, with and without pruning, several ranks."""
    bases = [None, *(learnt(reference.initial("signs", rank, 90 + rank), rank) for rank in (3, 12))]
    jobs = []
    for number, (rank, samples) in enumerate([(4, 19), (8, 16), (3, 24), (16, 9), (4, 12), (5, 17)]):
        job = make_job(reference, number, rank=rank, samples=samples, epochs=2)
        pruning = Pruning(0.75, 0.5) if number % 2 else None
        jobs.append(replace(job, adapter=learnt(job.adapter, number), base=bases[number % 3], pruning=pruning))
    return jobs


@pytest.mark.parametrize(("top_blocks", "dropout"), [(None, 0.2), (2, 0.0), (1, 0.0)])
def test_updates_equal_those_of_peft(one_learning: LearningTask, top_blocks: int | None, dropout: float) -> None:
    learning = replace(one_learning, backbone=in_double(one_learning.backbone))
    learning = with_rule(learning, LoraRule(16.0, dropout=dropout, top_blocks=top_blocks), CLIPPED)
    theirs = PeftTrainer({"signs": learning})
    ours = BatchedTrainer({"signs": learning}, precision=Precision.FP64)
    jobs = jobs_of(theirs)
    kept = 0
    for job, update in zip(jobs, ours.train(jobs), strict=True):
        reference = theirs.train(job)
        assert isinstance(update, Update)
        assert isinstance(reference, Update)
        assert update.adapter.rank == reference.adapter.rank
        kept += update.adapter.rank < job.adapter.rank
        assert update.loss_after == pytest.approx(reference.loss_after, rel=1e-9)
        assert update.loss_before == pytest.approx(reference.loss_before, rel=1e-9)
        if update.adapter.rank == job.adapter.rank:
            assert distance(update, reference, job) < 1e-10
        else:
            for name, array in reference.adapter.tensors.items():
                np.testing.assert_allclose(update.adapter.tensors[name], array, rtol=1e-6, atol=1e-7)
    assert kept, "some gave ranks up"


@pytest.mark.parametrize("top_blocks", [None, 1])
def test_company_changes_no_bit(one_learning: LearningTask, top_blocks: int | None) -> None:
    learning = with_rule(one_learning, LoraRule(16.0, top_blocks=top_blocks), CLIPPED)
    jobs = jobs_of(PeftTrainer({"signs": learning}))
    alike = [replace(job, base=jobs[1].base, pruning=jobs[1].pruning) for job in jobs]
    for chosen in (jobs, alike):
        together = BatchedTrainer({"signs": learning}).train(chosen)
        alone = [BatchedTrainer({"signs": learning}).train([job])[0] for job in chosen]
        assert all(equal_bits(a, b) for a, b in zip(together, alone, strict=True))


def test_a_base_leaves_nothing_behind(one_learning: LearningTask) -> None:
    learning = with_rule(one_learning, LoraRule(16.0, top_blocks=2))
    with_base, without = (
        jobs_of(PeftTrainer({"signs": learning}))[1],
        make_job(PeftTrainer({"signs": learning}), 7, rank=8, samples=20),
    )
    trainer = BatchedTrainer({"signs": learning})
    trainer.train([with_base])
    trainer.evaluate("signs", with_base.adapter)
    (after,) = trainer.train([without])
    (alone,) = BatchedTrainer({"signs": learning}).train([without])
    assert equal_bits(after, alone)


@pytest.mark.parametrize("recipe", [CLIPPED, Recipe(learning_rate=0.05, batch_size=8, optimiser="sgd")])
def test_directions_that_are_zero_stay_zero(one_learning: LearningTask, recipe: Recipe) -> None:
    """As those with which AdaLoRA's layers are filled up."""
    learning = with_rule(one_learning, LoraRule(16.0), recipe)
    reference = PeftTrainer({"signs": learning})
    job = make_job(reference, 1, rank=8, samples=20, epochs=2)
    handed_out = AdaLora().redistribute(learnt(job.adapter, 1), 2, seed=0)
    assert handed_out.rank > 2, "some layers have more, so others are filled up"
    job = replace(job, adapter=handed_out)
    for update in (reference.train(job), BatchedTrainer({"signs": learning}).train([job])[0]):
        assert isinstance(update, Update)
        for layer in adapted_layers(handed_out):
            for name, axis in ((f"{layer}.lora_A.weight", 1), (f"{layer}.lora_B.weight", 0)):
                before, after = (adapter.tensors[name].any(axis=axis) for adapter in (handed_out, update.adapter))
                np.testing.assert_array_equal(before, after)
