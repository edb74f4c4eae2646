"""The reference trainer: equal to PEFT trained by hand, and a function of the job alone."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict

from iovsim.domain import (
    Adapter,
    Failure,
    IntArray,
    LoraRule,
    LossReason,
    Metrics,
    Recipe,
    Scaling,
    TrainJob,
    Tuning,
    Update,
)
from iovsim.errors import TrainingError
from iovsim.learning import lora
from iovsim.learning.adapter import HEAD, head_of, with_head
from iovsim.learning.backbones.backbone import Backbone, classifier
from iovsim.learning.backbones.roadvit import to_input
from iovsim.learning.data.samples import Data, take
from iovsim.learning.evaluate import metrics
from iovsim.learning.lora import merged
from iovsim.learning.prepared import LearningTask, class_weights
from iovsim.learning.trainer import PeftTrainer
from iovsim.rng import stream

RECIPE = Recipe(learning_rate=3e-3, batch_size=8)


def _job(adapter: Adapter, vehicle: str = "v0", seed: int = 3, **changes: object) -> TrainJob:
    job = TrainJob(
        task="signs",
        vehicle=vehicle,
        round=0,
        rsu="r0",
        adapter=adapter,
        samples=np.arange(10, 30),
        epochs=2,
        recipe=RECIPE,
        dropout=0.0,
        seed=seed,
    )
    return replace(job, **changes)  # type: ignore[arg-type]


def _trained(trainer: PeftTrainer, job: TrainJob) -> Update:
    update = trainer.train(job)
    assert isinstance(update, Update)
    return update


def _equal(a: Update | Failure, b: Update | Failure) -> bool:
    assert isinstance(a, Update)
    assert isinstance(b, Update)
    same = all(np.array_equal(a.adapter.tensors[name], b.adapter.tensors[name]) for name in a.adapter.tensors)
    return same and (a.loss_before, a.loss_after) == (b.loss_before, b.loss_after)


def _by_hand(model: torch.nn.Module, job: TrainJob, data: Data, weight: torch.Tensor | None = None) -> list[float]:
    """Trains a model that holds the job's adapter the plain way; returns the mean loss of each epoch."""
    pictures, labels = to_input(data.train.inputs), torch.from_numpy(data.train.labels)  # type: ignore[arg-type]
    own, recipe = [p for p in model.parameters() if p.requires_grad], job.recipe
    made = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.SGD
    optimiser = made(own, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    means = []
    for epoch in range(job.epochs):
        order = job.samples[stream(job.seed, "order", epoch).permutation(len(job.samples))]
        losses = []
        for batch in np.split(order, range(recipe.batch_size, len(order), recipe.batch_size)):
            each = torch.nn.CrossEntropyLoss(reduction="none")(model(pictures[batch]), labels[batch])
            loss = (each if weight is None else each * weight[labels[batch]]).mean()
            losses.append(loss.item())
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(own, recipe.clip_norm)
            optimiser.step()
        means.append(float(np.mean(losses)))
    return means


@pytest.mark.parametrize("rule", [LoraRule(16.0), LoraRule(8.0, Scaling.RSLORA, 0.0, ("key", "mlp_in"))])
def test_an_update_equals_plain_peft_trained_by_hand(learning: LearningTask, data: Data, rule: LoraRule) -> None:
    trainer = PeftTrainer({"signs": replace(learning, task=replace(learning.task, lora=rule))})
    job = _job(trainer.initial("signs", 4, seed=1), epochs=2)
    update = trainer.result(trainer.submit(job))
    assert isinstance(update, Update)

    names = {"query": "attention.query", "value": "attention.value", "key": "attention.key", "mlp_in": "mlp.0"}
    config = LoraConfig(
        r=4,
        lora_alpha=rule.alpha,  # type: ignore[arg-type]
        target_modules=[names[role] for role in rule.targets],
        modules_to_save=["head"],
        use_rslora=rule.scaling is Scaling.RSLORA,
    )
    model = get_peft_model(classifier(learning.backbone, 43), config)
    own = dict(model.named_parameters())
    with torch.no_grad():
        for name, array in job.adapter.tensors.items():
            inner = name.replace(".lora_A.", ".lora_A.default.").replace(".lora_B.", ".lora_B.default.")
            own[inner.replace(".head.", ".head.modules_to_save.default.")].copy_(torch.from_numpy(array))
    losses = _by_hand(model, job, data)

    expected = get_peft_model_state_dict(model)
    assert set(expected) == set(update.adapter.tensors)
    for name, tensor in expected.items():
        # AdamW's first steps turn rounding into sign, so the bound is a part of one step, not of float32's resolution.
        np.testing.assert_allclose(update.adapter.tensors[name], tensor.numpy(), atol=1e-5, err_msg=name)
    assert [update.loss_before, update.loss_after] == pytest.approx(losses, rel=1e-5)
    assert (update.samples, update.fraction) == (20, 1.0)


@pytest.mark.parametrize("tuning", [Tuning.HEAD, Tuning.FULL])
def test_reference_modes_equal_plain_torch(learning: LearningTask, data: Data, tuning: Tuning) -> None:
    recipe = Recipe(learning_rate=0.02, batch_size=8, optimiser="sgd", weight_decay=0.1, clip_norm=0.5, balanced=True)
    trainer = PeftTrainer({"signs": replace(learning, task=replace(learning.task, recipe=recipe))})
    job = _job(trainer.initial("signs", 0, 1, tuning), recipe=recipe)
    update = _trained(trainer, job)

    model = classifier(learning.backbone, 43)
    if tuning is Tuning.FULL:
        model.trunk = copy.deepcopy(learning.backbone.trunk).requires_grad_(True)
    with torch.no_grad():
        model.head.load_state_dict({k.removeprefix(HEAD): torch.from_numpy(a) for k, a in head_of(job.adapter).items()})
    losses = _by_hand(model, job, data, torch.from_numpy(class_weights(data.train.labels, 43)))
    trained = {f"base_model.model.{name}": p for name, p in model.named_parameters() if p.requires_grad}
    assert trained.keys() == update.adapter.tensors.keys()
    for name, tensor in trained.items():
        np.testing.assert_allclose(update.adapter.tensors[name], tensor.detach().numpy(), atol=1e-5, err_msg=name)
    assert update.loss_after == pytest.approx(losses[-1], rel=1e-5)
    assert (update.adapter.rank, update.adapter.tuning) == (0, tuning)


def test_dropout_is_drawn_by_the_jobs_seed_and_only_in_adapters(learning: LearningTask) -> None:
    trainer = PeftTrainer({"signs": learning})
    start = trainer.initial("signs", 4, seed=1)
    jobs = [_job(start, dropout=0.5), _job(start, dropout=0.5), _job(start), _job(start, seed=4, dropout=0.5)]
    torch.manual_seed(11)
    drawn = torch.rand(1)
    torch.manual_seed(11)
    first, again, without, other = [_trained(trainer, job) for job in jobs]
    assert torch.equal(torch.rand(1), drawn), "training leaves torch's own random numbers alone"
    assert _equal(first, again)
    assert not _equal(first, without)
    assert not _equal(first, other)
    head_only = [_job(trainer.initial("signs", 0, 1, Tuning.HEAD), dropout=d) for d in (0.0, 0.5)]
    assert _equal(*(_trained(trainer, job) for job in head_only)), "a frozen base does not drop out"


def test_a_rare_class_weighs_more_even_where_a_client_has_no_other(learning: LearningTask, data: Data) -> None:
    counts = np.bincount(data.train.labels, minlength=43)
    rare = int(np.argmin(np.where(counts > 0, counts, len(data.train))))
    samples = np.flatnonzero(data.train.labels == rare)
    losses = []
    for balanced in (False, True):
        recipe = replace(RECIPE, balanced=balanced)
        trainer = PeftTrainer({"signs": replace(learning, task=replace(learning.task, recipe=recipe))})
        job = _job(trainer.initial("signs", 4, seed=1), samples=samples, epochs=1, recipe=recipe)
        losses.append(_trained(trainer, job).loss_before)
    assert losses[1] == pytest.approx(float(class_weights(data.train.labels, 43)[rare]) * losses[0], rel=1e-5)


def test_with_heads_of_vehicles_the_mean_over_them_is_told(trainer: PeftTrainer) -> None:
    adapter = trainer.initial("signs", 4, seed=1)
    heads = [head_of(trainer.initial("signs", 4, seed)) for seed in (2, 3, 4)]
    alone = [trainer.evaluate("signs", with_head(adapter, head)) for head in heads]
    joined = trainer.evaluate("signs", adapter, heads)
    assert joined.overall.loss == pytest.approx(np.mean([e.overall.loss for e in alone]))
    assert joined.overall.accuracy == pytest.approx(np.mean([e.overall.accuracy for e in alone]))
    name = next(iter(joined.by_class))
    assert joined.by_class[name].loss == pytest.approx(np.mean([e.by_class[name].loss for e in alone]))
    validated = [trainer.validate("signs", with_head(adapter, head)).loss for head in heads]
    assert trainer.validate("signs", adapter, heads).loss == pytest.approx(np.mean(validated))


def test_balanced_weights_make_every_class_count_alike() -> None:
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1, 3])
    weights = class_weights(labels, 5)
    assert weights[[2, 4]].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(weights[[0, 1, 3]] * [6, 2, 1], 3.0)
    assert weights[labels].mean() == pytest.approx(1.0)


