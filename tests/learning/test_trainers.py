"""Ways to train are built by name, and refused where this machine or the reference cannot."""

from __future__ import annotations

import pytest
import torch

from iovsim.domain import Precision, TrainerKind, TrainerSpec
from iovsim.errors import TrainingError
from iovsim.learning.batched.trainer import BatchedTrainer
from iovsim.learning.prepared import LearningTask
from iovsim.learning.trainer import PeftTrainer
from iovsim.learning.trainers import build_trainer, device_of


def test_the_default_trains_many_at_once(one_learning: LearningTask) -> None:
    assert isinstance(build_trainer({"signs": one_learning}, TrainerSpec()), BatchedTrainer)
    assert isinstance(build_trainer({"signs": one_learning}, TrainerSpec(TrainerKind.PEFT)), PeftTrainer)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (TrainerSpec(device="gpu"), "device 'gpu': torch knows no such device; give cpu, cuda or cuda:1"),
        (TrainerSpec(device="meta"), "device 'meta': only cpu and cuda are supported"),
        (TrainerSpec(TrainerKind.PEFT, Precision.BF16), "trainer peft, precision bf16, device cpu: the reference"),
    ],
)
def test_what_cannot_be_is_refused(spec: TrainerSpec, message: str, one_learning: LearningTask) -> None:
    with pytest.raises(TrainingError, match=message):
        build_trainer({"signs": one_learning}, spec)


def test_a_device_that_is_not_there_is_named(one_learning: LearningTask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(TrainingError, match=r"device 'cuda:1': torch .* finds 1 CUDA devices"):
        build_trainer({"signs": one_learning}, TrainerSpec(device="cuda:1"))


def test_workers_take_turns_at_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [device_of(TrainerSpec(device="cuda"), worker) for worker in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert device_of(TrainerSpec(device="cuda:1"), 0) == "cuda:1"
    assert device_of(TrainerSpec(), 1) == "cpu"
