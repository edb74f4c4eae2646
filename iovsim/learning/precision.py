"""Names of precisions become torch's types."""

from __future__ import annotations

import torch

from iovsim.domain import Precision


def computed(precision: Precision) -> torch.dtype:
    """Of the frozen model and the activations."""
    return {Precision.FP32: torch.float32, Precision.BF16: torch.bfloat16, Precision.FP64: torch.float64}[precision]


def trained(precision: Precision) -> torch.dtype:
    """Of adapters, heads, their gradients and the optimiser's moments."""
    return torch.float64 if precision is Precision.FP64 else torch.float32
