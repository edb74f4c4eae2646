"""Batched training of Hugging Face's models is PEFT's training too, with prefixes kept and without."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from iovsim.domain import ROLES, Adapter, LoraRule, Precision, Recipe, TrainJob, Tuning, Update
from iovsim.learning.adapter import without
from iovsim.learning.backbones.backbone import Backbone, adapted_blocks, blocks_of
from iovsim.learning.backbones.pretrained import from_folder
from iovsim.learning.batched import chunk
from iovsim.learning.batched.kind import Kind
from iovsim.learning.batched.models import Models
from iovsim.learning.batched.readout import ReadoutBlock
from iovsim.learning.batched.trainer import BatchedTrainer
from iovsim.learning.data.samples import Pictures, Texts
from iovsim.learning.lora import PREFIX
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


def _trained(trainer: PeftTrainer) -> Adapter:
    update = trainer.train(_jobs(trainer, Tuning.LORA, 0.0)[1])
    assert isinstance(update, Update)
    return update.adapter


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


@pytest.fixture
def read_alone(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of what was worked out for the read token alone."""
    seen: list[tuple[int, ...]] = []
    real = ReadoutBlock.forward

    def watched(block: ReadoutBlock, *given: Any, **named: Any) -> Tensor:
        token = real(block, *given, **named)
        seen.append(tuple(token.shape))
        return token

    monkeypatch.setattr(ReadoutBlock, "forward", watched)
    return seen


SHOWN: dict[str, Pictures | Texts] = {
    "equally long": tuple((" ".join("ice" if k & bit else "fog" for bit in (1, 2, 4, 8)),) for k in range(12)),
    "unequally long": tuple(
        (" ".join(["ice", "fog", "slow"][: 1 + k % 3]), " ".join(["road"] * (k % 4 + 1))) for k in range(12)
    ),
}


@pytest.mark.parametrize("top_blocks", [None, 2, 1], ids=["all", "top two", "top"])
@pytest.mark.parametrize(
    ("family", "shown", "way"),
    [
        ("vit", "pictures", "sdpa"),
        ("deit", "pictures", "sdpa"),
        *((family, shown, "sdpa") for family in ("bert", "roberta", "distilbert") for shown in SHOWN),
        *((family, "unequally long", "eager") for family in ("bert", "roberta", "distilbert")),
    ],
)
def test_a_first_token_is_worked_out_alone_and_the_same(
    family: str,
    shown: str,
    way: str,
    top_blocks: int | None,
    saved: Folder,
    pictures: Pictures,
    read_alone: list[tuple[int, ...]],
) -> None:
    """Without masks, with ones of truth values (sdpa), and with ones that are added (eager); of three blocks."""
    backbone = from_folder(saved(family), family, pooling="cls", max_tokens=None if shown == "pictures" else 32)
    backbone.trunk.get_submodule("model").set_attn_implementation(way)  # type: ignore[operator]
    blocks = backbone.trunk.get_submodule(blocks_of(backbone.trunk)[0].rpartition(".")[0])
    assert isinstance(blocks, nn.ModuleList)
    blocks.append(copy.deepcopy(blocks[0]))
    inputs = pictures if shown == "pictures" else SHOWN[shown]
    learning = _learning(backbone, inputs, LoraRule(8.0, top_blocks=top_blocks, targets=ROLES))
    _compare(learning)
    assert read_alone
    assert {shape[1:] for shape in read_alone} == {(1, 16)}
    read_alone.clear()
    theirs = PeftTrainer({"t": replace(learning, backbone=in_double(backbone))})
    ours = BatchedTrainer({"t": learning}, precision=Precision.FP64)
    adapter = _trained(theirs)
    assert ours.validate("t", adapter).loss == pytest.approx(theirs.validate("t", adapter).loss, rel=1e-9)
    assert {shape[1:] for shape in read_alone} == {(1, 16)}


@pytest.mark.parametrize(
    ("family", "rule"),
    [("swin", LoraRule(8.0)), ("vit", LoraRule(8.0, dropout=0.2)), ("bert", LoraRule(8.0, dropout=0.2))],
)
def test_other_tokens_are_worked_out_where_they_matter(
    family: str, rule: LoraRule, saved: Folder, request: pytest.FixtureRequest, read_alone: list[tuple[int, ...]]
) -> None:
    learning = _learning(_backbone(saved, family), _inputs(family, request), rule)
    BatchedTrainer({"t": learning}).train(_jobs(PeftTrainer({"t": learning}), Tuning.LORA, rule.dropout))
    assert not read_alone


