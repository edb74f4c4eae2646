"""The reference trainer: equal to PEFT trained by hand, and a function of the job alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict

from iovsim.domain import Adapter, Task, TrainJob, Update
from iovsim.errors import TrainingError
from iovsim.learning.datasets import Data
from iovsim.learning.evaluate import logits, metrics
from iovsim.learning.roadvit import build
from iovsim.learning.trainer import LearningTask, PeftTrainer
from iovsim.rng import stream


def _job(adapter: Adapter, vehicle: str = "v0", seed: int = 3, **changes: object) -> TrainJob:
    job = TrainJob(
        task="signs",
        vehicle=vehicle,
        round=0,
        rsu="r0",
        adapter=adapter,
        samples=np.arange(10, 30),
        epochs=2,
        batch_size=8,
        learning_rate=3e-3,
        seed=seed,
    )
    return replace(job, **changes)  # type: ignore[arg-type]


def _equal(a: Update, b: Update) -> bool:
    same = all(np.array_equal(a.adapter.tensors[name], b.adapter.tensors[name]) for name in a.adapter.tensors)
    return same and (a.loss_before, a.loss_after) == (b.loss_before, b.loss_after)


def test_an_update_equals_plain_peft_trained_by_hand(trainer: PeftTrainer, data: Data) -> None:
    job = _job(trainer.initial("signs", 4, seed=1))
    update = trainer.result(trainer.submit(job))

    config = LoraConfig(
        r=4, lora_alpha=16, target_modules=["query", "value"], modules_to_save=["head"], lora_dropout=0.0
    )
    model = get_peft_model(build(43, seed=0), config)
    own = dict(model.named_parameters())
    with torch.no_grad():
        for name, array in job.adapter.tensors.items():
            inner = name.replace(".lora_A.", ".lora_A.default.").replace(".lora_B.", ".lora_B.default.")
            own[inner.replace(".head.", ".head.modules_to_save.default.")].copy_(torch.from_numpy(array))
    pictures = (torch.from_numpy(data.train.images).float().permute(0, 3, 1, 2) - 115.0) / 64.0
    labels = torch.from_numpy(data.train.labels)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    losses: list[list[float]] = []
    for epoch in range(2):
        order = job.samples[stream(3, "order", epoch).permutation(20)]
        losses.append([])
        for batch in (order[:8], order[8:16], order[16:]):
            loss = torch.nn.CrossEntropyLoss()(model(pictures[batch]), labels[batch])
            losses[-1].append(loss.item())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    expected = get_peft_model_state_dict(model)
    assert set(expected) == set(update.adapter.tensors)
    for name, tensor in expected.items():
        # AdamW's first steps turn rounding into sign, so the bound is a part of one step, not of float32's resolution.
        np.testing.assert_allclose(update.adapter.tensors[name], tensor.numpy(), atol=1e-5, err_msg=name)
    assert update.loss_before == pytest.approx(np.mean(losses[0]), rel=1e-5)
    assert update.loss_after == pytest.approx(np.mean(losses[1]), rel=1e-5)
    assert (update.samples, update.fraction) == (20, 1.0)


def test_results_do_not_depend_on_the_order_of_calls(trainer: PeftTrainer, task: Task, data: Data) -> None:
    jobs = [_job(trainer.initial("signs", rank, seed=1), f"v{rank}", seed=rank, epochs=1) for rank in (2, 4, 8)]
    handles = [trainer.submit(job) for job in jobs]
    forwards = [trainer.result(handle) for handle in handles]
    other = PeftTrainer({"signs": LearningTask(task, data)})
    handles = [other.submit(job) for job in reversed(jobs)]
    other.evaluate("signs", jobs[0].adapter)
    backwards = [other.result(handle) for handle in reversed(handles)]
    assert all(_equal(a, b) for a, b in zip(forwards, backwards, strict=True))
    assert _equal(trainer.train(jobs[1]), forwards[1])
    assert not _equal(trainer.train(replace(jobs[1], seed=99)), forwards[1])


def test_training_moves_the_adapter_and_leaves_its_input_alone(trainer: PeftTrainer) -> None:
    start = trainer.initial("signs", 4, seed=1)
    before = {name: array.copy() for name, array in start.tensors.items()}
    update = trainer.train(_job(start, epochs=12))
    assert update.loss_after < 0.5 * update.loss_before
    assert all(np.array_equal(before[name], start.tensors[name]) for name in before)
    assert all(np.abs(update.adapter.tensors[name] - before[name]).max() > 0 for name in before)
    assert (update.adapter.rank, update.adapter.alpha) == (4, 16.0)


def test_evaluation_joins_shards_and_gives_each_its_own_figures(trainer: PeftTrainer, data: Data) -> None:
    adapter = trainer.train(_job(trainer.initial("signs", 4, seed=1), epochs=4)).adapter
    shards = [np.array([5, 2, 9]), np.arange(10, 30), np.array([9])]
    joined = trainer.evaluate_shards("signs", adapter, shards)
    model = trainer._filled("signs", adapter)
    for shard, found in zip(shards, joined, strict=True):
        alone = metrics(logits(model, data.train.images[shard]), data.train.labels[shard])
        assert (found.samples, found.accuracy, found.macro_f1) == (alone.samples, alone.accuracy, alone.macro_f1)
        assert found.loss == pytest.approx(alone.loss, rel=1e-4)
    assert trainer.evaluate_shards("signs", adapter, []) == []
    assert trainer.evaluate("signs", adapter).samples == 40


def test_the_initial_adapter_depends_on_the_seed_alone(trainer: PeftTrainer) -> None:
    a, b, c = (trainer.initial("signs", 4, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a.tensors[name], b.tensors[name]) for name in a.tensors)
    assert not np.array_equal(a.tensors["base_model.model.head.weight"], c.tensors["base_model.model.head.weight"])


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_a_loss_that_is_not_finite_names_task_and_vehicle(trainer: PeftTrainer) -> None:
    with pytest.raises(TrainingError, match=r"task 'signs', vehicle 'v0': the loss is .*lower learning_rate"):
        trainer.train(_job(trainer.initial("signs", 4, seed=1), learning_rate=1e30, epochs=3))


def test_wrong_jobs_are_refused_when_submitted(trainer: PeftTrainer) -> None:
    adapter = trainer.initial("signs", 4, seed=1)
    with pytest.raises(TrainingError, match="samples must index the training pool of 96"):
        trainer.submit(_job(adapter, samples=np.array([0, 96])))
    with pytest.raises(TrainingError, match="there must be at least one"):
        trainer.submit(_job(adapter, samples=np.array([], dtype=np.int64)))
    with pytest.raises(TrainingError, match=r"epochs = 0.*must be positive"):
        trainer.submit(_job(adapter, epochs=0))
    with pytest.raises(TrainingError, match=r"task 'sings' is not known.*did you mean 'signs'"):
        trainer.submit(_job(adapter, task="sings"))


def test_a_result_is_given_once(trainer: PeftTrainer) -> None:
    handle = trainer.submit(_job(trainer.initial("signs", 2, seed=1), epochs=1))
    trainer.result(handle)
    with pytest.raises(TrainingError, match=f"no job waits under handle {handle}"):
        trainer.result(handle)


def test_an_empty_shard_cannot_be_evaluated(trainer: PeftTrainer) -> None:
    with pytest.raises(TrainingError, match="evaluation set 1 is empty"):
        trainer.evaluate_shards("signs", trainer.initial("signs", 2, 1), [np.arange(3), np.arange(0)])


def test_a_task_and_its_data_must_agree_on_the_classes(task: Task, data: Data) -> None:
    with pytest.raises(TrainingError, match="classes = 10, but its data have 43 classes"):
        PeftTrainer({"signs": LearningTask(replace(task, classes=10), data)})
