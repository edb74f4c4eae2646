"""Turns training jobs into updates with plain PEFT, one after the other: the reference for faster trainers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional

from iovsim.domain import (
    Adapter,
    Evaluation,
    Failure,
    Head,
    IntArray,
    Metrics,
    Pruning,
    Recipe,
    Scaling,
    TrainJob,
    Tuning,
    Update,
)
from iovsim.errors import TrainingError, near_match
from iovsim.learning import lora
from iovsim.learning.adapter import is_finite
from iovsim.learning.backbones.backbone import Inputs
from iovsim.learning.evaluate import features
from iovsim.learning.evaluator import Evaluator
from iovsim.learning.failures import diverged, no_memory, out_of_memory
from iovsim.learning.order import epochs_of
from iovsim.learning.prepared import LearningTask, Prepared, check_job, prepare
from iovsim.learning.pruning import add_gradient, kept_rank, pruned
from iovsim.learning.threads import use_one_thread
from iovsim.rng import seed_of

OPTIMISERS = ("adamw", "sgd")


class PeftTrainer:
    """Implements `domain.Trainer`; a result is a function of the job, the base model and the data only."""

    def __init__(self, tasks: Mapping[str, LearningTask]) -> None:
        """Raises `TrainingError` where a task's data name another number of classes than the task, or do not suit it.

        Sets torch to one thread: results of more threads may differ in the last bit.
        """
        use_one_thread()
        self._tasks = {name: prepare(name, learning) for name, learning in tasks.items()}
        self._models: dict[tuple[str, int, float, Scaling, Tuning, float, tuple[str, ...]], nn.Module] = {}
        self._evaluator = Evaluator(self.prepared, self._features)
        self._waiting: dict[int, TrainJob] = {}
        self._submitted = 0

    def initial(self, task: str, rank: int, seed: int, tuning: Tuning = Tuning.LORA) -> Adapter:
        """The adapter that every policy starts from."""
        known = self.prepared(task).learning
        return lora.initial(known.backbone, task, known.task.classes, known.task.lora, rank, seed, tuning)

    def submit(self, job: TrainJob) -> int:
        """Keeps a job until `result` asks for it; raises `TrainingError` now where it can never be trained."""
        check_job(job, len(self.prepared(job.task).learning.data.train))
        self._submitted += 1
        self._waiting[self._submitted] = job
        return self._submitted

    def result(self, handle: int) -> Update | Failure:
        """Trains the job and forgets it; each handle is answered once."""
        job = self._waiting.pop(handle, None)
        if job is None:
            raise TrainingError(f"no job waits under handle {handle}; a result can be taken once.")
        return self.train(job)

    def train(self, job: TrainJob) -> Update | Failure:
        """Trains `job.adapter` on the job's samples: cross-entropy, the recipe's optimiser begun anew.

        The batches and their order: `learning.order.epochs_of`.
        Where loss or weights stop being finite, or memory does not suffice, a `Failure` of this job alone.
        """
        try:
            return self._trained(job)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            return no_memory(job)

    def _trained(self, job: TrainJob) -> Update | Failure:
        prepared = self.prepared(job.task)
        epochs = epochs_of(job, prepared.pool.lengths)
        losses: list[float] = []  # mean over the batches of each epoch
        with torch.random.fork_rng(devices=[]):
            model = self._filled(job)
            optimiser = optimiser_of([p for p in model.parameters() if p.requires_grad], job.recipe)
            torch.manual_seed(seed_of(job.seed, "dropout"))
            for epoch, order in enumerate(epochs):
                steps = [_step(model, prepared, batch, optimiser, job) for batch in order]
                losses.append(math.fsum(steps) / len(steps))
                if not math.isfinite(losses[-1]):
                    return diverged(job, f"the loss is {losses[-1]} in epoch {epoch}")
        adapter = lora.taken_from(model, job.adapter)
        if not is_finite(adapter):
            return diverged(job, "weights are no longer finite")
        if job.pruning is not None:
            adapter = pruned(job.adapter, adapter, job.pruning)
        return Update(adapter, len(job.samples), losses[0], losses[-1], sum(map(len, epochs)) / job.planned_steps)

    def evaluate(self, task: str, adapter: Adapter, heads: Sequence[Head] = ()) -> Evaluation:
        """On the task's held-out set; with heads, the mean over them, features worked out once."""
        return self._evaluator.evaluate(task, adapter, heads)

    def validate(self, task: str, adapter: Adapter, heads: Sequence[Head] = ()) -> Metrics:
        """On the task's validation samples."""
        return self._evaluator.validate(task, adapter, heads)

    def evaluate_shards(
        self, task: str, adapter: Adapter, shards: Sequence[IntArray], heads: Sequence[Head | None]
    ) -> list[Metrics]:
        """On sets of training-pool indices, none empty; a sample that several sets share is looked at once."""
        return self._evaluator.evaluate_shards(task, adapter, shards, heads)

    def prepared(self, name: str) -> Prepared:
        """The task of this name, ready to train. Raises `TrainingError` for an unknown one."""
        if name not in self._tasks:
            raise TrainingError(f"task {name!r} is not known to the trainer; {near_match(name, self._tasks)}")
        return self._tasks[name]

    def _filled(self, job: TrainJob) -> nn.Module:
        """The model of the adapter's rank (built once), holding the job's adapter, and what it is trained beside."""
        learning, adapter = self.prepared(job.task).learning, job.adapter
        key = (job.task, adapter.rank, adapter.alpha, adapter.scaling, adapter.tuning, job.dropout, job.left_out)
        if key not in self._models:
            self._models[key] = _model(learning, job)
        lora.load_into(self._models[key], adapter)
        lora.merge_base(self._models[key], learning.backbone, job.base, adapter)
        return self._models[key]

    def _features(self, task: str, adapter: Adapter, _: str, inputs: Inputs, rows: IntArray) -> torch.Tensor:
        """By the model with the adapter in its weights."""
        learning = self.prepared(task).learning
        return features(lora.merged(learning.backbone, learning.task.classes, adapter).trunk, inputs, rows)


