"""A task's section of the scenario becomes its data: training pool, held-out set and validation samples."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import __version__ as pillow

from iovsim.config import BuiltinData, DatasetData, FolderData, NpzData, Scenario, TaskSection, TsvData
from iovsim.errors import TrainingError, located
from iovsim.experiment.code import package_sha256
from iovsim.files import clear_leftovers
from iovsim.learning.data.builtin import generate, read_data, save_data
from iovsim.learning.data.hf_data import load_hf
from iovsim.learning.data.pictures import load_folder, load_npz
from iovsim.learning.data.samples import Data, Samples, split, take
from iovsim.learning.data.texts import load_tsv
from iovsim.rng import stream

DATA_SEED = 0
"""Data sets are the same for all seeds of a study, as a published one would be; seeds decide who holds what."""

HELD_OUT = 0.2
"""Part of a data set without a test part of its own that is held out for the global evaluation."""

MOST_VALIDATION = 500
"""Validation samples at most: enough for policies to tell tasks apart, few enough to look at after every merge."""


@dataclass(frozen=True, slots=True, eq=False)
class TaskData:
    """A task's data and the validation samples, which were taken out of its training pool."""

    data: Data
    validation: Samples


def load_data(scenario: Scenario, task: TaskSection, cache: Path) -> TaskData:
    """The task's samples. Raises `TrainingError` for whatever is wrong with them."""
    with located(f"{scenario.where}: task {task.name!r}"):
        data = _limited(_load(scenario, task, cache), task.data.train, task.data.test)
        part = min(scenario.evaluation.validation_share, MOST_VALIDATION / len(data.train))
        held = split(data.train, "key 'evaluation.validation_share'", part, DATA_SEED)
    return TaskData(replace(data, train=held.train), held.test)


def _load(scenario: Scenario, task: TaskSection, cache: Path) -> Data:
    match task.data:
        case BuiltinData():
            return _cached(task.data, builtin_file(scenario, task.data, cache), scenario.districts.per_side**2)
        case NpzData(path=path):
            return load_npz(scenario.resolved(path), test_fraction=HELD_OUT, seed=DATA_SEED)
        case FolderData(path=path, side=side):
            return load_folder(scenario.resolved(path), side=side, test_fraction=HELD_OUT, seed=DATA_SEED)
        case TsvData(path=path):
            return load_tsv(scenario.resolved(path), test_fraction=HELD_OUT, seed=DATA_SEED)
        case DatasetData(path=path, side=side):
            return load_hf(scenario.resolved(path), side=side, test_fraction=HELD_OUT, seed=DATA_SEED)


def _limited(data: Data, train: int | None, test: int | None) -> Data:
    """At most so many of each; what is kept is drawn by seed."""
    kept = []
    for name, samples, most in (("train", data.train, train), ("test", data.test, test)):
        if most is not None and most < len(samples):
            chosen = stream(DATA_SEED, "limit", name).permutation(len(samples))[:most]
            samples = take(samples, np.sort(chosen))
        kept.append(samples)
    return Data(*kept)


def builtin_file(scenario: Scenario, section: BuiltinData, cache: Path) -> Path:
    """Where built-in data are kept in the cache. Their code and Pillow, which draws, stand in the name."""
    sources = package_sha256("", "domain", "learning/data", "learning/generated")
    code = hashlib.sha256(f"{sources} {pillow}".encode()).hexdigest()[:16]
    districts = scenario.districts.per_side**2
    return cache / "data" / f"{section.kind}-{code}-{section.train}-{section.test}-{districts}"


def _cached(section: BuiltinData, path: Path, districts: int) -> Data:
    """Built-in data, generated once and kept, since generating takes longer than reading; made again if damaged."""
    clear_leftovers(path.parent)
    with suppress(TrainingError):
        return read_data(path)
    save_data(generate(section.kind, section.train, section.test, districts, DATA_SEED), path)
    return read_data(path)


def statistics(name: str, data: TaskData) -> list[dict[str, object]]:
    """Rows of the table `data`: how many samples of which class and district serve for what."""
    rows: list[dict[str, object]] = []
    for part, samples in (("train", data.data.train), ("validation", data.validation), ("test", data.data.test)):
        unknown = samples.districts is None
        places = np.zeros(len(samples), dtype=np.int64) if samples.districts is None else samples.districts
        cells, counts = np.unique(np.stack((places, samples.labels)), axis=1, return_counts=True)
        for (place, label), count in zip(cells.T.tolist(), counts.tolist(), strict=True):
            district = "" if unknown else str(place)
            where = {"task": name, "part": part, "district": district, "class": samples.classes[label]}
            rows.append(where | {"samples": count})
    return rows
