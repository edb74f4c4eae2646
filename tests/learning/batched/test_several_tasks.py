"""Jobs of several tasks over one backbone train together: each as PEFT trains it alone, and the same in any company."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.domain import LoraRule, Precision, Recipe, Task, TrainJob
from iovsim.learning.backbones.backbone import Backbone
from iovsim.learning.batched import chunk
from iovsim.learning.batched.kind import Kind
from iovsim.learning.batched.trainer import BatchedTrainer
from iovsim.learning.data.builtin import generate
from iovsim.learning.data.samples import take
from iovsim.learning.prepared import LearningTask
from iovsim.learning.trainer import PeftTrainer
from iovsim.rng import stream
from tests.learning.batched.jobs import distance, equal_bits, in_double

RECIPES = {
    "signs": Recipe(3e-3, batch_size=8, clip_norm=0.5),
    "lights": Recipe(1e-3, batch_size=8, optimiser="sgd", weight_decay=0.1, balanced=True),
    "vehicles": Recipe(1e-2, batch_size=8, weight_decay=0.1, clip_norm=1.0),
}
ALPHAS = {"signs": 16.0, "lights": 4.0, "vehicles": 16.0}
JOBS = [(t, rank, n) for t in RECIPES for rank, n in ((2, 19), (8, 24), (16, 5), (4, 17))]
"""Task, rank and samples of each vehicle."""


@pytest.fixture(scope="module")
def tasks(task: Task, backbone: Backbone) -> dict[str, LearningTask]:
    """Three tasks of 43, 5 and 8 classes over one backbone."""
    made = {}
    for name, recipe in RECIPES.items():
        data = generate(name, train=64, test=20, districts=2, seed=3)
        own = replace(task, task=name, classes=len(data.train.classes), lora=LoraRule(ALPHAS[name]), recipe=recipe)
        made[name] = LearningTask(own, backbone, data, validation=take(data.test, np.arange(5)))
    return made


def _changed(tasks: dict[str, LearningTask], top_blocks: int | None, dropout: float) -> dict[str, LearningTask]:
    return {
        name: replace(t, task=replace(t.task, lora=replace(t.task.lora, top_blocks=top_blocks, dropout=dropout)))
        for name, t in tasks.items()
    }


def _jobs(trainer: PeftTrainer) -> list[TrainJob]:
    return [
        TrainJob(
            task=task,
            vehicle=f"v{number}",
            round=0,
            rsu="r0",
            adapter=trainer.initial(task, rank, number),
            samples=stream(number, "a test's samples").permutation(64)[:samples].astype(np.int64),
            epochs=2,
            recipe=RECIPES[task],
            dropout=trainer.prepared(task).learning.task.lora.dropout,
            seed=number,
        )
        for number, (task, rank, samples) in enumerate(JOBS)
    ]


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("top_blocks", [None, 2, 1])
def test_updates_equal_those_of_peft(tasks: dict[str, LearningTask], top_blocks: int | None, dropout: float) -> None:
    changed = _changed(tasks, top_blocks, dropout)
    double = in_double(next(iter(changed.values())).backbone)
    doubled = {name: replace(t, backbone=double) for name, t in changed.items()}
    theirs, ours = PeftTrainer(doubled), BatchedTrainer(doubled, precision=Precision.FP64)
    jobs = _jobs(theirs)
    for job, update in zip(jobs, ours.train(jobs), strict=True):
        assert distance(update, theirs.train(job), job) < 1e-10


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("top_blocks", [None, 1])
@settings(max_examples=4, deadline=None)
@given(order=st.permutations(range(len(JOBS))), beside=st.integers(1, len(JOBS)))
def test_an_update_is_the_same_in_any_company(
    tasks: dict[str, LearningTask], top_blocks: int | None, dropout: float, order: list[int], beside: int
) -> None:
    changed = _changed(tasks, top_blocks, dropout)
    jobs = _jobs(PeftTrainer(changed))
    chosen = order[:beside]
    together = BatchedTrainer(changed).train([jobs[k] for k in chosen])
    for place in (0, len(chosen) - 1):
        assert equal_bits(together[place], BatchedTrainer(changed).train([jobs[chosen[place]]])[0])


def test_tasks_do_share_chunks(tasks: dict[str, LearningTask], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []
    real = chunk._stepped

    def watched(kind: Kind, together: chunk.Chunk) -> object:
        seen.append({work.job.task for work in together.works})
        return real(kind, together)

    monkeypatch.setattr(chunk, "_stepped", watched)
    trainer = BatchedTrainer(_changed(tasks, 1, 0.0))
    trainer.train(_jobs(PeftTrainer(tasks)))
    assert set(RECIPES) in seen
