"""Turns a task's pool of labelled samples into one shard for each vehicle, by where it drives and what it sees there.

Class mixes follow the Dirichlet law in two steps, which is ours: a district's mix around that of the part of the pool
that its vehicles draw from, a vehicle's around its district's. A mix around m has the parameters `alpha * classes * m`,
so around equal shares it is Dirichlet(alpha, ..., alpha), the usual meaning of alpha (Acar et al., "Federated Learning
Based on Dynamic Regularization", 2021). Hsu, Qi and Brown ("Measuring the Effects of Non-Identical Data Distribution",
2019) write Dirichlet(alpha * m): their alpha is this one times the number of classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iovsim.domain import FloatArray, IntArray, Shard
from iovsim.errors import TrainingError
from iovsim.learning.pool import Pool, full, sort_pool, take, take_all
from iovsim.rng import stream

EPSILON = 1e-9
"""What a product of a whole number and a fraction may miss the exact one by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardRule:
    """How a task's samples are spread over vehicles.

    Numbers follow a log-normal law as in Acar et al. 2021, here with mean `samples`; a number too small for a training
    and a test part is raised to the smallest that has both. With `arrival_per_s`, samples come as a Poisson process
    while the vehicle is in the trace, until it has `samples`; that is ours.
    """

    samples: int  # a vehicle's mean number, training and own test together; with arrivals: the most it keeps
    quantity_sigma: float = 0.0  # spread of the numbers' logarithms; 0: all vehicles hold the same number
    label_alpha: float | None  # Dirichlet skew of a vehicle around its district; None: it has its district's mix
    place_alpha: float | None  # Dirichlet skew of a district around the pool's part for it; None: it has the part's mix
    test_fraction: float = 0.2  # of a vehicle's samples; with arrivals, every (1 / test_fraction)-th is held out
    disjoint: bool = False  # whether no sample may be held by two vehicles
    arrival_per_s: float | None = None  # None: all samples are held from the start


@dataclass(frozen=True, slots=True, eq=False)
class Journey:
    """Where a vehicle is in its time in the trace: in `district[i]` from `start_s[i]` on, in the last until `end_s`."""

    start_s: FloatArray  # (k,), k >= 1, ascending
    district: IntArray  # (k,)
    end_s: float


@dataclass(frozen=True, slots=True, eq=False)
class _Wanted:
    """The samples that a vehicle is to get: when it sees each, and in which district it then is."""

    seen_s: FloatArray  # (n,), ascending
    district: IntArray  # (n,)


