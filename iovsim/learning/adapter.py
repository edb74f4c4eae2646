"""An adapter's arrays become layers, scaled factors and head: what aggregation needs of LoRA, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from iovsim.domain import Adapter, Float32Array, FloatArray, Head

HEAD = "base_model.model.head."
"""How the keys of the head begin, in every backbone's adapters."""

LARGEST_UPDATE = 1e30
"""Bound of a layer's update (Frobenius norm) that aggregation at any rank keeps within float32, with room; ours."""


def adapted_layers(adapter: Adapter) -> list[str]:
    """The adapted layers that an adapter holds, in its own order."""
    return [name.removesuffix(".lora_A.weight") for name in adapter.tensors if name.endswith(".lora_A.weight")]


def plain_names(adapter: Adapter) -> list[str]:
    """The keys that are trained in full: those of the head, and of everything else in full fine-tuning."""
    return [name for name in adapter.tensors if ".lora_" not in name]


def head_of(adapter: Adapter) -> Head:
    """The tensors that belong to the head."""
    return {name: array for name, array in adapter.tensors.items() if name.startswith(HEAD)}


def with_head(adapter: Adapter, head: Mapping[str, Float32Array]) -> Adapter:
    """The adapter with another head."""
    return replace(adapter, tensors={**adapter.tensors, **head})


def without(adapter: Adapter, blocks: Sequence[str]) -> Adapter:
    """The adapter without what belongs to these blocks."""
    left_out = tuple(f"{block}." for block in blocks)
    kept = {name: array for name, array in adapter.tensors.items() if not name.startswith(left_out)}
    return replace(adapter, tensors=kept)


def factors(adapter: Adapter, layer: str) -> tuple[FloatArray, FloatArray]:
    """A layer's update as two factors in float64, scale included in the left: (outputs, rank) and (rank, inputs)."""
    left = adapter.scale * adapter.tensors[f"{layer}.lora_B.weight"].astype(np.float64)
    return left, adapter.tensors[f"{layer}.lora_A.weight"].astype(np.float64)


def beside(base: Adapter, adapter: Adapter) -> Adapter:
    """An adapter and the one that it was trained beside, as one with the directions of both and `adapter`'s head."""
    rank = base.rank + adapter.rank
    scale = adapter.scaling.scale(adapter.alpha, rank)
    tensors = dict(adapter.tensors)
    for layer in adapted_layers(adapter):
        pairs = factors(base, layer), factors(adapter, layer)
        left, right = (np.concatenate(parts, axis=1 - k) for k, parts in enumerate(zip(*pairs, strict=True)))
        tensors[f"{layer}.lora_B.weight"] = (left / scale).astype(np.float32)
        tensors[f"{layer}.lora_A.weight"] = right.astype(np.float32)
    return replace(adapter, rank=rank, tensors=tensors)


def is_finite(adapter: Adapter) -> bool:
    """Whether all tensors are finite, and small enough that their products are too, whatever rank they are cut to."""
    pairs = (factors(adapter, layer) for layer in adapted_layers(adapter))
    return all(np.isfinite(array).all() for array in adapter.tensors.values()) and all(
        np.linalg.norm(left) * np.linalg.norm(right) < LARGEST_UPDATE for left, right in pairs
    )


def has_learnt(adapter: Adapter) -> bool:
    """Whether any layer's update differs from zero."""
    return any(adapter.tensors[f"{layer}.lora_B.weight"].any() for layer in adapted_layers(adapter))


def draw_a(rank: int, inputs: int, rng: np.random.Generator) -> Float32Array:
    """Rows of A by PEFT's law, `kaiming_uniform_(a=sqrt(5))`: uniform within 1 / sqrt(inputs). Low ranks: prefixes."""
    bound = inputs**-0.5
    return rng.uniform(-bound, bound, (rank, inputs)).astype(np.float32)
