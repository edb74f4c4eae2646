"""In double precision batched training is PEFT's training, whatever the options: to 1e-10 of the update."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.domain import ROLES, LoraRule, Precision, Recipe, Scaling, Tuning, Update
from iovsim.learning.batched.models import Models
from iovsim.learning.batched.trainer import BatchedTrainer
from iovsim.learning.prepared import LearningTask
from iovsim.learning.trainer import PeftTrainer
from tests.learning.batched.jobs import distance, in_double, make_job, with_rule

MIXED = [(2, 19), (4, 16), (8, 24), (16, 5), (32, 9), (8, 1)]
"""Rank and samples of each vehicle."""

ADAMW = Recipe(learning_rate=1e-3, batch_size=8)
SGD = Recipe(learning_rate=0.05, batch_size=8, optimiser="sgd")


@pytest.fixture(scope="module")
def double(one_learning: LearningTask) -> LearningTask:
    return replace(one_learning, backbone=in_double(one_learning.backbone))


@pytest.mark.parametrize("recipe", [ADAMW, SGD], ids=["adamw", "sgd"])
@pytest.mark.parametrize("top_blocks", [None, 2, 1], ids=["all", "top two", "top"])
@pytest.mark.parametrize(
    ("rule", "change"),
    [
        (LoraRule(16.0), {}),
        (LoraRule(16.0, dropout=0.3), {}),
        (LoraRule(16.0, scaling=Scaling.RSLORA, targets=ROLES), {"clip_norm": 0.5, "weight_decay": 0.1}),
        (LoraRule(16.0, targets=("key",)), {"balanced": True}),
    ],
    ids=["plain", "dropout", "everywhere", "key"],
)
def test_updates_equal_those_of_peft(
    double: LearningTask,
    recipe: Recipe,
    top_blocks: int | None,
    rule: LoraRule,
    change: dict[str, Any],
) -> None:
    learning = with_rule(double, replace(rule, top_blocks=top_blocks), replace(recipe, **change))
    theirs = PeftTrainer({"signs": learning})
    ours = BatchedTrainer({"signs": learning}, precision=Precision.FP64)
    jobs = [make_job(theirs, k, rank=r, samples=n, epochs=1 + k % 2) for k, (r, n) in enumerate(MIXED)]
    for job, update in zip(jobs, ours.train(jobs), strict=True):
        reference = theirs.train(job)
        assert isinstance(update, Update)
        assert isinstance(reference, Update)
        assert distance(update, reference, job) < 1e-10
        assert update.loss_after == pytest.approx(reference.loss_after, rel=1e-9)
        assert update.loss_before == pytest.approx(reference.loss_before, rel=1e-9)


@pytest.mark.parametrize("recipe", [ADAMW, SGD], ids=["adamw", "sgd"])
def test_heads_alone_equal_those_of_peft(double: LearningTask, recipe: Recipe) -> None:
    learning = with_rule(double, LoraRule(16.0), recipe)
    theirs, ours = PeftTrainer({"signs": learning}), BatchedTrainer({"signs": learning}, precision=Precision.FP64)
    jobs = [make_job(theirs, k, rank=0, samples=n, tuning=Tuning.HEAD) for k, n in enumerate((1, 8, 27, 30))]
    for job, update in zip(jobs, ours.train(jobs), strict=True):
        assert distance(update, theirs.train(job), job) < 1e-10


@settings(max_examples=8, deadline=None)
@given(
    vehicles=st.lists(st.tuples(st.sampled_from((1, 2, 5, 8, 12, 32)), st.integers(1, 30)), min_size=1, max_size=6),
    optimiser=st.sampled_from(("adamw", "sgd")),
    batch_size=st.integers(1, 9),
    weight_decay=st.sampled_from((0.0, 0.1)),
    clip_norm=st.sampled_from((math.inf, 1.0)),
    dropout=st.sampled_from((0.0, 0.2)),
    top_blocks=st.sampled_from((None, 1, 3)),
)
def test_any_mix_of_jobs_equals_peft(
    double: LearningTask,
    vehicles: list[tuple[int, int]],
    optimiser: str,
    batch_size: int,
    weight_decay: float,
    clip_norm: float,
    dropout: float,
    top_blocks: int | None,
) -> None:
    recipe = Recipe(1e-3, batch_size, optimiser, weight_decay, clip_norm)
    learning = with_rule(double, LoraRule(8.0, dropout=dropout, top_blocks=top_blocks), recipe)
    theirs, ours = PeftTrainer({"signs": learning}), BatchedTrainer({"signs": learning}, precision=Precision.FP64)
    jobs = [make_job(theirs, k, rank=r, samples=n) for k, (r, n) in enumerate(vehicles)]
    for job, update in zip(jobs, ours.train(jobs), strict=True):
        assert distance(update, theirs.train(job), job) < 1e-10


@pytest.mark.parametrize("top_blocks", [None, 1])
def test_the_way_of_a_gpu_equals_peft(
    double: LearningTask, top_blocks: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All ranks and vehicles at once, without a look at bits: what a GPU does, done on the processor."""
    monkeypatch.setattr(Models, "on_gpu", True)
    learning = with_rule(double, LoraRule(16.0, dropout=0.2, top_blocks=top_blocks), replace(ADAMW, clip_norm=0.5))
    theirs, ours = PeftTrainer({"signs": learning}), BatchedTrainer({"signs": learning}, precision=Precision.FP64)
    jobs = [make_job(theirs, k, rank=r, samples=n, epochs=1 + k % 2) for k, (r, n) in enumerate(MIXED)]
    for job, update in zip(jobs, ours.train(jobs), strict=True):
        assert distance(update, theirs.train(job), job) < 1e-10
    assert isinstance(update, Update)
    assert ours.validate("signs", update.adapter).loss == pytest.approx(theirs.validate("signs", update.adapter).loss)


