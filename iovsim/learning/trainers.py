"""The name of a way to train becomes a trainer."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from iovsim.domain import Precision, Trainer, TrainerKind, TrainerSpec
from iovsim.errors import TrainingError
from iovsim.learning.batched.state_files import StatesPlace
from iovsim.learning.batched.trainer import BatchedTrainer
from iovsim.learning.prepared import LearningTask
from iovsim.learning.trainer import PeftTrainer


def build_trainer(
    tasks: Mapping[str, LearningTask], spec: TrainerSpec, place: StatesPlace | None = None, worker: int = 0
) -> Trainer:
    """Of `spec`'s kind; `place` is where the batched one may keep frozen states for other processes.

    `worker` is the number of this process among those that work side by side, which share the GPUs.

    Raises `TrainingError` like `check_trainer`, and where a task's data do not suit it.
    """
    check_trainer(spec)
    if spec.kind is TrainerKind.PEFT:
        return PeftTrainer(tasks)
    return BatchedTrainer(tasks, precision=spec.precision, device=device_of(spec, worker), place=place)


def device_of(spec: TrainerSpec, worker: int) -> str:
    """Workers that are asked for any GPU take turns at those that there are."""
    count = torch.cuda.device_count() if spec.device == "cuda" else 0
    return f"cuda:{worker % count}" if count > 1 else spec.device


def check_trainer(spec: TrainerSpec) -> None:
    """Raises `TrainingError` for a device that torch does not find, and for what the reference does not do."""
    try:
        device = torch.device(spec.device)
    except RuntimeError as error:
        raise TrainingError(f"device {spec.device!r}: torch knows no such device; give cpu, cuda or cuda:1.") from error
    if device.type not in ("cpu", "cuda"):
        raise TrainingError(f"device {spec.device!r}: only cpu and cuda are supported; give one of them.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise TrainingError(
            f"device {spec.device!r}: torch {torch.__version__} finds {torch.cuda.device_count()} CUDA devices; give "
            "cpu, or install a CUDA build of torch on a machine that has one."
        )
    if spec.kind is TrainerKind.PEFT and (spec.precision is not Precision.FP32 or device.type != "cpu"):
        raise TrainingError(
            f"trainer peft, precision {spec.precision}, device {spec.device}: the reference computes in fp32 on the "
            "cpu; leave both out, or choose the trainer batched."
        )
