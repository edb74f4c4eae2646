"""Small data, a task and a trainer for the tests of learning."""

from __future__ import annotations

import numpy as np
import pytest

from iovsim.domain import Architecture, LoraRule, Recipe, Task, Tuning
from iovsim.learning.backbones.backbone import Backbone
from iovsim.learning.backbones.roadvit import roadvit
from iovsim.learning.data.builtin import generate
from iovsim.learning.data.samples import Data, take
from iovsim.learning.prepared import LearningTask
from iovsim.learning.trainer import PeftTrainer

CHARGED = Architecture(
    name="tiny",
    forward_flops=1e6,
    backward_flops=1e6,
    tokens=17,
    long_tokens=17,
    widths=((128, 128),),
    base_parameters=10,
    activation_bits=1.0,
    full_activation_bits=1.0,
    parameter_bits=32,
    head_parameters=1,
)


@pytest.fixture(scope="session")
def data() -> Data:
    return generate("signs", train=96, test=40, districts=3, seed=5)


@pytest.fixture(scope="session")
def backbone() -> Backbone:
    return roadvit()


@pytest.fixture(scope="session")
def task() -> Task:
    return Task(
        task="signs",
        classes=43,
        ranks=(2, 4, 8),
        lora=LoraRule(16.0),
        recipe=Recipe(learning_rate=3e-3, batch_size=8),
        learning_rates={Tuning.LORA: 3e-3},
        local_epochs=2,
        local_head=False,
        round_energy_j=1.0,
        charged=CHARGED,
    )


@pytest.fixture(scope="session")
def one_learning(task: Task, data: Data, backbone: Backbone) -> LearningTask:
    return LearningTask(task, backbone, data, validation=take(data.test, np.arange(10)))


@pytest.fixture
def learning(one_learning: LearningTask) -> LearningTask:
    return one_learning


@pytest.fixture
def trainer(learning: LearningTask) -> PeftTrainer:
    return PeftTrainer({"signs": learning})