def optimiser_of(parameters: Sequence[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019) with torch's betas, or SGD without momentum.

    Raises `TrainingError` for any other name.
    """
    match recipe.optimiser:
        case "adamw":
            return torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        case "sgd":
            return torch.optim.SGD(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    raise TrainingError(f"optimiser {recipe.optimiser!r} does not exist; {near_match(recipe.optimiser, OPTIMISERS)}")


def _step(
    model: nn.Module, prepared: Prepared, batch: IntArray, optimiser: torch.optim.Optimizer, job: TrainJob
) -> float:
    """One step on the samples of `batch`; returns the loss before it, without a regulariser of the method's."""
    labels = torch.from_numpy(prepared.learning.data.train.labels[batch])
    losses = functional.cross_entropy(model(*prepared.pool.batch(batch)), labels, reduction="none")
    # Not torch's own weighted mean: it divides by the batch's weights, so a batch of one class is not weighted.
    loss = (losses * torch.from_numpy(prepared.class_weights)[labels]).mean()
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    if job.pruning is not None:
        _add_penalty(model, job.adapter.rank, job.pruning)
    clip_norm = job.recipe.clip_norm
    if math.isfinite(clip_norm):
        nn.utils.clip_grad_norm_([p for group in optimiser.param_groups for p in group["params"]], clip_norm)
    optimiser.step()
    return loss.item()


def _add_penalty(model: nn.Module, rank: int, pruning: Pruning) -> None:
    keep = torch.tensor([kept_rank(rank, pruning)])
    for a, b in lora.factors_of(model):
        if a.grad is not None and b.grad is not None:
            add_gradient(pruning.penalty, keep, a.detach()[None], b.detach()[None], a.grad[None], b.grad[None])


def _model(learning: LearningTask, job: TrainJob) -> nn.Module:
    adapter, classes = job.adapter, learning.task.classes
    if adapter.tuning is not Tuning.LORA:
        return lora.reference_model(learning.backbone, classes, adapter.tuning)
    rule = replace(learning.task.lora, alpha=adapter.alpha, scaling=adapter.scaling, dropout=job.dropout)
    left_out = [name.removeprefix(f"{lora.PREFIX}trunk.") for name in job.left_out]
    return lora.peft_model(learning.backbone, classes, rule, adapter.rank, left_out)
