"""Charges seconds and joules: of computing (FLOPs of a model on a device), of the radio, and who spent them on what."""

from __future__ import annotations

from iovsim.energy.architectures import (
    ARCHITECTURES,
    ENCODERS,
    Encoder,
    text_encoder,
    transformer,
    vision_transformer,
    with_blocks,
    with_head,
    with_lora,
    with_tokens,
)
from iovsim.energy.compute import (
    authors_train_flops,
    feasible_ranks,
    forward_flops,
    lora_flops,
    lora_parameters,
    optimiser_bits,
    room_bits,
    stack_bits,
    train_flops,
    train_j,
    train_s,
    trained_parameters,
    training_memory_bits,
    update_bits,
)
from iovsim.energy.devices import TIERS
from iovsim.energy.ledger import Entry, entries
from iovsim.energy.radio_energy import Joules, downlink_j, sidelink_j, uplink_j, waiting_j

__all__ = [
    "ARCHITECTURES",
    "ENCODERS",
    "TIERS",
    "Encoder",
    "Entry",
    "Joules",
    "authors_train_flops",
    "downlink_j",
    "entries",
    "feasible_ranks",
    "forward_flops",
    "lora_flops",
    "lora_parameters",
    "optimiser_bits",
    "room_bits",
    "sidelink_j",
    "stack_bits",
    "text_encoder",
    "train_flops",
    "train_j",
    "train_s",
    "trained_parameters",
    "training_memory_bits",
    "transformer",
    "update_bits",
    "uplink_j",
    "vision_transformer",
    "waiting_j",
    "with_blocks",
    "with_head",
    "with_lora",
    "with_tokens",
]
