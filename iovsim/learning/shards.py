"""Turns a task's pool of labelled samples into one shard for each vehicle: unequal class mixes by place and by vehicle.

Label skew follows the Dirichlet law of Hsu, Qi and Brown ("Measuring the Effects of Non-Identical Data Distribution",
2019), here in two steps, which is ours: a district's class mix around the pool's, a vehicle's around its district's.
Samples may be shared between vehicles; those a vehicle trains on and those it holds out are disjoint.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from iovsim.domain import FloatArray, IntArray, Shard
from iovsim.errors import TrainingError
from iovsim.rng import stream


def make_shards(
    labels: IntArray,
    pool_districts: IntArray | None,
    vehicle_districts: Mapping[str, int],
    *,
    task: str,
    samples_per_vehicle: int,
    dirichlet_alpha: float,
    test_fraction: float,
    seed: int,
) -> dict[str, Shard]:
    """A shard for each vehicle, drawn from the streams of its own name: no other vehicle changes it.

    `labels` (n,) are the pool's; `pool_districts` (n,) or None. With districts, a vehicle's samples come from its own
    district's part of the pool. `dirichlet_alpha` is the sum of the Dirichlet parameters over the classes divided by
    their number: small means few classes a vehicle, large means the pool's mix. A shard is smaller than
    `samples_per_vehicle` only where the vehicle's classes hold fewer samples.
    Raises `TrainingError` where a number is out of range or a shard's training or test part would be empty.
    """
    if samples_per_vehicle < 2 or not dirichlet_alpha > 0 or not 0 < test_fraction < 1:
        raise TrainingError(
            f"task {task!r}: samples_per_vehicle = {samples_per_vehicle} (allowed: 2 or more), dirichlet_alpha = "
            f"{dirichlet_alpha} (allowed: above 0), test_fraction = {test_fraction} (allowed: between 0 and 1)."
        )
    everywhere = np.arange(len(labels), dtype=np.int64)
    classes = int(labels.max()) + 1 if len(labels) else 0
    shards: dict[str, Shard] = {}
    for vehicle in sorted(vehicle_districts):
        district = vehicle_districts[vehicle]
        pool = everywhere if pool_districts is None else everywhere[pool_districts == district]
        if not len(pool):
            raise TrainingError(
                f"task {task!r}, vehicle {vehicle!r}: no sample of its district {district} is in the pool; "
                "generate more training samples or fewer districts."
            )
        if samples_per_vehicle > len(pool):
            raise TrainingError(
                f"task {task!r}, vehicle {vehicle!r}: samples_per_vehicle = {samples_per_vehicle}, but only "
                f"{len(pool)} samples are there for it to draw from; ask for fewer, or give more data."
            )
        counts = np.bincount(labels[pool], minlength=classes)
        place = _skewed(counts / counts.sum(), dirichlet_alpha, stream(seed, "district", task, district))
        rng = stream(seed, "shard", task, vehicle)
        chosen = _draw(labels, pool, _skewed(place, dirichlet_alpha, rng), samples_per_vehicle, rng)
        held_out = round(len(chosen) * test_fraction)
        if not 0 < held_out < len(chosen):
            raise TrainingError(
                f"task {task!r}, vehicle {vehicle!r}: its {len(chosen)} samples leave training or test empty at "
                f"test_fraction = {test_fraction}; raise samples_per_vehicle or dirichlet_alpha, or give more data."
            )
        shards[vehicle] = Shard(task=task, train=np.sort(chosen[held_out:]), test=np.sort(chosen[:held_out]))
    return shards


def _skewed(mix: FloatArray, alpha: float, rng: np.random.Generator) -> FloatArray:
    """A class mix drawn around `mix`: Dirichlet with parameters `alpha * classes * mix`, absent classes stay absent."""
    drawn = np.zeros_like(mix)
    present = np.flatnonzero(mix)
    shape = np.maximum(alpha * len(present) * mix[present], 1e-6)
    drawn[present] = rng.dirichlet(shape)
    return drawn


def _draw(labels: IntArray, pool: IntArray, mix: FloatArray, count: int, rng: np.random.Generator) -> IntArray:
    """`count` samples without repetition whose classes follow `mix`, in random order; fewer where a class runs out."""
    wanted = rng.multinomial(count, mix)
    parts = []
    for label in np.flatnonzero(wanted):
        members = pool[labels[pool] == label]
        parts.append(rng.choice(members, size=min(int(wanted[label]), len(members)), replace=False))
    return rng.permutation(np.concatenate(parts))
