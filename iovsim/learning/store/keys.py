"""A training job or an evaluation becomes a key: a digest of all that its result depends on, and of nothing else."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path

import torch

from iovsim.domain import Adapter, Head, IntArray, TrainerSpec, TrainJob
from iovsim.errors import TrainingError, near_match
from iovsim.learning.backbones.backbone import Backbone
from iovsim.learning.digest import digest_of
from iovsim.learning.prepared import LearningTask

NAMES = frozenset({"task", "vehicle", "rsu", "round"})
"""Of a job: who it is for and when. All else changes what is trained."""

LIBRARIES = ("numpy", "peft", "transformers")
"""Beside torch, those that a step of training runs through."""


def way_of(training: TrainerSpec, code: str) -> str:
    """The digest of how a trainer computes: its kind and precision, code, libraries, device and processor.

    `code` is a digest of the sources. Kernels, and with them the last bit, are chosen by the processor's name too.
    """
    device = torch.device(training.device)
    return digest_of(
        training.kind,
        training.precision,
        code,
        torch.__version__,
        [version(library) for library in LIBRARIES],
        device.type,
        torch.cuda.get_device_name(device) if device.type == "cuda" else "",
        torch.backends.cpu.get_cpu_capability(),
        _processor(),
    )


class Keys:
    """Keys of jobs and evaluations of some tasks, computed in one way; models and data are looked through once."""

    def __init__(self, tasks: Mapping[str, LearningTask], training: TrainerSpec, code: str) -> None:
        self._tasks = tasks
        self._way = way_of(training, code)
        self._models: dict[int, str] = {}  # by the backbone's identity: tasks share them
        self._contents: dict[tuple[str, str], str] = {}

    def of_job(self, job: TrainJob) -> str:
        """Whatever is added to jobs one day is part of their keys."""
        pool = self._content(job.task, "pool")
        balanced = self._tasks[job.task].task.recipe.balanced  # from this and the labels follow the class weights
        content = {field.name: getattr(job, field.name) for field in fields(job) if field.name not in NAMES}
        return digest_of("training", self._way, pool, balanced, content)

    def of_evaluation(self, task: str, adapter: Adapter, heads: Sequence[Head]) -> str:
        """On the held-out set."""
        return digest_of("evaluation", self._way, self._content(task, "test"), adapter, heads)

    def of_validation(self, task: str, adapter: Adapter, heads: Sequence[Head]) -> str:
        """On the validation samples."""
        return digest_of("validation", self._way, self._content(task, "validation"), adapter, heads)

    def of_shards(self, task: str, adapter: Adapter, shards: Sequence[IntArray], heads: Sequence[Head | None]) -> str:
        """On all the shards together: samples are looked at in batches, and company may change their last bit."""
        return digest_of("shards", self._way, self._content(task, "pool"), adapter, shards, heads)

    def _content(self, task: str, name: str) -> str:
        """The digest of a task's model and of one of its sets of samples."""
        if task not in self._tasks:
            raise TrainingError(f"task {task!r} is not known to the store; {near_match(task, self._tasks)}")
        if (task, name) not in self._contents:
            learning = self._tasks[task]
            sets = {"pool": learning.data.train, "test": learning.data.test, "validation": learning.validation}
            samples = sets[name]
            # Lengths tell where texts were cut, which the model's own hash leaves out.
            lengths = learning.backbone.prepare(samples.inputs).lengths
            named = (samples.classes, samples.districts) if name == "test" else ()
            model = self._model(learning.backbone)
            self._contents[task, name] = digest_of(model, samples.inputs, samples.labels, lengths, named)
        return self._contents[task, name]

    def _model(self, backbone: Backbone) -> str:
        """By its hash, which knows its configuration, and by its weights, which are what really computes."""
        if id(backbone) not in self._models:
            weights = {name: tensor.detach().cpu().numpy() for name, tensor in backbone.trunk.state_dict().items()}
            self._models[id(backbone)] = digest_of(backbone.sha256, weights)
        return self._models[id(backbone)]


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
