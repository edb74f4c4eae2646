"""Trainers over a store in a temporary folder, and jobs for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from iovsim.domain import Trainer, TrainerKind, TrainerSpec
from iovsim.learning.prepared import LearningTask
from iovsim.learning.store.folder import StoreSpec
from iovsim.learning.store.trainer import StoredTrainer, stored_trainer
from iovsim.learning.trainers import build_trainer

Begin = Callable[..., StoredTrainer]


@pytest.fixture
def begin(one_learning: LearningTask, tmp_path: Path) -> Begin:
    """A trainer over the test's store, as a new run would have it."""

    def make(kind: TrainerKind = TrainerKind.BATCHED, *, inner: Trainer | None = None) -> StoredTrainer:
        tasks, spec = {"signs": one_learning}, TrainerSpec(kind)
        store = StoreSpec(tmp_path / "store", 10**8)
        return stored_trainer(inner or build_trainer(tasks, spec), tasks, spec, store, "code")

    return make
