"""Names of precisions become the numbers that the frozen model computes with; adapters stay in single precision."""

from __future__ import annotations

from enum import StrEnum

import torch


class Precision(StrEnum):
    """What the frozen model and the activations are computed in."""

    FP32 = "fp32"
    BF16 = "bf16"  # twice as fast where the processor has it; results differ, see `iovsim bench precision`
    FP64 = "fp64"  # slow: to compare ways of computing

    @property
    def dtype(self) -> torch.dtype:
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp64": torch.float64}[self.value]

    @property
    def trained(self) -> torch.dtype:
        """Of adapters, heads, their gradients and the optimiser."""
        return torch.float64 if self is Precision.FP64 else torch.float32
