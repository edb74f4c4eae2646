"""Turns an architecture, a LoRA rank and a number of samples into FLOPs, seconds, joules, bits and memory."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from iovsim.domain import Architecture, Device, Task, Tuning
from iovsim.energy.architectures import TRAINING_BITS
from iovsim.errors import ScenarioError, near_match

STATES: Mapping[str, int] = MappingProxyType({"adamw": 4, "sgd": 2})
"""Numbers held for a trained parameter: weight, gradient and, by optimiser, Adam's two moments or nothing more."""


def lora_parameters(architecture: Architecture, rank: int) -> int:
    """r (inputs + outputs), summed over the adapted layers; Hu et al. 2022 (arXiv:2106.09685), 4.1."""
    return rank * sum(inputs + outputs for inputs, outputs in architecture.widths)


def trained_parameters(architecture: Architecture, rank: int, tuning: Tuning = Tuning.LORA) -> int:
    """The head's, and what the tuning trains beside it: adapters, nothing, or the whole base. Only LoRA has a rank."""
    beside = {
        Tuning.LORA: lora_parameters(architecture, rank),
        Tuning.HEAD: 0,
        Tuning.FULL: architecture.base_parameters,
    }
    return architecture.head_parameters + beside[tuning]


def update_bits(
    architecture: Architecture, rank: int, tuning: Tuning = Tuning.LORA, *, local_head: bool = False
) -> float:
    """Bits of one update on the air: what is trained, but not a head that stays in its vehicle.

    Protocol overhead is in the rate's efficiency.
    """
    kept_back = architecture.head_parameters if local_head else 0
    return float((trained_parameters(architecture, rank, tuning) - kept_back) * architecture.parameter_bits)


def optimiser_bits(task: Task, rank: int, tuning: Tuning = Tuning.LORA) -> float:
    """Bits of the optimiser's state, which goes along where a training goes on in another vehicle: for AdamW twice
    those of what is trained, for SGD none."""
    moments = STATES[task.recipe.optimiser] - STATES["sgd"]
    return float(moments * trained_parameters(task.charged, rank, tuning) * task.charged.parameter_bits)


def stack_bits(architecture: Architecture, ranks: int, *, local_head: bool = False) -> float:
    """Bits of stacked factors with so many ranks in all, and of the head if it is sent.

    No layer takes more than its dense product has, since that says the same (ours).
    """
    stacked = sum(min(ranks * (inputs + outputs), inputs * outputs) for inputs, outputs in architecture.widths)
    head = 0 if local_head else architecture.head_parameters
    return float((stacked + head) * architecture.parameter_bits)


def lora_flops(architecture: Architecture, rank: int) -> float:
    """Forward FLOPs of the adapters, one sample: 2 FLOPs a parameter and token."""
    return 2.0 * architecture.tokens * lora_parameters(architecture, rank)


def forward_flops(architecture: Architecture, rank: int, samples: int) -> float:
    """FLOPs of inference on `samples` samples with an unmerged adapter."""
    return samples * (architecture.forward_flops + lora_flops(architecture, rank))


def train_flops(architecture: Architecture, rank: int, samples: int, tuning: Tuning = Tuning.LORA) -> float:
    """FLOPs of training on `samples` samples (counted once an epoch), with LoRA samples (F + F_above + 3 F_lora(rank)).

    F is the frozen base's forward pass, F_above its part from the lowest adapted block on, F_lora the adapters' (ours).
    A backward pass costs one forward pass for the gradients of the activations and one more for those of the weights.
    Adapters need both; the frozen base needs the first alone, and only down to the lowest adapted block, since below it
    no gradient is asked for. Where every block is adapted that is 2 F + 3 F_lora, the embedding counted with them. The
    vehicle is not taken to keep what the frozen blocks below give from epoch to epoch: F is charged in every one.

    Full training needs 3 F; a head alone needs the features, F, worked out anew in every epoch too. So rank hardly
    changes the computing (15 MFLOP a rank beside 35 GFLOP forward for ViT-B/16); it changes bits and memory. The head
    (under 0.03 % of the base for all of `ARCHITECTURES`) and the optimiser's step are left out.
    """
    base = architecture.forward_flops
    match tuning:
        case Tuning.LORA:
            return samples * (base + architecture.backward_flops + 3.0 * lora_flops(architecture, rank))
        case Tuning.HEAD:
            return samples * base
        case Tuning.FULL:
            return samples * 3.0 * base


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


def training_memory_bits(task: Task, rank: int, tuning: Tuning = Tuning.LORA) -> float:
    """The most memory that training takes, in single precision: frozen weights once, trained ones with their `STATES`,
    and the activations of a batch of long samples, since batches hold texts of like length.

    Activations are what the backward pass needs of each sample: with LoRA `activation_bits` (where dropout counts) and
    the r numbers a token inside each adapter, with full training `full_activation_bits`; for a head alone the features,
    which are left out (a ten-thousandth of ViT-B for a batch of 16). Not counted: what lives within one layer only, and
    the framework. Ours. Training ViT-B/16 with torch 2.13 on a CPU, a process grew by 526 and 1016 MiB with LoRA of
    rank 8 for batches of 2 and 8 (this says 485 and 944), by 1572 MiB with full training for a batch of 2 (1532), all
    with AdamW. Raises `ScenarioError` for an unknown optimiser.
    """
    model, recipe = task.charged, task.recipe
    if recipe.optimiser not in STATES:
        raise ScenarioError(
            f"task {task.task!r}: unknown optimiser {recipe.optimiser!r}; {near_match(recipe.optimiser, STATES)}"
        )
    trained = STATES[recipe.optimiser] * trained_parameters(model, rank, tuning)
    frozen = 0 if tuning is Tuning.FULL else model.base_parameters
    per_sample = {
        Tuning.LORA: model.activation_bits + TRAINING_BITS * model.long_tokens * rank * len(model.widths),
        Tuning.HEAD: 0.0,
        Tuning.FULL: model.full_activation_bits,
    }
    return TRAINING_BITS * (frozen + trained) + recipe.batch_size * per_sample[tuning]


def room_bits(device: Device) -> float:
    """What training may take of a device's memory."""
    return device.memory_share * device.memory_bits


def feasible_ranks(task: Task, device: Device, tuning: Tuning = Tuning.LORA) -> tuple[int, ...]:
    """Those of the task's ranks whose training fits into the device's memory, ascending; perhaps none.

    Without adapters the only rank is 0. Room is `memory_share` of `memory_bits`.
    """
    room = room_bits(device)
    return tuple(rank for rank in task.ranks_of(tuning) if training_memory_bits(task, rank, tuning) <= room)