@settings(max_examples=6, deadline=None)
@given(
    parts=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 20)), min_size=1, max_size=4),
    optimiser=st.sampled_from(("adamw", "sgd")),
    dropout=st.sampled_from((0.0, 0.2)),
    top_blocks=st.sampled_from((None, 1)),
)
def test_jobs_stopped_early_or_handed_over_equal_those_of_peft(
    double: LearningTask, parts: list[tuple[float, int]], optimiser: str, dropout: float, top_blocks: int | None
) -> None:
    """Each beside a whole one; carriers hold fewer or more samples than who hands over, even less than a batch."""
    learning = with_rule(double, LoraRule(8.0, dropout=dropout, top_blocks=top_blocks), Recipe(1e-3, 8, optimiser))
    theirs, ours = PeftTrainer({"signs": learning}), BatchedTrainer({"signs": learning}, precision=Precision.FP64)
    jobs = []
    for k, (part, carried) in enumerate(parts):
        job = make_job(theirs, k, rank=4, samples=5 + 6 * k, epochs=2)
        steps = max(1, round(part * job.planned_steps))
        samples = make_job(theirs, 50 + k, rank=4, samples=carried).samples if carried else None
        jobs += [job, replace(job, steps=steps, carrier_samples=samples)]
    for job, update in zip(jobs, ours.train(jobs), strict=True):
        reference = theirs.train(job)
        assert isinstance(update, Update)
        assert isinstance(reference, Update)
        assert distance(update, reference, job) < 1e-10
        assert update.fraction == reference.fraction
        assert update.loss_before == pytest.approx(reference.loss_before, rel=1e-9)
        assert update.loss_after == pytest.approx(reference.loss_after, rel=1e-9)


def test_full_training_is_that_of_the_reference(learning: LearningTask) -> None:
    theirs, ours = PeftTrainer({"signs": learning}), BatchedTrainer({"signs": learning})
    job = make_job(theirs, 1, rank=0, samples=9, tuning=Tuning.FULL)
    assert distance(ours.train([job])[0], theirs.train(job), job) == 0.0


def test_in_single_precision_the_difference_is_rounding(one_learning: LearningTask) -> None:
    """With SGD; AdamW's first steps turn rounding into sign, in PEFT itself under another attention kernel too."""
    learning = with_rule(one_learning, LoraRule(16.0), SGD)
    theirs, ours = PeftTrainer({"signs": learning}), BatchedTrainer({"signs": learning})
    jobs = [make_job(theirs, k, rank=r, samples=n) for k, (r, n) in enumerate(MIXED)]
    for job, update in zip(jobs, ours.train(jobs), strict=True):
        assert distance(update, theirs.train(job), job) < 1e-4


def test_figures_equal_those_of_the_reference(learning: LearningTask) -> None:
    for top_blocks in (None, 1, 2):
        changed = with_rule(learning, LoraRule(16.0, top_blocks=top_blocks))
        theirs, ours = PeftTrainer({"signs": changed}), BatchedTrainer({"signs": changed})
        (update,) = ours.train([make_job(theirs, 1, rank=8, samples=60, epochs=3)])
        assert isinstance(update, Update)
        adapter = update.adapter
        for found, reference in (
            (ours.evaluate("signs", adapter).overall, theirs.evaluate("signs", adapter).overall),
            (ours.validate("signs", adapter), theirs.validate("signs", adapter)),
            *zip(
                ours.evaluate_shards("signs", adapter, [make_job(theirs, 2, rank=2, samples=9).samples], [None]),
                theirs.evaluate_shards("signs", adapter, [make_job(theirs, 2, rank=2, samples=9).samples], [None]),
                strict=True,
            ),
        ):
            assert found.accuracy == reference.accuracy
            assert found.loss == pytest.approx(reference.loss, rel=1e-4)
