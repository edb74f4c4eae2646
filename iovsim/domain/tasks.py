"""A federated fine-tuning problem becomes a task: adapters, local training, budget and charged model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Architecture:
    """The model whose size is charged: FLOPs, adapter bits and memory of one task's model.

    `widths` lists (inputs, outputs) of every adapted linear layer, so LoRA of rank r has `r * sum(inputs + outputs)`
    parameters; `tokens` is the sequence length that each of them sees, on average over the samples.
    """

    name: str
    forward_flops: float  # one sample, frozen base
    backward_flops: float  # gradients of the activations, one sample: from the end down to the lowest adapted block
    tokens: int
    widths: tuple[tuple[int, int], ...]
    base_parameters: int
    long_tokens: int  # of a long sample, the 99th percentile: a batch of such must fit into memory
    activation_bits: float  # kept for the backward pass, one long sample, frozen base
    full_activation_bits: float  # the same where the base's own weights are trained too
    parameter_bits: int  # of a transmitted adapter parameter
    head_parameters: int
    blocks: int = 0  # transformer blocks with adapters; 0 where it is not known as a list of such
    block_flops: float = 0.0  # forward, of one of them
    block_parameters: int = 0


class Tuning(StrEnum):
    """Which parameters a method trains and sends. All methods train the head."""

    LORA = "lora"  # low-rank adapters beside frozen weights
    HEAD = "head"  # the head alone, on frozen features
    FULL = "full"  # everything


class Scaling(StrEnum):
    """What the product of a rank-r adapter's factors is multiplied with."""

    LORA = "lora"  # alpha / r (Hu et al. 2022)
    RSLORA = "rslora"  # alpha / sqrt(r) (Kalajdzievski 2023)

    def scale(self, alpha: float, rank: int) -> float:
        return alpha / rank if self is Scaling.LORA else alpha / math.sqrt(rank)


ROLES: tuple[str, ...] = ("query", "key", "value", "output", "mlp_in", "mlp_out")
"""The linear layers of a transformer's block, by what they do."""


@dataclass(frozen=True, slots=True)
class LoraRule:
    """The one rule by which a task's adapters of all ranks are made, for every method."""

    alpha: float
    scaling: Scaling = Scaling.LORA
    dropout: float = 0.0  # of an adapter's input
    targets: tuple[str, ...] = ("query", "value")  # `ROLES` of the adapted layers
    top_blocks: int | None = None  # only the last so many transformer blocks are adapted; None: all


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a client trains, the same for every method."""

    learning_rate: float
    batch_size: int
    optimiser: str = "adamw"  # or "sgd"
    weight_decay: float = 0.01
    clip_norm: float = math.inf  # the largest norm of a gradient
    balanced: bool = False  # weight classes by the inverse of their frequency in the training pool


@dataclass(frozen=True, slots=True)
class Task:
    """One federated fine-tuning problem: its adapter family, local training and budget per RSU round."""

    task: str
    classes: int
    ranks: tuple[int, ...]  # the ranks a policy may choose from, ascending
    lora: LoraRule
    recipe: Recipe  # with the learning rate for adapters
    learning_rates: Mapping[Tuning, float]  # those that the scenario gives; a method needs that of its tuning
    local_epochs: int
    local_head: bool  # heads stay in their vehicles: neither sent nor averaged
    round_energy_j: float  # budget of one RSU round for this task: vehicles and RSU together
    charged: Architecture
    blocks: tuple[
        str, ...
    ] = ()  # keys of what is trained of each block begin so, lowest first; (): none can be left out

    def ranks_of(self, tuning: Tuning) -> tuple[int, ...]:
        """The ranks that a method may choose from: without adapters there is only 0."""
        return self.ranks if tuning is Tuning.LORA else (0,)
