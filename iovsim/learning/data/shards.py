"""Turns a task's pool of labelled samples into one shard for each vehicle, by where it drives and what it sees there.

Class mixes follow the Dirichlet law in two steps, which is ours: a district's mix around that of the part of the pool
that its vehicles draw from, a vehicle's around its district's. A mix around m has the parameters `alpha * classes * m`,
so around equal shares it is Dirichlet(alpha, ..., alpha), the usual meaning of alpha (Acar et al., "Federated Learning
Based on Dynamic Regularization", 2021). Hsu, Qi and Brown ("Measuring the Effects of Non-Identical Data Distribution",
2019) write Dirichlet(alpha * m): their alpha is this one times the number of classes.

The pool is cut once, by the task and the seed, into a part for training and a part for the vehicles' own tests, and a
vehicle draws from both by the same mix: nobody trains on a sample of anybody's own test.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from iovsim.domain import FloatArray, IntArray, Shard
from iovsim.errors import TrainingError, near_match
from iovsim.learning.data.pool import EPSILON, Pool, cut, full, rounded, sort_pool, take
from iovsim.rng import stream

PLACES = ("own", "anywhere")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardRule:
    """How a task's samples are spread over vehicles.

    Numbers follow a log-normal law as in Acar et al. 2021, here with mean `samples`; one too small for a training and a
    test part is raised to the smallest that has both, one above what the pool holds for the vehicle is lowered to that.
    With `arrival_per_s`, samples come as a Poisson process while the vehicle is in the trace, until it has `samples`;
    that is ours.
    """

    samples: int  # a vehicle's mean number, training and own test together; with arrivals: the most it keeps
    quantity_sigma: float = 0.0  # spread of the numbers' logarithms; 0: all vehicles hold the same number
    place: Literal["own", "anywhere"] = "own"  # draw from the pool's part for the vehicle's district, or from all of it
    label_alpha: float | None  # Dirichlet skew of a vehicle around its district; None: it has its district's mix
    place_alpha: float | None  # Dirichlet skew of a district around what it draws from; None: it has the mix of that
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
    """The samples that a vehicle is to get: when it sees each, in which district it then is, and what it is for."""

    seen_s: FloatArray  # (n,), ascending
    district: IntArray  # (n,)
    test: NDArray[np.bool_]  # (n,): whether for its own test


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

    `labels` (n,) and `pool_districts` (n,) or None are the pool's. If it has districts and vehicles draw from their
    "own", a sample comes from the part of the district where the vehicle is when it sees it; one that is held from the
    start, from the journey's first. No sample is in one vehicle's training and another's own test.
    Every vehicle draws from streams of its own name: no other changes its shard. With a `disjoint` rule, vehicles
    instead draw from what others have left, in turns by a draw from each one's name, so those before a vehicle do
    change its shard. Where a class runs out, others take its place; where a part of the pool does, arrivals get fewer.
    Without any skew, shards are uniform draws from their parts of the pool.
    Raises `TrainingError` where the rule is out of range, or the pool has no or too few samples for a vehicle.
    """
    fewest = _check(rule, task)
    if not len(labels):
        raise TrainingError(f"task {task!r}: its pool holds no samples; give it training data.")
    districts = pool_districts if rule.place == "own" else None
    halves = cut(labels, districts, rule.test_fraction, stream(seed, "own tests", task))
    skewed = rule.label_alpha is not None or rule.place_alpha is not None
    train, tests = (sort_pool(labels if skewed else np.zeros_like(labels), districts, half) for half in halves)
    by_vehicle = {v: _wanted(journeys[v], rule, fewest, stream(seed, "seen", task, v)) for v in sorted(journeys)}
    by_vehicle = {v: w for v, w in by_vehicle.items() if len(w.seen_s) >= fewest}
    _check_supply(train, tests, by_vehicle, rule, task)
    visited = {d for w in by_vehicle.values() for d in np.unique(w.district).tolist()}
    places = {d: _place_mix(train, tests, d, rule, stream(seed, "district", task, d)) for d in visited}
    shared, turns = (full(train), full(tests)), list(by_vehicle)
    if rule.disjoint:
        turns.sort(key=lambda v: stream(seed, "turn", task, v).random())
    shards = {}
    for vehicle in turns:
        wanted = by_vehicle[vehicle]
        seen_in, visit = np.unique(wanted.district, return_inverse=True)
        mixes = [_skewed(places[d], rule.label_alpha, stream(seed, "mix", task, vehicle, d)) for d in seen_in.tolist()]
        part, mix = train.parts(wanted.district), np.array(mixes)[visit]
        dealt = []
        for use, stock, of in zip(("train", "test"), shared, (~wanted.test, wanted.test), strict=True):
            stock = stock if rule.disjoint else full(stock.pool)
            chosen = take(stock, part[of], mix[of], stream(seed, "shard", task, vehicle, use))
            dealt.append(_in_order(chosen, wanted.seen_s[of]))
        (mine, seen_s), (test, test_seen_s) = dealt
        shards[vehicle] = Shard(task=task, train=mine, test=test, seen_s=seen_s, test_seen_s=test_seen_s)
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
    if rule.place not in PLACES:
        raise TrainingError(
            f"task {task!r}: place = {rule.place!r} is not where to draw from; {near_match(rule.place, PLACES)}"
        )
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