def test_results_do_not_depend_on_the_order_of_calls(trainer: PeftTrainer, learning: LearningTask) -> None:
    jobs = [_job(trainer.initial("signs", rank, seed=1), f"v{rank}", seed=rank, epochs=1) for rank in (2, 4, 8)]
    handles = [trainer.submit(job) for job in jobs]
    forwards = [trainer.result(handle) for handle in handles]
    other = PeftTrainer({"signs": learning})
    handles = [other.submit(job) for job in reversed(jobs)]
    other.evaluate("signs", jobs[0].adapter)
    backwards = [other.result(handle) for handle in reversed(handles)]
    assert all(_equal(a, b) for a, b in zip(forwards, backwards, strict=True))
    assert _equal(_trained(trainer, jobs[1]), forwards[1])
    assert not _equal(_trained(trainer, replace(jobs[1], seed=99)), forwards[1])


def test_training_moves_the_adapter_and_leaves_its_input_alone(trainer: PeftTrainer) -> None:
    start = trainer.initial("signs", 4, seed=1)
    before = {name: array.copy() for name, array in start.tensors.items()}
    update = _trained(trainer, _job(start, epochs=12))
    assert update.loss_after < 0.5 * update.loss_before
    assert all(np.array_equal(before[name], start.tensors[name]) for name in before)
    assert all(np.abs(update.adapter.tensors[name] - before[name]).max() > 0 for name in before)
    assert (update.adapter.rank, update.adapter.alpha) == (4, 16.0)


