"""The contract of aggregators."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from iovsim.domain import Adapter, Aggregator, FloatArray, Recipe, TrainJob
from iovsim.errors import PolicyError
from iovsim.learning.adapter import adapted_layers, beside, factors
from iovsim.rng import seed_of
from iovsim.testing.worlds import FakeTrainer, fake_update


def check_aggregator(make: Callable[[], Aggregator], seed: int = 0) -> None:
    """Raises `PolicyError` at the first rule that the aggregator breaks.

    A single update becomes the new adapter, head included; the order of updates and the scale of their weights do not
    matter; of updates that share A and are equally large, the mean is weighted by samples times fraction; a client gets
    the rank that it is asked for, at the present rank without any change of what the adapter does (together with the
    present one, where factors are stacked); nothing is changed in place.
    """
    name = type(make()).__name__
    current = FakeTrainer().initial("signs", 4, seed)
    updates = [fake_update(_job(current, i)) for i in range(3)]
    before = [copy.deepcopy(a) for a in (current, *(u.adapter for u in updates))]
    _expect_close(make().aggregate(current, updates[:1]), updates[0].adapter, "a single update becomes the new adapter")
    joined = make().aggregate(current, updates)
    _expect_close(make().aggregate(current, updates[::-1]), joined, "the order of updates must not matter")
    doubled = [replace(u, samples=2 * u.samples) for u in updates]
    _expect_close(make().aggregate(current, doubled), joined, "only relative weights may matter")
    one = updates[0].adapter
    other = replace(one, tensors={k: v if "lora_A" in k else v[::-1].copy() for k, v in one.tensors.items()})
    pair = [replace(updates[0], adapter=one, samples=30), replace(updates[1], adapter=other, samples=20, fraction=0.5)]
    mean = {k: (0.75 * one.tensors[k] + 0.25 * other.tensors[k]).astype(np.float32) for k in one.tensors}
    _expect_close(make().aggregate(current, pair), replace(one, tensors=mean), "weights are samples times fraction")
    own = make().redistribute(joined, joined.rank, seed)
    held = beside(joined, own) if getattr(make(), "stacks", False) else own
    _expect_close(held, joined, "its own rank must not change an adapter")
    given = make().redistribute(current, 2, seed)
    if given.rank != 2 or any(v.shape[0] != 2 for k, v in given.tensors.items() if "lora_A" in k):
        raise PolicyError(f"{name}: redistribute(…, rank=2) gave rank {given.rank}.")
    for old, new in zip(before, (current, *(u.adapter for u in updates)), strict=True):
        if any(not np.array_equal(old.tensors[k], new.tensors[k]) for k in old.tensors):
            raise PolicyError(f"{name}: aggregate() wrote into what it was given; it must return new arrays.")


def effective_update(adapter: Adapter) -> dict[str, FloatArray]:
    """`scale * B @ A` by layer, in float64: what the adapter adds to each frozen weight."""
    return {layer: left @ right for layer in adapted_layers(adapter) for left, right in [factors(adapter, layer)]}


def _job(adapter: Adapter, number: int) -> TrainJob:
    samples = np.arange(8 * (number + 1))
    recipe = Recipe(learning_rate=1e-3, batch_size=8)
    return TrainJob("signs", f"v{number}", 0, "rsu0", adapter, samples, 1, recipe, 0.0, seed_of(0, "check", number))


def _expect_close(found: Adapter, expected: Adapter, rule: str) -> None:
    """Compares what adapters do, not how they are factored: updates, and the head."""
    one, other = (
        effective_update(a) | {k: v.astype(np.float64) for k, v in a.tensors.items() if ".lora_" not in k}
        for a in (found, expected)
    )
    if one.keys() != other.keys() or any(not np.allclose(one[k], other[k], atol=1e-5) for k in one):
        raise PolicyError(f"aggregator: {rule}.")
