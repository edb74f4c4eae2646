"""Random adapters of two layers of unequal shape, and what they do, by the definition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from iovsim.domain import Adapter, Float32Array, FloatArray, Update
from iovsim.learning.adapter import HEAD
from iovsim.rng import stream

HEAD_WEIGHT = f"{HEAD}weight"
LAYERS = {"a": (12, 10), "b": (7, 16)}  # outputs, inputs
ALPHA = 8.0


def an_adapter(rank: int, seed: int, alpha: float = ALPHA) -> Adapter:
    tensors: dict[str, Float32Array] = {}
    rng = stream(seed, "adapter")
    for layer, (outputs, inputs) in LAYERS.items():
        tensors[f"{layer}.lora_A.weight"] = rng.normal(size=(rank, inputs)).astype(np.float32)
        tensors[f"{layer}.lora_B.weight"] = rng.normal(size=(outputs, rank)).astype(np.float32)
    tensors[HEAD_WEIGHT] = rng.normal(size=(3, 5)).astype(np.float32)
    return Adapter(rank, alpha, tensors)


def an_update(rank: int, seed: int, samples: int = 10, fraction: float = 1.0) -> Update:
    return Update(an_adapter(rank, seed), samples, 1.0, 0.5, fraction)


def dense(adapter: Adapter, layer: str) -> FloatArray:
    scale = adapter.alpha / adapter.rank
    b, a = (adapter.tensors[f"{layer}.lora_{x}.weight"].astype(np.float64) for x in "BA")
    return np.asarray(scale * b @ a)


def mean_of(updates: Sequence[Update], layer: str) -> FloatArray:
    weights = np.array([u.samples * u.fraction for u in updates])
    return np.asarray(sum(w * dense(u.adapter, layer) for w, u in zip(weights, updates, strict=True)) / weights.sum())