def _figures(found: Metrics) -> tuple[int, float, float]:
    return found.samples, found.accuracy, found.macro_f1


def test_evaluation_joins_shards_and_gives_each_its_own_figures(
    trainer: PeftTrainer, data: Data, backbone: Backbone
) -> None:
    adapter = _trained(trainer, _job(trainer.initial("signs", 4, seed=1), epochs=4)).adapter
    other = head_of(trainer.initial("signs", 4, seed=9))
    shards = [np.array([5, 2, 9]), np.arange(10, 30), np.array([9]), np.arange(10, 30)]
    joined = trainer.evaluate_shards("signs", adapter, shards, [None, None, None, other])
    model = merged(backbone, 43, adapter)
    with torch.inference_mode():
        for shard, found in zip(shards[:3], joined[:3], strict=True):
            answers = model(to_input(take(data.train, shard).inputs))  # type: ignore[arg-type]
            alone = metrics(answers.double().numpy(), data.train.labels[shard])
            assert _figures(found) == _figures(alone)
            assert found.loss == pytest.approx(alone.loss, rel=1e-4)
    assert joined[3].loss > joined[1].loss, "an untrained head is worse"
    assert trainer.evaluate_shards("signs", adapter, [], []) == []
    whole = trainer.evaluate("signs", adapter)
    assert whole.overall.samples == sum(m.samples for m in whole.by_class.values()) == 40
    assert set(whole.by_district) == {0, 1, 2}
    assert trainer.validate("signs", adapter).samples == 10


