"""An adapter's arrays become layers, scaled factors and head: what aggregation needs of LoRA, without torch."""

from __future__ import annotations

import numpy as np

from iovsim.domain import Adapter, Float32Array, FloatArray


def adapted_layers(adapter: Adapter) -> list[str]:
    """The adapted layers that an adapter holds, in its own order."""
    return [name.removesuffix(".lora_A.weight") for name in adapter.tensors if name.endswith(".lora_A.weight")]


def head_names(adapter: Adapter) -> list[str]:
    """The keys that belong to the head."""
    return [name for name in adapter.tensors if ".lora_" not in name]


def factors(adapter: Adapter, layer: str) -> tuple[FloatArray, FloatArray]:
    """A layer's update as two factors in float64, scale included in the left: (outputs, rank) and (rank, inputs)."""
    scale = adapter.alpha / adapter.rank
    left = scale * adapter.tensors[f"{layer}.lora_B.weight"].astype(np.float64)
    return left, adapter.tensors[f"{layer}.lora_A.weight"].astype(np.float64)


def has_learnt(adapter: Adapter) -> bool:
    """Whether any layer's update differs from zero."""
    return any(adapter.tensors[f"{layer}.lora_B.weight"].any() for layer in adapted_layers(adapter))


def draw_a(rank: int, inputs: int, rng: np.random.Generator) -> Float32Array:
    """Rows of A by PEFT's law, `kaiming_uniform_(a=sqrt(5))`: uniform within 1 / sqrt(inputs). Low ranks: prefixes."""
    bound = inputs**-0.5
    return rng.uniform(-bound, bound, (rank, inputs)).astype(np.float32)