def deal(
    labels: IntArray,
    pool_districts: IntArray | None,
    journeys: Mapping[str, Journey],
    *,
    task: str,
    rule: ShardRule,
    seed: int,
) -> dict[str, Shard]:
    """A shard for each vehicle, sorted by name; with arrivals, vehicles that see too few samples have none.

    `labels` (n,) and `pool_districts` (n,) or None are the pool's. If it has districts, a sample comes from the part of
    the district where the vehicle is when it sees it; one that is held from the start, from the journey's first.
    Every vehicle draws from streams of its own name: no other changes its shard. Where a class runs out, it gets fewer.
    With a `disjoint` rule, vehicles instead draw from what others have left, in turns by a draw from each one's name,
    so those before a vehicle do change its shard, and a class that runs out passes its share to the others.
    Without any skew, shards are uniform draws from their parts of the pool.
    Raises `TrainingError` where the rule is out of range, the pool has no or too few samples for a district, or a
    vehicle's class runs out before it has training and test samples that it should hold from the start.
    """
    fewest = _check(rule, task)
    if not len(labels):
        raise TrainingError(f"task {task!r}: its pool holds no samples; give it training data.")
    skewed = rule.label_alpha is not None or rule.place_alpha is not None
    pool = sort_pool(labels if skewed else np.zeros_like(labels), pool_districts)
    by_vehicle = {v: _wanted(journeys[v], rule, fewest, stream(seed, "seen", task, v)) for v in sorted(journeys)}
    by_vehicle = {v: w for v, w in by_vehicle.items() if len(w.seen_s) >= fewest}
    _check_supply(pool, by_vehicle, rule, task)
    visited = {d for w in by_vehicle.values() for d in np.unique(w.district).tolist()}
    places = {d: _place_mix(pool, d, rule, stream(seed, "district", task, d)) for d in visited}
    shared, turns = full(pool), list(by_vehicle)
    if rule.disjoint:
        turns.sort(key=lambda v: stream(seed, "turn", task, v).random())
    shards = {}
    for vehicle in turns:
        wanted = by_vehicle[vehicle]
        districts, visit = np.unique(wanted.district, return_inverse=True)
        mixes = [
            _skewed(places[d], rule.label_alpha, stream(seed, "mix", task, vehicle, d)) for d in districts.tolist()
        ]
        part, mix = pool.parts(wanted.district), np.array(mixes)[visit]
        rng = stream(seed, "shard", task, vehicle)
        chosen = take_all(shared, part, mix, rng) if rule.disjoint else take(full(pool), part, mix, rng)
        got = chosen >= 0
        count = int(got.sum())
        if count >= fewest:
            shards[vehicle] = _shard(task, chosen[got], wanted.seen_s[got], rule.test_fraction)
        elif rule.arrival_per_s is None:
            raise TrainingError(
                f"task {task!r}, vehicle {vehicle!r}: its {count} samples leave training or test empty at "
                f"test_fraction = {rule.test_fraction}, for its classes run out; raise label_alpha or place_alpha, or "
                "give more data."
            )
    return {v: shards[v] for v in sorted(shards)}


def shard_statistics(
    shards: Mapping[str, Shard], labels: IntArray, classes: Sequence[str]
) -> Iterator[dict[str, object]]:
    """Rows of vehicle, task, class, train_samples and test_samples: one for each class that a vehicle holds.

    `shards` are one task's by vehicle; `labels` (n,) are its pool's and index the names in `classes`.
    """
    for vehicle, shard in sorted(shards.items()):
        train, test = (np.bincount(labels[part], minlength=len(classes)) for part in (shard.train, shard.test))
        for label in np.flatnonzero(train + test).tolist():
            yield {
                "vehicle": vehicle,
                "task": shard.task,
                "class": classes[label],
                "train_samples": int(train[label]),
                "test_samples": int(test[label]),
            }


def _check(rule: ShardRule, task: str) -> int:
    """The fewest samples that have a training and a test part. Raises `TrainingError` for a rule out of range."""
    positive = "between 0 and 1e9, or left out"
    for key, value, low, high, allowed in (
        ("quantity_sigma", rule.quantity_sigma, -math.ulp(0.0), 1e9, "0 to 1e9"),  # 0 itself is allowed
        ("label_alpha", rule.label_alpha, 0.0, 1e9, positive),
        ("place_alpha", rule.place_alpha, 0.0, 1e9, positive),
        ("test_fraction", rule.test_fraction, 0.0, 1.0, "between 0 and 1"),
        ("arrival_per_s", rule.arrival_per_s, 0.0, 1e9, positive),
    ):
        if value is not None and not low < value < high:
            raise TrainingError(f"task {task!r}: {key} = {value} (allowed: {allowed}).")
    if rule.arrival_per_s is not None and rule.quantity_sigma > 0:
        raise TrainingError(
            f"task {task!r}: quantity_sigma = {rule.quantity_sigma} with arrival_per_s = {rule.arrival_per_s}, but "
            "with arrivals the journeys make the numbers differ; leave one of the two out."
        )
    fewest = max(
        math.ceil(0.5 / rule.test_fraction - EPSILON), math.floor(0.5 / (1 - rule.test_fraction) + EPSILON) + 1
    )
    if rule.samples < fewest:
        raise TrainingError(
            f"task {task!r}: samples = {rule.samples} leaves training or test empty at test_fraction = "
            f"{rule.test_fraction} (allowed: {fewest} or more)."
        )
    return fewest


