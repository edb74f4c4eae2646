"""Turns an architecture, a LoRA rank and a number of samples into FLOPs, seconds, joules, bits and memory."""

from __future__ import annotations

from collections.abc import Sequence

from iovsim.domain import Architecture, Device
from iovsim.energy.architectures import TRAINING_BITS

USABLE_MEMORY = 0.75
"""Share of a device's memory that training may take; the rest holds the system and the driving functions. Ours."""


def lora_parameters(architecture: Architecture, rank: int) -> int:
    """r (inputs + outputs), summed over the adapted layers; Hu et al. 2022 (arXiv:2106.09685), 4.1."""
    return rank * sum(inputs + outputs for inputs, outputs in architecture.widths)


def adapter_bits(architecture: Architecture, rank: int) -> float:
    """Bits of one update on the air: adapter and head, without protocol overhead (that is in the rate's efficiency)."""
    return float((lora_parameters(architecture, rank) + architecture.head_parameters) * architecture.parameter_bits)


def lora_flops(architecture: Architecture, rank: int) -> float:
    """Forward FLOPs of the adapters, one sample: 2 FLOPs a parameter and token."""
    return 2.0 * architecture.tokens * lora_parameters(architecture, rank)


def forward_flops(architecture: Architecture, rank: int, samples: int) -> float:
    """FLOPs of inference on `samples` samples with an unmerged adapter."""
    return samples * (architecture.forward_flops + lora_flops(architecture, rank))


def train_flops(architecture: Architecture, rank: int, samples: int) -> float:
    """FLOPs of training on `samples` samples (counted once an epoch): samples (2 F_base + 3 F_lora(rank)).

    A backward pass costs one forward pass for the gradients of the activations and one more for those of the weights.
    The frozen base needs only the first, the adapters both: 2 and 3 instead of the 3 and 3 of full fine-tuning. So rank
    hardly changes the computing (15 MFLOP a rank beside 35 GFLOP forward for ViT-B/16); it changes bits and memory.
    The head (under 0.03 % of the base for all of `ARCHITECTURES`) and the optimiser's step are left out.
    """
    return samples * (2.0 * architecture.forward_flops + 3.0 * lora_flops(architecture, rank))


def authors_train_flops(architecture: Architecture, rank: int, samples: int) -> float:
    """Training FLOPs by the rank-scheduling paper's code: psi(r) = 1 - 0.5 ((51 - r) / 43)^2 of those at rank 51.

    psi(8) = 0.5, psi(51) = 1: far steeper than arithmetic allows (see `train_flops`); offered to repeat its figures.
    Outside of 8 to 51 psi is held at its end values (ours: the parabola turns back, and is negative above r = 111).
    """
    psi = 1.0 - 0.5 * ((51 - min(max(rank, 8), 51)) / 43) ** 2
    return psi * train_flops(architecture, 51, samples)


def train_s(device: Device, flops: float) -> float:
    """Seconds that `flops` take on a device."""
    return flops / device.compute_flops


def train_j(device: Device, seconds: float) -> float:
    """Joules of a vehicle whose computer trains for `seconds`."""
    return device.active_w * seconds


def training_memory_bits(architecture: Architecture, rank: int, batch: int) -> float:
    """Memory while training in single precision with Adam.

    The frozen base once; adapter and head four times (weight, gradient, Adam's two moments); for each sample of the
    batch what the backward pass needs, with the r numbers a token inside each adapter. Ours; see `transformer`.
    """
    trained = lora_parameters(architecture, rank) + architecture.head_parameters
    inside = architecture.tokens * rank * len(architecture.widths)
    weights = TRAINING_BITS * (architecture.base_parameters + 4 * trained)
    return weights + batch * (architecture.activation_bits + TRAINING_BITS * inside)


def feasible_ranks(architecture: Architecture, device: Device, ranks: Sequence[int], batch: int) -> tuple[int, ...]:
    """Those of `ranks` whose training fits into `USABLE_MEMORY` of the device, in the order given; perhaps none."""
    room = USABLE_MEMORY * device.memory_bits
    return tuple(rank for rank in ranks if training_memory_bits(architecture, rank, batch) <= room)
