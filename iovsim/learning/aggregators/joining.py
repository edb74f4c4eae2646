"""What aggregators share: weights, means of whole tensors, and factors put back into an adapter of some rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from iovsim.domain import Adapter, Float32Array, FloatArray, Update
from iovsim.errors import TrainingError
from iovsim.learning.adapter import draw_a, plain_names
from iovsim.rng import stream

Pair = tuple[FloatArray, FloatArray]
"""A layer's update as the product of two factors: (outputs, k) and (k, inputs)."""


def client_weights(updates: Sequence[Update]) -> FloatArray:
    """Weights (n,) proportional to `samples * fraction`, with sum 1. Raises `TrainingError` where all are zero."""
    weights = np.array([update.samples * update.fraction for update in updates], dtype=np.float64)
    if not weights.sum() > 0 or weights.min() < 0:
        raise TrainingError(
            f"aggregation: the weights samples * fraction are {weights.tolist()}; one must be positive."
        )
    shares: FloatArray = weights / weights.sum()
    return shares


def check_names(current: Adapter, updates: Sequence[Update]) -> None:
    """Raises `TrainingError` where an update has other tensors than the global adapter."""
    for update in updates:
        differing = sorted(set(current.tensors) ^ set(update.adapter.tensors))
        if differing:
            raise TrainingError(
                f"aggregation: an update and the global adapter differ in {differing[0]!r}; join equal models."
            )


def mean(name: str, weights: FloatArray, updates: Sequence[Update]) -> Float32Array:
    """The weighted mean of one tensor."""
    total = sum(w * u.adapter.tensors[name].astype(np.float64) for w, u in zip(weights, updates, strict=True))
    return np.asarray(total, dtype=np.float32)


def plain_means(current: Adapter, weights: FloatArray, updates: Sequence[Update]) -> dict[str, Float32Array]:
    """What is trained in full: the head; without adapters everything. Averaged alike by every aggregator."""
    return {name: mean(name, weights, updates) for name in plain_names(current)}


def plain_of(adapter: Adapter) -> dict[str, Float32Array]:
    """The tensors that are trained in full."""
    return {name: adapter.tensors[name] for name in plain_names(adapter)}


def first_rows(adapter: Adapter, rank: int) -> Adapter:
    """An adapter with B = 0 cut to a lower rank."""
    tensors = {
        name: array[:rank] if ".lora_A." in name else array[:, :rank] if ".lora_B." in name else array
        for name, array in adapter.tensors.items()
    }
    return replace(adapter, rank=rank, tensors={n: np.ascontiguousarray(a) for n, a in tensors.items()})


def compose(
    like: Adapter, pairs: Mapping[str, Pair], plain: Mapping[str, Float32Array], rank: int, seed: int, scale: float
) -> Adapter:
    """`like` at `rank`, with `scale * B @ A` equal to the pairs' products, cut after `rank` directions.

    Where a pair has fewer, A's further rows are drawn and B's columns are zero: they change nothing and can learn.
    """
    tensors: dict[str, Float32Array] = {}
    for layer, (left, right) in pairs.items():
        keep = min(rank, len(right))
        a = draw_a(rank, right.shape[1], stream(seed, "direction", layer))
        b = np.zeros((len(left), rank), dtype=np.float32)
        a[:keep] = right[:keep]
        b[:, :keep] = left[:, :keep] / scale
        tensors[f"{layer}.lora_A.weight"], tensors[f"{layer}.lora_B.weight"] = a, b
    return replace(like, rank=rank, tensors=tensors | dict(plain))


def scale_at(adapter: Adapter, rank: int) -> float:
    """The scale of adapters of this rule at another rank; 1 without adapters."""
    return adapter.scaling.scale(adapter.alpha, rank) if rank else 1.0
