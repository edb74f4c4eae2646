"""A scenario's tasks become reference accuracies: each trained with all of its data in one place, without any traffic.

What federated training is measured against: the same data, backbone, recipe and adapters, and nobody drives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from iovsim.config import Scenario, TaskSection
from iovsim.domain import Failure, Metrics, Precision, TrainerSpec, TrainJob, Tuning
from iovsim.errors import ScenarioError, TrainingError, near_match
from iovsim.experiment.data import load_data
from iovsim.experiment.tasks import build_backbones, build_task, check_tuning
from iovsim.learning.prepared import LearningTask
from iovsim.learning.trainers import build_trainer, check_trainer
from iovsim.rng import seed_of


@dataclass(frozen=True, slots=True)
class CentralSpec:
    """One reference that is asked for. Rank 0 with a tuning that has no adapters."""

    scenario: Scenario
    task: str
    tuning: Tuning
    rank: int
    epochs: int
    seed: int
    training: TrainerSpec = field(default_factory=TrainerSpec)

    @property
    def label(self) -> str:
        rank = f", rank {self.rank}" if self.rank else ""
        precision = "" if self.training.precision is Precision.FP32 else f", {self.training.precision}"
        return f"{self.task}, {self.tuning}{rank}{precision}, seed {self.seed}"


def plan(
    scenario: Scenario,
    tasks: Sequence[str],
    tunings: Sequence[Tuning],
    ranks: Sequence[int],
    epochs: int,
    seeds: Sequence[int],
    training: TrainerSpec,
) -> list[CentralSpec]:
    """Every task (all of the scenario's, if none is named) by tuning, rank and seed.

    Raises `ScenarioError` for an unknown task, or one without a learning rate for a tuning.
    """
    check_trainer(training)
    known = [t.name for t in scenario.tasks]
    for name in tasks:
        if name not in known:
            raise ScenarioError(f"{scenario.where}: no task {name!r}; {near_match(name, known)}")
    for tuning in tunings:
        check_tuning(scenario, tuning)
    return [
        CentralSpec(scenario, task, tuning, rank, epochs, seed, training)
        for task in (tasks or known)
        for tuning in tunings
        for rank in (ranks if tuning is Tuning.LORA else (0,))
        for seed in seeds
    ]


def train_centrally(spec: CentralSpec, cache: Path) -> pd.DataFrame:
    """Two rows, before and after training: what was trained, for how long, and its figures on the held-out set.

    One job with all samples and epochs, so the optimiser is begun once. Raises an `IovsimError` for wrong input, and
    where training fails.
    """
    section = next(t for t in spec.scenario.tasks if t.name == spec.task)
    if spec.rank:
        section = section.model_copy(update={"ranks": (spec.rank,)})
    learning = learning_task(spec.scenario, section, cache)
    trainer = build_trainer({spec.task: learning}, spec.training)
    start = trainer.initial(spec.task, spec.rank, seed_of(spec.seed, "centralised", spec.task), spec.tuning)
    pool, recipe = len(learning.data.train), learning.task.recipe
    job = TrainJob(
        task=spec.task,
        vehicle="centralised",
        round=0,
        rsu="centralised",
        adapter=start,
        samples=np.arange(pool, dtype=np.int64),
        epochs=spec.epochs,
        recipe=replace(recipe, learning_rate=learning.task.learning_rates[spec.tuning]),
        dropout=learning.task.lora.dropout,
        seed=seed_of(spec.seed, "centralised training", spec.task),
    )
    steps = -(-pool // recipe.batch_size)
    update = trainer.result(trainer.submit(job))
    if isinstance(update, Failure):
        raise TrainingError(update.message)
    before = trainer.evaluate(spec.task, start).overall
    after = trainer.evaluate(spec.task, update.adapter).overall
    validation = trainer.validate(spec.task, update.adapter).accuracy
    rows = [_row(spec, 0, 0, before, None), _row(spec, spec.epochs, spec.epochs * steps, after, validation)]
    return pd.DataFrame(rows)


def learning_task(scenario: Scenario, section: TaskSection, cache: Path) -> LearningTask:
    """One task of a scenario as a trainer takes it. Raises an `IovsimError` for whatever is wrong with it."""
    data = load_data(scenario, section, cache)
    backbone = build_backbones(scenario)[section.name]
    return LearningTask(build_task(scenario, section, data.data, backbone), backbone, data.data, data.validation)


def _row(spec: CentralSpec, epoch: int, steps: int, metrics: Metrics, validation: float | None) -> dict[str, object]:
    return {
        "task": spec.task,
        "tuning": str(spec.tuning),
        "rank": spec.rank,
        "seed": spec.seed,
        "epoch": epoch,
        "steps": steps,
        "accuracy": metrics.accuracy,
        "macro_f1": metrics.macro_f1,
        "loss": metrics.loss,
        "calibration_error": metrics.calibration_error,
        "samples": metrics.samples,
        "validation_accuracy": validation,
    }