def _check_supply(train: Pool, tests: Pool, by_vehicle: Mapping[str, _Wanted], rule: ShardRule, task: str) -> None:
    """Raises `TrainingError` where a part of the pool is missing, or too small for what is wanted of it."""
    held = np.stack([pool.size.sum(axis=1) for pool in (train, tests)])
    test = int(rounded(np.array(rule.samples), rule.test_fraction))
    samples, vehicles = np.zeros_like(held), np.zeros_like(held)
    for vehicle, wanted in by_vehicle.items():
        part = train.parts(wanted.district)
        if (part < 0).any():
            raise TrainingError(
                f"task {task!r}, vehicle {vehicle!r}: no sample of its district {wanted.district[part < 0][0]} is in "
                'the pool; generate more training samples or fewer districts, or set place = "anywhere".'
            )
        if rule.arrival_per_s is None and not rule.disjoint and (held[:, part[0]] < (rule.samples - test, test)).any():
            raise TrainingError(
                f"task {task!r}, vehicle {vehicle!r}: samples = {rule.samples}, of which {test} for its own test, but "
                f"only {held[0, part[0]]} samples for training and {held[1, part[0]]} for tests are there for it to "
                "draw from (a class's only sample is for training); ask for fewer, or give more data."
            )
        if not held[1, part[wanted.test]].any():
            raise TrainingError(
                f"task {task!r}, vehicle {vehicle!r}: no sample for its own test is there for it to draw from (a "
                "class's only sample is for training); give more data."
            )
        wishes = np.stack([np.bincount(part[of], minlength=held.shape[1]) for of in (~wanted.test, wanted.test)])
        samples += wishes
        vehicles += wishes > 0
    for use, short in np.argwhere(samples > held).tolist() if rule.disjoint else ():
        where = "" if train.districts is None else f", district {train.districts[short]}"
        raise TrainingError(
            f"task {task!r}{where}: {vehicles[use, short]} vehicles want {samples[use, short]} "
            f"{('training', 'test')[use]} samples of their own between them, but the pool holds {held[use, short]}; "
            "ask for fewer samples or vehicles, give more data, or set disjoint = false."
        )


def _wanted(journey: Journey, rule: ShardRule, fewest: int, rng: np.random.Generator) -> _Wanted:
    """What a vehicle on `journey` is to get: all of it from the start and at home, or as it arrives."""
    if rule.arrival_per_s is None:
        spread = math.exp(rule.quantity_sigma * rng.standard_normal() - rule.quantity_sigma**2 / 2)  # of mean 1
        count = max(round(rule.samples * spread), fewest)
        return _Wanted(
            np.full(count, -np.inf), np.full(count, journey.district[0]), _held_out(count, rule.test_fraction)
        )
    gaps_s = rng.exponential(1 / rule.arrival_per_s, rule.samples)
    seen_s = journey.start_s[0] + np.cumsum(gaps_s)
    seen_s = seen_s[seen_s < journey.end_s]
    district = journey.district[np.searchsorted(journey.start_s, seen_s, side="right") - 1]
    return _Wanted(seen_s, district, _held_out(len(seen_s), rule.test_fraction))


def _place_mix(train: Pool, tests: Pool, district: int, rule: ShardRule, rng: np.random.Generator) -> FloatArray:
    """The class mix (classes,) of a district, skewed from that of its part of the pool."""
    size = (train.size + tests.size)[train.parts(np.array([district]))[0]]
    return _skewed(size / size.sum(), rule.place_alpha, rng)


def _skewed(mix: FloatArray, alpha: float | None, rng: np.random.Generator) -> FloatArray:
    """A class mix (classes,) drawn around `mix`, or `mix` itself without an alpha; absent classes stay absent."""
    if alpha is None:
        return mix
    drawn = np.zeros_like(mix)
    present = np.flatnonzero(mix)
    drawn[present] = rng.dirichlet(np.maximum(alpha * len(mix) * mix[present], 1e-6))
    return drawn


def _in_order(chosen: IntArray, seen_s: FloatArray) -> tuple[IntArray, FloatArray]:
    """Those of the samples `chosen` (n,) that were there to take, and when each is seen, in this order."""
    got = chosen >= 0
    chosen, seen_s = chosen[got], seen_s[got]
    order = np.lexsort((chosen, seen_s))
    return chosen[order], seen_s[order]


def _held_out(count: int, test_fraction: float) -> NDArray[np.bool_]:
    """Which of `count` samples in a row are held out, so that of any first n it is `n * test_fraction`, rounded."""
    return np.asarray(np.diff(rounded(np.arange(count + 1), test_fraction)) > 0)
