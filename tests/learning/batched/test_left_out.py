"""Blocks that a client has not are really not computed, by either trainer, and company changes no bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from iovsim.domain import LoraRule, Precision, TrainJob
from iovsim.learning.adapter import without
from iovsim.learning.backbones.backbone import Backbone
from iovsim.learning.backbones.roadvit import RoadViT
from iovsim.learning.batched.trainer import BatchedTrainer
from iovsim.learning.lora import PREFIX, peft_model
from iovsim.learning.prepared import LearningTask
from iovsim.learning.trainer import PeftTrainer
from tests.learning.batched.jobs import distance, equal_bits, in_double, make_job, with_rule

BLOCKS = [f"{PREFIX}trunk.blocks.{number}" for number in range(6)]
LEFT_OUT: list[tuple[int, ...]] = [(), (0, 2), (5,), (0, 1, 2, 3, 4), (1, 2, 3, 4, 5)]


def jobs_of(reference: PeftTrainer, lowest: int = 0) -> list[TrainJob]:
    """One for each set of blocks that are left out; those below `lowest` have no adapters and stay."""
    jobs = []
    for number, chosen in enumerate(LEFT_OUT):
        job = make_job(reference, number, rank=4, samples=12 + number)
        names = tuple(BLOCKS[k] for k in chosen if k >= lowest)
        if len(names) < 6 - lowest:
            jobs.append(replace(job, adapter=without(job.adapter, names), left_out=names))
    return jobs


@pytest.mark.parametrize(("lowest", "dropout"), [(0, 0.0), (0, 0.2), (4, 0.0)])
def test_updates_equal_those_of_peft(one_learning: LearningTask, lowest: int, dropout: float) -> None:
    learning = replace(one_learning, backbone=in_double(one_learning.backbone))
    learning = with_rule(learning, LoraRule(16.0, dropout=dropout, top_blocks=6 - lowest))
    theirs = PeftTrainer({"signs": learning})
    ours = BatchedTrainer({"signs": learning}, precision=Precision.FP64)
    jobs = jobs_of(theirs, lowest)
    assert len(jobs) >= 3
    for job, update in zip(jobs, ours.train(jobs), strict=True):
        assert distance(update, theirs.train(job), job) < 1e-10


def test_company_changes_no_bit(one_learning: LearningTask) -> None:
    jobs = jobs_of(PeftTrainer({"signs": one_learning})) + [
        replace(job, seed=99, samples=job.samples[:8]) for job in jobs_of(PeftTrainer({"signs": one_learning}))
    ]
    together = BatchedTrainer({"signs": one_learning}).train(jobs)
    for job, update in zip(jobs, together, strict=True):
        assert equal_bits(update, BatchedTrainer({"signs": one_learning}).train([job])[0])


@pytest.mark.parametrize("left_out", LEFT_OUT)
def test_the_model_is_that_of_the_blocks_that_are_left(backbone: Backbone, left_out: Sequence[int]) -> None:
    """Equal to a transformer put together from them by hand, at the fraction of the FLOPs."""
    pictures = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    trunk = backbone.trunk
    assert isinstance(trunk, RoadViT)
    model = peft_model(backbone, 43, LoraRule(16.0), 4, [f"blocks.{k}" for k in left_out])
    kept = [block for k, block in enumerate(trunk.blocks) if k not in left_out]
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        found = model.get_submodule("base_model.model.trunk")(pictures)
    with torch.no_grad():
        tokens = trunk.embeddings(pictures)
        for block in kept:
            tokens = block(tokens)
        expected = trunk.norm(tokens[:, 0])
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-5)
    blocks = {name for name, _ in model.named_parameters() if "lora_A" in name}
    assert len(blocks) == 2 * len(kept)
    whole = FlopCounterMode(display=False)
    with torch.no_grad(), whole:
        peft_model(backbone, 43, LoraRule(16.0), 4).get_submodule("base_model.model.trunk")(pictures)
    assert bool(left_out) == (counter.get_total_flops() < whole.get_total_flops())
    if len(kept) == 1:
        assert counter.get_total_flops() < 0.45 * whole.get_total_flops()
