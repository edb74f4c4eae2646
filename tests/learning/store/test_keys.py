"""A key changes with everything that a result depends on, and with nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from iovsim.domain import Adapter, Precision, Pruning, Recipe, Scaling, TrainerKind, TrainerSpec, TrainJob, Tuning
from iovsim.learning.adapter import head_of
from iovsim.learning.data.samples import Data, take
from iovsim.learning.prepared import LearningTask
from iovsim.learning.store import keys
from iovsim.learning.store.keys import NAMES, Keys
from iovsim.learning.trainer import PeftTrainer
from tests.learning.batched.jobs import make_job

CHANGES: dict[str, Callable[[TrainJob], TrainJob]] = {
    "adapter": lambda job: replace(job, adapter=changed(job.adapter)),
    "samples": lambda job: replace(job, samples=job.samples[::-1].copy()),
    "epochs": lambda job: replace(job, epochs=job.epochs + 1),
    "recipe": lambda job: replace(job, recipe=replace(job.recipe, learning_rate=0.5)),
    "dropout": lambda job: replace(job, dropout=0.5),
    "seed": lambda job: replace(job, seed=job.seed + 1),
    "steps": lambda job: replace(job, steps=1),
    "carrier_samples": lambda job: replace(job, carrier_samples=job.samples),
    "base": lambda job: replace(job, base=job.adapter),
    "left_out": lambda job: replace(job, left_out=("base_model.model.trunk.blocks.0",)),
    "pruning": lambda job: replace(job, pruning=Pruning(0.99, 1e-3)),
}
RENAMED: dict[str, Callable[[TrainJob], TrainJob]] = {
    "task": lambda job: replace(job, task="the same by another name"),
    "vehicle": lambda job: replace(job, vehicle="w"),
    "rsu": lambda job: replace(job, rsu="r9"),
    "round": lambda job: replace(job, round=99),
}
ADAPTERS: dict[str, Callable[[Adapter], Adapter]] = {
    "rank": lambda a: replace(a, rank=a.rank + 1),
    "alpha": lambda a: replace(a, alpha=float(np.nextafter(a.alpha, 99.0))),
    "tensors": lambda a: changed(a),
    "scaling": lambda a: replace(a, scaling=Scaling.RSLORA),
    "tuning": lambda a: replace(a, tuning=Tuning.HEAD),
}
RECIPES: dict[str, Callable[[Recipe], Recipe]] = {
    "learning_rate": lambda r: replace(r, learning_rate=r.learning_rate * 2),
    "batch_size": lambda r: replace(r, batch_size=r.batch_size + 1),
    "optimiser": lambda r: replace(r, optimiser="sgd"),
    "weight_decay": lambda r: replace(r, weight_decay=0.5),
    "clip_norm": lambda r: replace(r, clip_norm=1.0),
    "balanced": lambda r: replace(r, balanced=True),
}


def changed(adapter: Adapter) -> Adapter:
    """One bit of the last tensor is another."""
    name, array = list(adapter.tensors.items())[-1]
    other = array.copy()
    other.flat[0] = np.nextafter(other.flat[0], np.float32(9.0))
    return replace(adapter, tensors={**adapter.tensors, name: other})


@pytest.fixture(scope="module")
def job(one_learning: LearningTask) -> TrainJob:
    return make_job(PeftTrainer({"signs": one_learning}), 1, rank=2, samples=8)


def keys_of(learning: LearningTask, spec: TrainerSpec | None = None, code: str = "code") -> Keys:
    tasks = {"signs": learning, "the same by another name": learning}
    return Keys(tasks, spec or TrainerSpec(), code)


@pytest.fixture
def made(one_learning: LearningTask) -> Keys:
    return keys_of(one_learning)


def all_keys(made: Keys, job: TrainJob) -> list[str]:
    """Of a training, and of an evaluation, a validation and one of shards."""
    adapter, rows = job.adapter, [np.array([1, 2])]
    return [
        made.of_job(job),
        made.of_evaluation("signs", adapter, ()),
        made.of_validation("signs", adapter, ()),
        made.of_shards("signs", adapter, rows, [None]),
    ]


def test_every_field_of_a_job_is_known_here(job: TrainJob) -> None:
    assert {*CHANGES, *RENAMED} == {field.name for field in fields(TrainJob)}
    assert set(RENAMED) == NAMES
    assert set(ADAPTERS) == {field.name for field in fields(Adapter)}
    assert set(RECIPES) == {field.name for field in fields(Recipe)}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_trained_changes_the_key(made: Keys, job: TrainJob, name: str) -> None:
    assert made.of_job(CHANGES[name](job)) != made.of_job(job)


@pytest.mark.parametrize("name", RENAMED)
def test_who_it_is_trained_for_does_not(made: Keys, job: TrainJob, name: str) -> None:
    assert made.of_job(RENAMED[name](job)) == made.of_job(job)


@pytest.mark.parametrize("name", ADAPTERS)
def test_every_part_of_an_adapter_changes_every_key(made: Keys, job: TrainJob, name: str) -> None:
    other = replace(job, adapter=ADAPTERS[name](job.adapter))
    assert not set(all_keys(made, other)) & set(all_keys(made, job))


@pytest.mark.parametrize("name", RECIPES)
def test_every_part_of_a_recipe_changes_the_key(made: Keys, job: TrainJob, name: str) -> None:
    assert made.of_job(replace(job, recipe=RECIPES[name](job.recipe))) != made.of_job(job)


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        (TrainerSpec(TrainerKind.PEFT), "code"),
        (TrainerSpec(precision=Precision.BF16), "code"),
        (TrainerSpec(), "other code"),
    ],
)
def test_the_way_to_compute_changes_every_key(
    one_learning: LearningTask, job: TrainJob, spec: TrainerSpec, code: str
) -> None:
    usual, other = keys_of(one_learning), keys_of(one_learning, spec, code)
    assert not set(all_keys(usual, job)) & set(all_keys(other, job))


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (torch, "__version__", "0.0.1"),
        (torch.backends.cpu, "get_cpu_capability", lambda: "none"),
        (keys, "version", lambda library: f"{library} 0"),
        (keys, "_processor", lambda: "an abacus"),
    ],
)
def test_library_and_processor_change_every_key(
    one_learning: LearningTask,
    job: TrainJob,
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
    value: object,
) -> None:
    before = all_keys(keys_of(one_learning), job)
    monkeypatch.setattr(owner, name, value)
    assert not set(before) & set(all_keys(keys_of(one_learning), job))


def test_the_kind_of_device_changes_every_key_and_its_number_none(
    one_learning: LearningTask, job: TrainJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a card")
    on_cpu, first, second = (
        all_keys(keys_of(one_learning, TrainerSpec(device=d)), job) for d in ("cpu", "cuda", "cuda:1")
    )
    assert not set(on_cpu) & set(first)
    assert first == second


def test_base_weights_change_every_key(one_learning: LearningTask, job: TrainJob) -> None:
    backbone = one_learning.backbone
    told = replace(one_learning, backbone=replace(backbone, sha256="another"))
    trunk = copy.deepcopy(backbone.trunk)
    next(trunk.parameters()).data.flatten()[0] += 1e-3
    real = replace(one_learning, backbone=replace(backbone, trunk=trunk))
    usual = set(all_keys(keys_of(one_learning), job))
    assert not usual & set(all_keys(keys_of(told), job))
    assert not usual & set(all_keys(keys_of(real), job))


def test_each_set_of_samples_changes_the_keys_of_what_is_worked_out_on_it(
    one_learning: LearningTask, job: TrainJob
) -> None:
    data = one_learning.data
    shorter = {
        "pool": replace(one_learning, data=Data(take(data.train, np.arange(90)), data.test)),
        "test": replace(one_learning, data=Data(data.train, take(data.test, np.arange(30)))),
        "validation": replace(one_learning, validation=take(one_learning.validation, np.arange(5))),
    }
    relabelled = {
        "pool": replace(one_learning, data=Data(replace(data.train, labels=data.train.labels[::-1]), data.test)),
        "test": replace(one_learning, data=Data(data.train, replace(data.test, labels=data.test.labels[::-1]))),
    }
    usual = all_keys(keys_of(one_learning), job)
    due = {"pool": [True, False, False, True], "test": [False, True, False, False]}
    due["validation"] = [False, False, True, False]
    for other in (shorter, relabelled):
        for name, learning in other.items():
            found = all_keys(keys_of(learning), job)
            assert [a != b for a, b in zip(found, usual, strict=True)] == due[name], name


def test_class_weights_change_the_key_of_training_alone(one_learning: LearningTask, job: TrainJob) -> None:
    task = one_learning.task
    balanced = replace(one_learning, task=replace(task, recipe=replace(task.recipe, balanced=True)))
    usual, found = all_keys(keys_of(one_learning), job), all_keys(keys_of(balanced), job)
    assert [a != b for a, b in zip(found, usual, strict=True)] == [True, False, False, False]


def test_where_texts_are_cut_changes_every_key(one_learning: LearningTask, job: TrainJob) -> None:
    backbone = one_learning.backbone

    class Cut:
        def __init__(self, inputs: object) -> None:
            self.lengths = np.full(len(inputs), 5)  # type: ignore[arg-type]

    short = replace(one_learning, backbone=replace(backbone, prepare=Cut))  # type: ignore[arg-type]
    assert not set(all_keys(keys_of(one_learning), job)) & set(all_keys(keys_of(short), job))


def test_heads_and_shards_change_the_keys_of_evaluations(made: Keys, job: TrainJob) -> None:
    adapter = job.adapter
    head, other = head_of(adapter), head_of(changed(adapter))
    asked = [
        *(made.of_evaluation("signs", adapter, heads) for heads in ((), (head,), (head, other), (other, head))),
        *(made.of_validation("signs", adapter, heads) for heads in ((), (head,), (head, other))),
        made.of_shards("signs", adapter, [np.array([1, 2])], [None]),
        made.of_shards("signs", adapter, [np.array([1, 2])], [head]),
        made.of_shards("signs", adapter, [np.array([2, 1])], [None]),
        made.of_shards("signs", adapter, [np.array([1]), np.array([2])], [None, None]),
    ]
    assert len(set(asked)) == len(asked)


def test_models_and_data_are_looked_through_once(
    one_learning: LearningTask, job: TrainJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = keys_of(one_learning)
    before = all_keys(made, job)

    def never(*_: object) -> None:
        raise AssertionError("looked through again")

    monkeypatch.setattr(type(one_learning.backbone.trunk), "state_dict", never)
    again = replace(one_learning, backbone=replace(one_learning.backbone, prepare=never))  # type: ignore[arg-type]
    monkeypatch.setitem(made._tasks, "signs", again)
    assert all_keys(made, job) == before
