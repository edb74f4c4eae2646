"""A task's section of the scenario becomes its data and its `Task`, with the architecture that is charged."""

from __future__ import annotations

from pathlib import Path

from iovsim.config import FolderData, NpzData, Scenario, SignsData, TaskSection
from iovsim.domain import Task
from iovsim.energy import ARCHITECTURES, with_head
from iovsim.errors import ScenarioError, near_match
from iovsim.experiment.code import package_sha256
from iovsim.learning.datasets import Data, builtin_signs, load_folder, load_npz, read_data, save_data

DATA_SEED = 0
"""Data sets are the same for all seeds of a study, as a published one would be; seeds decide who holds what."""

HELD_OUT = 0.2
"""Part of a data set without a test part of its own that is held out for the global evaluation."""


def load_data(scenario: Scenario, task: TaskSection, cache: Path) -> Data:
    """The task's samples. Raises `TrainingError` for whatever is wrong with them."""
    match task.data:
        case SignsData(train=train, test=test):
            return _cached_signs(train, test, scenario.districts.per_side**2, cache)
        case NpzData(path=path):
            return load_npz(scenario.resolved(path), test_fraction=HELD_OUT, seed=DATA_SEED)
        case FolderData(path=path):
            return load_folder(scenario.resolved(path), test_fraction=HELD_OUT, seed=DATA_SEED)


def _cached_signs(train: int, test: int, districts: int, cache: Path) -> Data:
    """The built-in signs, drawn once and kept, since drawing takes longer than reading."""
    path = cache / "signs" / f"{package_sha256('learning')[:16]}-{train}-{test}-{districts}.npz"
    if not path.is_file():
        save_data(builtin_signs(train, test, districts, DATA_SEED), path)
    return read_data(path)


def build_task(scenario: Scenario, section: TaskSection, data: Data) -> Task:
    """The task as the engine knows it. Raises `ScenarioError` for an unknown architecture to charge."""
    if section.charge_as not in ARCHITECTURES:
        raise ScenarioError(
            f"{scenario.name}: task {section.name!r}, key 'charge_as': unknown architecture {section.charge_as!r}; "
            f"{near_match(section.charge_as, ARCHITECTURES)}"
        )
    classes = len(data.train.classes)
    return Task(
        task=section.name,
        classes=classes,
        ranks=section.ranks,
        alpha=section.alpha,
        local_epochs=section.local_epochs,
        batch_size=section.batch_size,
        learning_rate=section.learning_rate,
        round_energy_j=section.round_energy_j,
        charged=with_head(ARCHITECTURES[section.charge_as], classes),
    )
