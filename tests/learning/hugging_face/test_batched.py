"""Batched training of Hugging Face's models is PEFT's training too, with prefixes kept and without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from iovsim.domain import LoraRule, Precision, Recipe, TrainJob, Tuning
from iovsim.learning.backbones.backbone import Backbone
from iovsim.learning.backbones.pretrained import from_folder
from iovsim.learning.batched.models import Models
from iovsim.learning.batched.trainer import BatchedTrainer
from iovsim.learning.data.samples import Pictures, Texts
from iovsim.learning.prepared import LearningTask
from iovsim.learning.trainer import PeftTrainer
from tests.learning.batched.jobs import distance, equal_bits, in_double
from tests.learning.hugging_face.test_training import _backbone, _inputs, _learning

Folder = Callable[[str], Path]
RECIPE = Recipe(learning_rate=1e-2, batch_size=4)
VEHICLES = [(2, 5), (4, 8), (2, 11)]
"""Rank and samples of each."""


def _jobs(trainer: PeftTrainer, tuning: Tuning, dropout: float) -> list[TrainJob]:
    return [
        TrainJob(
            task="t",
            vehicle=f"v{k}",
            round=0,
            rsu="r",
            adapter=trainer.initial("t", rank if tuning is Tuning.LORA else 0, k, tuning),
            samples=np.arange(count),
            epochs=2,
            recipe=RECIPE,
            dropout=dropout,
            seed=k,
        )
        for k, (rank, count) in enumerate(VEHICLES)
    ]


def _compare(learning: LearningTask, tuning: Tuning = Tuning.LORA, dropout: float = 0.0) -> None:
    theirs = PeftTrainer({"t": replace(learning, backbone=in_double(learning.backbone))})
    ours = BatchedTrainer({"t": learning}, precision=Precision.FP64)
    jobs = _jobs(theirs, tuning, dropout)
    for job, update in zip(jobs, ours.train(jobs), strict=True):
        assert distance(update, theirs.train(job), job) < 1e-9


@pytest.mark.parametrize("family", ["vit", "deit", "swin", "bert", "roberta", "distilbert"])
@pytest.mark.parametrize(
    ("rule", "tuning"),
    [
        (LoraRule(8.0), Tuning.LORA),
        (LoraRule(8.0, dropout=0.2), Tuning.LORA),
        (LoraRule(8.0, top_blocks=1, targets=("query", "value", "mlp_out")), Tuning.LORA),
        (LoraRule(8.0), Tuning.HEAD),
    ],
    ids=["all", "dropout", "top", "head"],
)
def test_updates_equal_those_of_peft(
    family: str, rule: LoraRule, tuning: Tuning, saved: Folder, request: pytest.FixtureRequest
) -> None:
    pictures = family in ("vit", "deit", "swin")
    backbone = from_folder(saved(family), family, max_tokens=None if pictures else 32)
    inputs: Pictures | Texts = request.getfixturevalue("pictures" if pictures else "pairs")
    _compare(_learning(backbone, inputs, rule), tuning, rule.dropout)


@pytest.mark.parametrize("family", ["vit", "bert"])
def test_a_mean_over_tokens_is_read_the_same(family: str, saved: Folder, request: pytest.FixtureRequest) -> None:
    backbone = from_folder(saved(family), family, pooling="mean", max_tokens=None if family == "vit" else 32)
    inputs: Pictures | Texts = request.getfixturevalue("pictures" if family == "vit" else "sentences")
    for top_blocks in (None, 1):
        _compare(_learning(backbone, inputs, LoraRule(8.0, top_blocks=top_blocks)))


@pytest.mark.parametrize("family", ["vit", "swin", "bert", "roberta", "distilbert"])
@pytest.mark.parametrize("top_blocks", [None, 1])
def test_the_way_of_a_gpu_equals_peft(
    family: str,
    top_blocks: int | None,
    saved: Folder,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Vehicles with texts train together there, padded to each other's: done on the processor."""
    monkeypatch.setattr(Models, "on_gpu", True)
    _compare(_learning(_backbone(saved, family), _inputs(family, request), LoraRule(8.0, top_blocks=top_blocks)))


@pytest.mark.parametrize("family", ["vit", "swin", "bert"])
def test_company_changes_no_bit(family: str, saved: Folder, request: pytest.FixtureRequest) -> None:
    for top_blocks in (None, 1):
        learning = _learning(_backbone(saved, family), _inputs(family, request), LoraRule(8.0, top_blocks=top_blocks))
        jobs = _jobs(PeftTrainer({"t": learning}), Tuning.LORA, 0.0)
        together = BatchedTrainer({"t": learning}).train(jobs)
        alone = [BatchedTrainer({"t": learning}).train([job])[0] for job in jobs]
        assert all(equal_bits(a, b) for a, b in zip(together, alone, strict=True))


@pytest.mark.parametrize("family", ["vit", "swin", "bert", "roberta", "distilbert"])
def test_the_shared_backbone_stays_as_it_was(family: str, saved: Folder, request: pytest.FixtureRequest) -> None:
    backbone: Backbone = _backbone(saved, family)
    before = {name: tensor.clone() for name, tensor in backbone.trunk.state_dict().items()}
    for precision in Precision:
        learning = _learning(backbone, _inputs(family, request), LoraRule(8.0, top_blocks=1))
        trainer = BatchedTrainer({"t": learning}, precision=precision)
        jobs = _jobs(PeftTrainer({"t": learning}), Tuning.LORA, 0.0)
        for job, update in zip(jobs, trainer.train(jobs), strict=True):
            assert distance(update, PeftTrainer({"t": learning}).train(job), job) < 1.0
    after = backbone.trunk.state_dict()
    assert all(after[k].dtype == t.dtype and torch.equal(after[k], t) for k, t in before.items())