def test_the_initial_adapter_depends_on_the_seed_alone(trainer: PeftTrainer) -> None:
    a, b, c = (trainer.initial("signs", 4, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a.tensors[name], b.tensors[name]) for name in a.tensors)
    assert not np.array_equal(a.tensors["base_model.model.head.weight"], c.tensors["base_model.model.head.weight"])


def test_training_that_diverges_fails_alone_and_says_who_and_what_to_do(trainer: PeftTrainer) -> None:
    start = trainer.initial("signs", 4, seed=1)
    wild = _job(start, recipe=replace(RECIPE, learning_rate=1e30), round=7)
    expected = _trained(trainer, _job(start))
    handles = [
        trainer.submit(job) for job in (_job(start), replace(wild, epochs=3), replace(wild, epochs=1), _job(start))
    ]
    first, lost, broken, last = [trainer.result(handle) for handle in handles]
    where = r"task 'signs', vehicle 'v0', round 7 of 'r0': "
    for failure, what in ((lost, "the loss is (nan|inf) in epoch [012]"), (broken, "(the loss|weights) .*")):
        assert isinstance(failure, Failure)
        assert failure.reason is LossReason.DIVERGED
        assert re.fullmatch(f"{where}{what}; lower learning_rate = 1e\\+30\\.", failure.message)
    assert _equal(first, expected)
    assert _equal(last, expected), "the model is filled anew for each job"


@pytest.mark.parametrize("factor", ["inf", "1e25"])
def test_weights_that_are_not_finite_after_the_last_step_are_no_update(
    trainer: PeftTrainer, monkeypatch: pytest.MonkeyPatch, factor: str
) -> None:
    taken = lora.taken_from

    def overflown(model: torch.nn.Module, like: Adapter) -> Adapter:
        adapter = taken(model, like)
        return replace(adapter, tensors={k: a * np.float32(factor) for k, a in adapter.tensors.items()})

    monkeypatch.setattr(lora, "taken_from", overflown)
    with np.errstate(invalid="ignore"):
        failure = trainer.train(_job(trainer.initial("signs", 4, seed=1), epochs=1))
    assert isinstance(failure, Failure)
    assert ": weights are no longer finite; lower learning_rate = 0.003" in failure.message


def _too_large() -> None:
    torch.empty(2**55)


def _refused() -> None:
    np.empty(2**55)


def _refused_by_a_device() -> None:
    raise torch.OutOfMemoryError("tried to allocate 20.00 GiB")