def _check_supply(pool: Pool, by_vehicle: Mapping[str, _Wanted], rule: ShardRule, task: str) -> None:
    """Raises `TrainingError` where a part of the pool is missing, or too small for what is wanted of it."""
    held = pool.size.sum(axis=1)
    samples, vehicles = np.zeros_like(held), np.zeros_like(held)
    for vehicle, wanted in by_vehicle.items():
        part = pool.parts(wanted.district)
        if (part < 0).any():
            raise TrainingError(
                f"task {task!r}, vehicle {vehicle!r}: no sample of its district {wanted.district[part < 0][0]} is in "
                "the pool; generate more training samples or fewer districts."
            )
        if rule.arrival_per_s is None and not rule.disjoint and rule.samples > held[part[0]]:
            raise TrainingError(
                f"task {task!r}, vehicle {vehicle!r}: samples = {rule.samples}, but only {held[part[0]]} samples are "
                "there for it to draw from; ask for fewer, or give more data."
            )
        wishes = np.bincount(part, minlength=len(held))
        samples += wishes
        vehicles += wishes > 0
    for short in np.flatnonzero(samples > held).tolist() if rule.disjoint else ():
        where = "" if pool.districts is None else f", district {pool.districts[short]}"
        raise TrainingError(
            f"task {task!r}{where}: {vehicles[short]} vehicles want {samples[short]} samples of their own between "
            f"them, but the pool holds {held[short]}; ask for fewer samples or vehicles, give more data, or set "
            "disjoint = false."
        )


def _wanted(journey: Journey, rule: ShardRule, fewest: int, rng: np.random.Generator) -> _Wanted:
    """What a vehicle on `journey` is to get: all of it from the start and at home, or as it arrives."""
    if rule.arrival_per_s is None:
        spread = math.exp(rule.quantity_sigma * rng.standard_normal() - rule.quantity_sigma**2 / 2)  # of mean 1
        count = max(round(rule.samples * spread), fewest)
        return _Wanted(np.full(count, -np.inf), np.full(count, journey.district[0]))
    gaps_s = rng.exponential(1 / rule.arrival_per_s, rule.samples)
    seen_s = journey.start_s[0] + np.cumsum(gaps_s)
    seen_s = seen_s[seen_s < journey.end_s]
    return _Wanted(seen_s, journey.district[np.searchsorted(journey.start_s, seen_s, side="right") - 1])


def _place_mix(pool: Pool, district: int, rule: ShardRule, rng: np.random.Generator) -> FloatArray:
    """The class mix (classes,) of a district, skewed from that of its part of the pool."""
    size = pool.size[pool.parts(np.array([district]))[0]]
    return _skewed(size / size.sum(), rule.place_alpha, rng)


def _skewed(mix: FloatArray, alpha: float | None, rng: np.random.Generator) -> FloatArray:
    """A class mix (classes,) drawn around `mix`, or `mix` itself without an alpha; absent classes stay absent."""
    if alpha is None:
        return mix
    drawn = np.zeros_like(mix)
    present = np.flatnonzero(mix)
    drawn[present] = rng.dirichlet(np.maximum(alpha * len(mix) * mix[present], 1e-6))
    return drawn


def _shard(task: str, samples: IntArray, seen_s: FloatArray, test_fraction: float) -> Shard:
    """The shard of `samples` (n,) in the order seen: evenly spaced ones are its test part, the others its training."""
    test = _held_out(len(samples), test_fraction)
    train, train_seen_s = samples[~test], seen_s[~test]
    order = np.lexsort((train, train_seen_s))
    return Shard(task=task, train=train[order], test=np.sort(samples[test]), seen_s=train_seen_s[order])


def _held_out(count: int, test_fraction: float) -> NDArray[np.bool_]:
    """Which of `count` samples in a row are held out, so that of any first n it is `n * test_fraction`, rounded."""
    so_far = np.floor(np.arange(count + 1) * test_fraction + 0.5 + EPSILON)
    return np.asarray(np.diff(so_far) > 0)
