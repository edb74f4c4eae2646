"""Small data, a task and a trainer for the tests of learning."""

from __future__ import annotations

import pytest

from iovsim.domain import Architecture, Task
from iovsim.learning.datasets import Data, builtin_signs
from iovsim.learning.trainer import LearningTask, PeftTrainer

CHARGED = Architecture(
    name="tiny",
    forward_flops=1e6,
    tokens=17,
    widths=((128, 128),),
    base_parameters=10,
    activation_bits=1.0,
    parameter_bits=32,
    head_parameters=1,
)


@pytest.fixture(scope="session")
def data() -> Data:
    return builtin_signs(train=96, test=40, districts=3, seed=5)


@pytest.fixture(scope="session")
def task() -> Task:
    return Task(
        task="signs",
        classes=43,
        ranks=(2, 4, 8),
        alpha=16.0,
        local_epochs=2,
        batch_size=8,
        learning_rate=3e-3,
        round_energy_j=1.0,
        charged=CHARGED,
    )


@pytest.fixture
def trainer(task: Task, data: Data) -> PeftTrainer:
    return PeftTrainer({"signs": LearningTask(task, data)})