@pytest.mark.parametrize("want", [_too_large, _refused, _refused_by_a_device])
def test_a_job_for_which_there_is_no_memory_fails_alone(trainer: PeftTrainer, want: Callable[[], None]) -> None:
    start = trainer.initial("signs", 4, seed=1)
    expected = _trained(trainer, _job(start))

    def greedy(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if len(inputs[0]) > RECIPE.batch_size:
            want()

    hook = torch.nn.modules.module.register_module_forward_pre_hook(greedy)
    try:
        large = _job(start, "v1", round=2, recipe=replace(RECIPE, batch_size=16))
        handles = [trainer.submit(job) for job in (large, _job(start))]
        failure, update = [trainer.result(handle) for handle in handles]
    finally:
        hook.remove()
    assert isinstance(failure, Failure)
    assert failure.reason is LossReason.MEMORY
    assert re.match(r"task 'signs', vehicle 'v1', round 2 of 'r0': .* memory .*batch_size = 16", failure.message)
    assert _equal(update, expected)


def test_other_errors_of_torch_are_not_taken_for_a_lack_of_memory(trainer: PeftTrainer) -> None:
    job = _job(trainer.initial("signs", 4, seed=1))

    def broken(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        inputs[0] @ torch.zeros(7, 7)

    hook = torch.nn.modules.module.register_module_forward_pre_hook(broken)
    try:
        with pytest.raises(RuntimeError, match=r"shapes cannot be multiplied|Expected size"):
            trainer.train(job)
    finally:
        hook.remove()


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
        trainer.evaluate_shards("signs", trainer.initial("signs", 2, 1), [np.arange(3), np.arange(0)], [None, None])


def test_a_task_and_its_data_must_agree_on_the_classes(learning: LearningTask) -> None:
    with pytest.raises(TrainingError, match="classes = 10, but its data have 43 classes"):
        PeftTrainer({"signs": replace(learning, task=replace(learning.task, classes=10))})


def test_an_unknown_optimiser_is_named(trainer: PeftTrainer) -> None:
    wrong = _job(trainer.initial("signs", 4, seed=1), recipe=replace(RECIPE, optimiser="adam"))
    with pytest.raises(TrainingError, match="optimiser 'adam' does not exist; did you mean 'adamw'"):
        _trained(trainer, wrong)


def test_a_job_stopped_after_an_epoch_is_one_of_fewer_epochs(learning: LearningTask) -> None:
    trainer = PeftTrainer({"signs": with_dropout(learning)})
    job = _job(trainer.initial("signs", 4, seed=1), epochs=3, dropout=0.1)
    early, short = _trained(trainer, replace(job, steps=3)), _trained(trainer, replace(job, epochs=1))
    assert _equal(early, short)
    assert (early.fraction, short.fraction) == (1 / 3, 1.0)
    within = _trained(trainer, replace(job, steps=5))
    assert within.fraction == 5 / 9
    assert not _equal(within, _trained(trainer, replace(job, steps=6)))
    assert _equal(_trained(trainer, replace(job, steps=9)), _trained(trainer, job)), "all steps are the whole job"


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_a_carrier_goes_on_from_exactly_where_the_vehicle_stopped(
    learning: LearningTask, optimiser: str, dropout: float
) -> None:
    """Handed over to a vehicle with the very samples that are left, in their order, a job ends as if it had stayed.

    From the adapter alone that would be so for plain SGD, but not for AdamW, whose moments are part of the state.
    """
    trainer = PeftTrainer({"signs": with_dropout(learning)})
    recipe = replace(RECIPE, optimiser=optimiser, batch_size=20)  # one batch an epoch
    job = _job(trainer.initial("signs", 4, seed=1), epochs=2, recipe=recipe, dropout=dropout)

    def drawn_as_second(what: str) -> IntArray:
        """The samples in such an order that the permutation of that name puts them as in the job's second epoch."""
        found = np.empty_like(job.samples)
        found[stream(job.seed, what, 0).permutation(20)] = job.samples[stream(job.seed, "order", 1).permutation(20)]
        return found

    stayed = _trained(trainer, job)
    handed = _trained(trainer, replace(job, steps=1, carrier_samples=drawn_as_second("carrier order")))
    assert _equal(handed, stayed)
    assert handed.fraction == 1.0
    half = _trained(trainer, replace(job, steps=1))
    anew = _trained(trainer, replace(job, adapter=half.adapter, samples=drawn_as_second("order"), epochs=1))
    same = all(np.array_equal(anew.adapter.tensors[k], stayed.adapter.tensors[k]) for k in stayed.adapter.tensors)
    assert same == (optimiser == "sgd" and dropout == 0.0)


def with_dropout(learning: LearningTask) -> LearningTask:
    return replace(learning, task=replace(learning.task, lora=LoraRule(16.0, dropout=0.1)))


def test_steps_and_a_carriers_samples_must_make_sense(learning: LearningTask) -> None:
    trainer = PeftTrainer({"signs": learning})
    job = _job(trainer.initial("signs", 4, seed=1))
    with pytest.raises(TrainingError, match=r"vehicle 'v0': steps = 7; it must lie in 1 to the planned 6\."):
        trainer.submit(replace(job, steps=7))
    with pytest.raises(TrainingError, match=r"samples must index the training pool"):
        trainer.submit(replace(job, steps=2, carrier_samples=np.array([10**6])))