@pytest.mark.parametrize("family", ["vit", "bert"])
def test_a_mean_over_tokens_is_read_the_same(
    family: str, saved: Folder, request: pytest.FixtureRequest, read_alone: list[tuple[int, ...]]
) -> None:
    backbone = from_folder(saved(family), family, pooling="mean", max_tokens=None if family == "vit" else 32)
    inputs: Pictures | Texts = request.getfixturevalue("pictures" if family == "vit" else "sentences")
    for top_blocks in (None, 1):
        _compare(_learning(backbone, inputs, LoraRule(8.0, top_blocks=top_blocks)))
    assert not read_alone


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


@pytest.mark.parametrize("family", ["vit", "swin", "bert", "roberta", "distilbert"])
def test_company_changes_no_bit(family: str, saved: Folder, request: pytest.FixtureRequest) -> None:
    for top_blocks in (None, 1):
        learning = _learning(_backbone(saved, family), _inputs(family, request), LoraRule(8.0, top_blocks=top_blocks))
        jobs = _jobs(PeftTrainer({"t": learning}), Tuning.LORA, 0.0)
        together = BatchedTrainer({"t": learning}).train(jobs)
        alone = [BatchedTrainer({"t": learning}).train([job])[0] for job in jobs]
        assert all(equal_bits(a, b) for a, b in zip(together, alone, strict=True))


def test_texts_read_at_their_first_token_train_together_and_tasks_apart(
    saved: Folder, pairs: Texts, sentences: Texts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each set of samples is padded to its own longest, so only jobs of one task are in a chunk."""
    seen: list[list[str]] = []
    real = chunk._stepped

    def watched(kind: Kind, together: chunk.Chunk) -> object:
        seen.append([work.job.task for work in together.works])
        return real(kind, together)

    monkeypatch.setattr(chunk, "_stepped", watched)
    backbone, rule = _backbone(saved, "bert"), LoraRule(8.0, top_blocks=1)
    tasks = {
        name: replace(learning, task=replace(learning.task, task=name))
        for name, texts in (("pairs", pairs), ("sentences", sentences))
        for learning in (_learning(backbone, texts, rule),)
    }
    jobs = [
        replace(job, task=name) for name in tasks for job in _jobs(PeftTrainer({"t": tasks[name]}), Tuning.LORA, 0.0)
    ]
    together = BatchedTrainer(tasks).train(jobs)
    assert {tuple(names) for names in seen if len(names) > 2} == {("pairs",) * 3, ("sentences",) * 3}
    alone = [BatchedTrainer(tasks).train([job])[0] for job in jobs]
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


@pytest.mark.parametrize("family", ["vit", "bert", "roberta", "distilbert"])
def test_blocks_can_be_left_out_of_every_family_that_has_one_list_of_them(
    family: str, saved: Folder, request: pytest.FixtureRequest
) -> None:
    """The lowest and the highest, beside one that has all; and they are really gone."""
    learning = _learning(_backbone(saved, family), _inputs(family, request), LoraRule(8.0))
    names = [f"{PREFIX}trunk.{block}" for block in adapted_blocks(learning.backbone.trunk, None)]
    assert len(names) > 1
    theirs = PeftTrainer({"t": replace(learning, backbone=in_double(learning.backbone))})
    ours = BatchedTrainer({"t": learning}, precision=Precision.FP64)
    whole = _jobs(theirs, Tuning.LORA, 0.0)
    jobs = [
        replace(job, adapter=without(job.adapter, left_out), left_out=left_out)
        for job, left_out in zip(whole, [(), (names[0],), (names[-1],)], strict=True)
    ]
    for job, update in zip(jobs, ours.train(jobs), strict=True):
        assert distance(update, theirs.train(job), job) < 1e-9
    told = [ours.train([replace(job, samples=whole[0].samples)])[0] for job in (whole[1], jobs[1])]
    assert told[0].loss_before != told[1].loss_before  # type: ignore[union-attr]


def test_of_swins_stages_no_block_can_be_left_out(saved: Folder) -> None:
    assert adapted_blocks(_backbone(saved, "swin").trunk, None) == []
