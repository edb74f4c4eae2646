"""What jobs that can be trained together share: the computed part of a trunk, and by task what they train on."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from iovsim.domain import Float32Array, IntArray
from iovsim.learning.batched.model import Upper
from iovsim.learning.batched.models import Source


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """What the jobs of one task train on."""

    source: Source
    labels: IntArray  # of the training pool
    class_weights: Float32Array  # (classes,)


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What jobs that can be trained together share, and which sizes of chunk were found to change nothing."""

    upper: Upper
    samples: dict[str, Samples]  # by task
    alike: bool  # all samples have one shape, so that short batches can be filled up
    exact: bool  # bits must not depend on company
    dtype: torch.dtype  # of the computed part of the trunk
    trained: torch.dtype  # of adapters and heads
    device: torch.device
    most: int  # at once
    proven: dict[object, bool] = field(default_factory=lambda: {1: True})  # sizes of chunks, and of a task's part

    def size(self, jobs: int) -> int:
        """How many of so many jobs to train at once: chunks about equally full, none of a size that changes bits."""
        chunks = -(-jobs // self.most)
        return max(k for k in range(1, -(-jobs // chunks) + 1) if self.proven.get(k, True))
