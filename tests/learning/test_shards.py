"""Shards: drawn by the vehicle's name, tests apart from training, as many and as skewed as asked, from their place."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, chi2_contingency

from iovsim.config import ShardsSection
from iovsim.domain import FloatArray, IntArray, Shard
from iovsim.errors import TrainingError
from iovsim.experiment.fleet import rule_of
from iovsim.learning.data.shards import PLACES, Journey, ShardRule, deal, shard_statistics
from iovsim.rng import stream

LABELS = stream(0, "labels").integers(10, size=4000)
DISTRICTS = stream(0, "districts").integers(4, size=4000)
MANY = np.tile(np.arange(10), 20_000)  # no class of it ever runs out


def _journey(*legs: tuple[float, int], end_s: float = 200.0) -> Journey:
    return Journey(np.array([s for s, _ in legs]), np.array([d for _, d in legs], dtype=np.int64), end_s)


def _fleet(count: int, districts: int = 4) -> dict[str, Journey]:
    return {f"v{k}": _journey((10.0, k % districts)) for k in range(count)}


FLEET = _fleet(40)


def _deal(
    journeys: Mapping[str, Journey] = FLEET,
    labels: IntArray = LABELS,
    districts: IntArray | None = DISTRICTS,
    seed: int = 1,
    **changes: Any,
) -> dict[str, Shard]:
    rule: dict[str, Any] = {"samples": 40, "label_alpha": 0.5, "place_alpha": 0.5, "test_fraction": 0.25}
    return deal(labels, districts, journeys, task="signs", rule=ShardRule(**(rule | changes)), seed=seed)


def _all(shard: Shard) -> IntArray:
    return np.concatenate([shard.train, shard.test])


def _union(shards: Mapping[str, Shard], part: str) -> set[int]:
    return {int(k) for s in shards.values() for k in getattr(s, part)}


def _shares(shards: Mapping[str, Shard], labels: IntArray) -> FloatArray:
    counts = np.array([np.bincount(labels[_all(s)], minlength=labels.max() + 1) for s in shards.values()])
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _equal(one: Shard, other: Shard) -> bool:
    return all(
        np.array_equal(getattr(one, part), getattr(other, part)) for part in ("train", "test", "seen_s", "test_seen_s")
    )


# --- What every shard is ---------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    samples=st.integers(4, 60),
    sigma=st.sampled_from([0.0, 0.3, 1.0]),
    alphas=st.tuples(*[st.sampled_from([None, 0.3, 5.0])] * 2),
    disjoint=st.booleans(),
    arrival=st.sampled_from([None, 0.01, 0.5]),
    placed=st.booleans(),
    place=st.sampled_from(["own", "anywhere"]),
    seed=st.integers(0, 5),
)
def test_every_shard_is_whole_and_no_training_sample_is_in_any_test(
    samples: int,
    sigma: float,
    alphas: tuple[float | None, float | None],
    disjoint: bool,
    arrival: float | None,
    placed: bool,
    place: str,
    seed: int,
) -> None:
    journeys = {f"v{k}": _journey((10.0, k % 4), (90.0, (k + 1) % 4)) for k in range(8)}
    shards = _deal(
        journeys,
        districts=DISTRICTS if placed else None,
        seed=seed,
        samples=samples,
        quantity_sigma=sigma if arrival is None else 0.0,
        place=place,
        label_alpha=alphas[0],
        place_alpha=alphas[1],
        disjoint=disjoint,
        arrival_per_s=arrival,
    )
    assert list(shards) == sorted(shards)
    assert arrival is not None or shards.keys() == journeys.keys()
    for shard in shards.values():
        held = _all(shard)
        assert len(np.unique(held)) == len(held)
        assert len(shard.test) == int(len(held) * 0.25 + 0.5)
        assert 0 < len(shard.test) < len(held)
        for part, seen_s, now in (
            (shard.train, shard.seen_s, shard.held),
            (shard.test, shard.test_seen_s, shard.held_test),
        ):
            assert len(seen_s) == len(part)
            assert (np.diff(seen_s) > 0).all() if arrival else (seen_s == -np.inf).all()
            assert np.array_equal(now(1e9), part)
        if arrival is not None:
            assert len(held) <= samples
        elif sigma == 0:
            assert len(held) == samples
    assert not _union(shards, "train") & _union(shards, "test")
    if disjoint and shards:
        every = np.concatenate([_all(s) for s in shards.values()])
        assert len(np.unique(every)) == len(every)


def test_what_is_for_tests_hangs_on_the_task_and_the_seed_alone() -> None:
    rules: list[dict[str, Any]] = [
        {},
        {"label_alpha": None, "place_alpha": None},
        {"label_alpha": 0.1, "quantity_sigma": 0.5},
        {"disjoint": True, "samples": 60},
        {"arrival_per_s": 0.5},
    ]
    dealt = [_deal(_fleet(60), **rule) for rule in rules]
    for one in dealt:
        for other in dealt:
            assert not _union(one, "train") & _union(other, "test")
    assert _union(dealt[0], "train") & _union(_deal(_fleet(60), seed=2), "test")


@pytest.mark.parametrize("changes", [{}, {"arrival_per_s": 0.3}, {"quantity_sigma": 0.5}])
def test_a_shard_does_not_depend_on_the_other_vehicles(changes: dict[str, Any]) -> None:
    all_, alone = _deal(**changes), _deal({"v7": FLEET["v7"]}, **changes)
    assert _equal(all_["v7"], alone["v7"])
    assert not np.array_equal(all_["v7"].train, all_["v11"].train)  # the same district, another name
    assert not np.array_equal(all_["v7"].train, _deal(seed=2, **changes)["v7"].train)


@given(samples=st.integers(2, 40), twentieths=st.integers(1, 19))
def test_the_held_out_part_is_the_fraction_rounded_and_neither_part_is_empty(samples: int, twentieths: int) -> None:
    fraction = Fraction(twentieths, 20)
    expected = int(samples * fraction + Fraction(1, 2))
    rule: dict[str, Any] = {"samples": samples, "test_fraction": float(fraction), "label_alpha": None}
    if 0 < expected < samples:
        shard = _deal({"v": FLEET["v0"]}, place_alpha=None, **rule)["v"]
        assert (len(shard.test), len(shard.train)) == (expected, samples - expected)
    else:
        with pytest.raises(TrainingError, match="leaves training or test empty"):
            _deal({"v": FLEET["v0"]}, place_alpha=None, **rule)


# --- Class mixes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("disjoint", [False, True])
def test_without_skew_shards_are_uniform_draws(disjoint: bool) -> None:
    shards = _deal(districts=None, samples=100, label_alpha=None, place_alpha=None, disjoint=disjoint)
    table = np.array([np.bincount(LABELS[_all(s)], minlength=10) for s in shards.values()])
    assert table.sum() == 4000
    assert 0.01 < chi2_contingency(table).pvalue < 0.99
    skewed = _deal(districts=None, samples=100, label_alpha=5.0, place_alpha=None, disjoint=disjoint)
    table = np.array([np.bincount(LABELS[_all(s)], minlength=10) for s in skewed.values()])
    assert chi2_contingency(table).pvalue < 1e-9


@pytest.mark.parametrize("step", ["label_alpha", "place_alpha"])
@pytest.mark.parametrize("alpha", [0.2, 1.0, 20.0])
def test_shares_have_the_mean_and_variance_of_a_dirichlet_multinomial(step: str, alpha: float) -> None:
    vehicles, samples, classes = 400, 50, 10
    alphas: dict[str, Any] = {"label_alpha": None, "place_alpha": None, step: alpha}
    shares = _shares(_deal(_fleet(vehicles, districts=vehicles), MANY, None, samples=samples, **alphas), MANY)
    # Johnson, Kotz and Balakrishnan, "Discrete Multivariate Distributions", 1997, chapter 35.
    mean, total = 1 / classes, alpha * classes
    variance = mean * (1 - mean) / samples * (samples + total) / (1 + total)
    assert np.abs(shares.mean(axis=0) - mean).max() < 4 * np.sqrt(variance / vehicles)
    # The relative error of a variance from n values is sqrt((kurtosis - 1) / n); the kurtosis here is at most 12.
    assert abs(shares.var(axis=0).mean() / variance - 1) < 4 * np.sqrt(11 / (vehicles * (classes - 1)))


def test_a_mix_is_drawn_around_unequal_classes_with_the_parameters_alpha_times_classes_times_share() -> None:
    labels = np.repeat([3, 8], [90_000, 10_000])  # two classes, whatever their numbers
    share = _shares(_deal(_fleet(600), labels, None, label_alpha=2.0, place_alpha=None), labels)[:, 8]
    variance = 0.09 / 40 * (40 + 4) / (1 + 4)
    assert abs(share.mean() - 0.1) < 4 * np.sqrt(variance / 600)
    assert abs(share.var() / variance - 1) < 4 * np.sqrt(9 / 600)


def test_training_and_test_have_the_same_mix_where_rare_classes_are_cut_unevenly() -> None:
    labels = np.concatenate([np.zeros(400, dtype=np.int64), np.repeat(np.arange(1, 201), 2)])
    shards = _deal(_fleet(200), labels, None, samples=50, test_fraction=0.1, label_alpha=1e3, place_alpha=None)
    for part in ("train", "test"):
        common = np.array([np.mean(labels[getattr(s, part)] == 0) for s in shards.values()])
        assert abs(common.mean() - 0.5) < 4 * common.std() / np.sqrt(200), "half of the pool is of class 0"


def test_vehicles_of_a_place_share_its_mix() -> None:
    shares = _shares(_deal(_fleet(80, 8), MANY, None, samples=200, label_alpha=None, place_alpha=0.3), MANY)
    place = np.arange(80) % 8
    order = [int(v[1:]) % 8 for v in sorted(_fleet(80))]
    apart = np.abs(shares[:, None] - shares[None]).sum(axis=2)
    same = np.equal.outer(order, order)
    assert sorted(order) == sorted(place)
    assert apart[same & ~np.eye(80, dtype=bool)].mean() < 0.4 * apart[~same].mean()


def test_a_smaller_alpha_leaves_fewer_classes() -> None:
    def classes(alpha: float) -> float:
        shards = _deal(districts=None, label_alpha=alpha, place_alpha=None).values()
        return float(np.mean([len(np.unique(LABELS[_all(s)])) for s in shards]))

    assert classes(0.05) < 3.5
    assert classes(0.05) < classes(0.5) < classes(100.0)
    assert classes(100.0) > 9


# --- Numbers ---------------------------------------------------------------------------------------------------------


def test_numbers_are_log_normal_with_the_mean_asked_for() -> None:
    shards = _deal(_fleet(1000), MANY, None, samples=100, quantity_sigma=0.6)
    counts = np.array([len(_all(s)) for s in shards.values()])
    assert abs(counts.mean() - 100) < 4 * 100 * np.sqrt((np.exp(0.36) - 1) / 1000)
    assert abs(np.log(counts).std() - 0.6) < 4 * 0.6 / np.sqrt(2 * 1000)
    assert abs(np.log(counts).mean() - (np.log(100) - 0.18)) < 4 * 0.6 / np.sqrt(1000)


def test_every_vehicle_gets_a_training_and_a_test_part_however_unequal_the_numbers() -> None:
    shards = _deal(_fleet(300), MANY, None, samples=4, quantity_sigma=2.0)
    counts = np.array([len(_all(s)) for s in shards.values()])
    assert len(shards) == 300
    assert counts.min() == 2
    assert counts.max() > 20
    assert min(min(len(s.train), len(s.test)) for s in shards.values()) == 1


def test_a_number_above_what_the_pool_holds_is_lowered_to_that() -> None:
    shards = _deal(_fleet(60), LABELS[:100], None, samples=50, quantity_sigma=1.0)
    numbers = [len(_all(s)) for s in shards.values()]
    assert min(numbers) < 50 < max(numbers) == 100


@pytest.mark.parametrize("arrival", [None, 5.0])
def test_a_class_that_runs_out_does_not_make_a_shard_smaller(arrival: float | None) -> None:
    labels = stream(0, "many classes").integers(43, size=4000)  # some 23 of each in a district
    shards = _deal(labels=labels, samples=60, label_alpha=0.05, place_alpha=None, arrival_per_s=arrival)
    assert {(len(s.train), len(s.test)) for s in shards.values()} == {(45, 15)}
    classes = [len(np.unique(labels[s.train])) for s in shards.values()]
    assert np.mean(classes) < 12, "and it stays skewed"


# --- Places ----------------------------------------------------------------------------------------------------------


def test_what_is_held_from_the_start_comes_from_the_first_district() -> None:
    driving = {v: _journey((0.0, j.district[0]), (50.0, 3)) for v, j in FLEET.items()}
    for vehicle, shard in _deal(driving).items():
        assert (DISTRICTS[_all(shard)] == driving[vehicle].district[0]).all()


def test_without_districts_in_the_pool_samples_come_from_everywhere() -> None:
    shards = _deal(districts=None)
    assert {int(d) for s in shards.values() for d in DISTRICTS[s.train]} == {0, 1, 2, 3}


@pytest.mark.parametrize("disjoint", [False, True])
def test_anywhere_and_without_skew_vehicles_have_the_mix_of_the_whole_pool(disjoint: bool) -> None:
    labels = (2 * DISTRICTS + stream(0, "of a district").integers(4, size=4000)) % 10  # districts see other classes
    share = np.bincount(labels, minlength=10) / 4000

    def fit(place: str) -> float:
        shards = _deal(labels=labels, samples=80, label_alpha=None, place_alpha=None, place=place, disjoint=disjoint)
        table = np.array([np.bincount(labels[_all(s)], minlength=10) for s in shards.values()])
        return float(chi2.sf(((table - 80 * share) ** 2 / (80 * share)).sum(), 9 * len(table)))

    assert fit("anywhere") > 0.01
    assert fit("own") < 1e-9


def test_anywhere_a_district_still_skews_by_its_alpha_and_need_not_be_in_the_pool() -> None:
    fleet = _fleet(40, 2) | {f"far{k}": _journey((10.0, 99)) for k in range(20)}
    shares = _shares(_deal(fleet, place="anywhere", samples=200, label_alpha=None, place_alpha=0.3), LABELS)
    home = np.array([fleet[v].district[0] for v in sorted(fleet)])
    apart = np.abs(shares[:, None] - shares[None]).sum(axis=2)
    same = np.equal.outer(home, home)
    assert apart[same & ~np.eye(60, dtype=bool)].mean() < 0.4 * apart[~same].mean()


# --- Disjoint shards -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [None, 0.1])
@pytest.mark.parametrize("placed", [False, True])
def test_disjoint_shards_can_use_the_whole_pool(alpha: float | None, placed: bool) -> None:
    districts = np.arange(4000) % 4
    shards = _deal(
        districts=districts if placed else None, samples=100, label_alpha=alpha, place_alpha=None, disjoint=True
    )
    assert np.array_equal(np.sort(np.concatenate([_all(s) for s in shards.values()])), np.arange(4000))
    assert {len(_all(s)) for s in shards.values()} == {100}
    if placed:
        assert all((districts[_all(s)] == FLEET[v].district[0]).all() for v, s in shards.items())


def test_a_disjoint_shard_depends_on_the_vehicles_before_it_alone() -> None:
    fleet = _fleet(6, districts=1)
    rule: dict[str, Any] = {"districts": None, "samples": 300, "label_alpha": None, "disjoint": True}
    whole = _deal(fleet, **rule)
    changed = []
    for left_out in fleet:
        rest = _deal({v: j for v, j in fleet.items() if v != left_out}, **rule)
        changed.append(sum(not _equal(rest[v], whole[v]) for v in rest))
    assert sorted(changed) == [0, 1, 2, 3, 4, 5]
    assert changed != sorted(changed, reverse=True)  # nor is the order that of the names


# --- Arrivals --------------------------------------------------------------------------------------------------------


def test_arriving_samples_are_seen_where_the_vehicle_is() -> None:
    journeys = {f"v{k}": _journey((20.0, k % 4), (60.0, 2), (120.0, (k + 1) % 4), end_s=170.0) for k in range(20)}
    shards = _deal(journeys, samples=500, arrival_per_s=0.5, label_alpha=50.0)
    assert shards.keys() == journeys.keys()
    for vehicle, shard in shards.items():
        journey = journeys[vehicle]
        assert shard.seen_s.min() >= 20.0
        assert shard.seen_s.max() < 170.0
        leg = np.searchsorted(journey.start_s, shard.seen_s, side="right") - 1
        assert (DISTRICTS[shard.train] == journey.district[leg]).all()
        leg = np.searchsorted(journey.start_s, shard.test_seen_s, side="right") - 1
        assert (DISTRICTS[shard.test] == journey.district[leg]).all()
        assert 0 < len(shard.held_test(100.0)) < len(shard.test)
        assert not len(shard.held_test(20.0))
        assert 0 < len(shard.held(100.0)) < len(shard.train)
    legs = np.concatenate([np.searchsorted([60.0, 120.0], s.seen_s) for s in shards.values()])
    assert (np.bincount(legs) > 200).all()  # of about 400, 600 and 500, less a fourth for the tests


def test_arrivals_are_a_poisson_process() -> None:
    shards = _deal(_fleet(400), MANY, None, samples=1000, arrival_per_s=0.2)  # for 190 s each
    counts = np.array([len(_all(s)) for s in shards.values()])
    assert abs(counts.mean() - 38) < 4 * np.sqrt(38 / 400)
    assert abs(counts.var() / 38 - 1) < 4 * np.sqrt(2 / 400)
    times_s = np.concatenate([t for s in shards.values() for t in (s.seen_s, s.test_seen_s)])
    assert abs(times_s.mean() - 105) < 4 * 190 / np.sqrt(12 * len(times_s))


def test_a_vehicle_keeps_the_first_samples_up_to_its_cap() -> None:
    capped, free = (
        _deal(_fleet(30), MANY, None, samples=samples, arrival_per_s=0.5, test_fraction=0.2) for samples in (20, 500)
    )
    for vehicle, shard in capped.items():
        assert (len(shard.train), len(shard.test)) == (16, 4)
        assert np.array_equal(shard.seen_s, free[vehicle].seen_s[:16])
        assert np.array_equal(shard.test_seen_s, free[vehicle].test_seen_s[:4])


def test_a_journey_cut_short_brings_the_first_part_of_the_shard() -> None:
    legs = ((0.0, 1), (70.0, 3))
    whole = _deal({"v": _journey(*legs, end_s=400.0)}, samples=300, arrival_per_s=0.5)["v"]
    part = _deal({"v": _journey(*legs, end_s=150.0)}, samples=300, arrival_per_s=0.5)["v"]
    assert np.array_equal(part.train, whole.held(150.0))
    assert np.array_equal(part.test, whole.held_test(150.0))
    assert len(part.test) < len(whole.test)


def test_each_part_of_a_shard_comes_in_the_order_seen() -> None:
    shard = _deal({"v": FLEET["v0"]}, arrival_per_s=0.5, samples=40)["v"]
    merged = np.concatenate([shard.seen_s, shard.test_seen_s])
    tests = np.argsort(merged) >= len(shard.train)
    so_far = np.arange(1, len(merged) + 1)
    assert np.array_equal(np.cumsum(tests), np.floor(so_far * 0.25 + 0.5))
    for k, time_s in enumerate(np.sort(merged), start=1):
        assert len(shard.held(time_s)) + len(shard.held_test(time_s)) == k


def test_where_a_district_is_used_up_arrivals_get_fewer() -> None:
    shard = _deal({"v": FLEET["v0"]}, LABELS[:20], None, arrival_per_s=5.0, samples=500, label_alpha=None)["v"]
    assert sorted(_all(shard)) == list(range(20))
    assert (np.diff(shard.seen_s) > 0).all()
    assert (np.diff(shard.test_seen_s) > 0).all()


def test_a_district_has_the_same_mix_for_a_vehicle_whenever_it_comes() -> None:
    journeys = {"v": _journey((0.0, 0), (1000.0, 1), (2000.0, 0), end_s=3000.0)}
    shard = _deal(journeys, MANY, None, samples=9000, arrival_per_s=1.0, label_alpha=0.3, place_alpha=None)["v"]
    legs = [(shard.seen_s >= s) & (shard.seen_s < s + 1000) for s in (0.0, 1000.0, 2000.0)]
    first, other, again = (np.bincount(MANY[shard.train[leg]], minlength=10) / leg.sum() for leg in legs)
    assert np.abs(first - again).sum() < 0.2
    assert np.abs(first - other).sum() > 0.4


def test_vehicles_that_see_too_little_have_no_shard() -> None:
    journeys = {"still": _journey((50.0, 0), end_s=50.0), "short": _journey((50.0, 0), end_s=51.0), "v": FLEET["v0"]}
    assert list(_deal(journeys, arrival_per_s=0.1)) == ["v"]
    assert _deal({"still": journeys["still"]}, arrival_per_s=0.1) == {}


# --- Tables ----------------------------------------------------------------------------------------------------------


def test_statistics_count_every_sample_once() -> None:
    shards = _deal(samples=10)
    rows = list(shard_statistics(shards, LABELS, [f"c{k}" for k in range(10)]))
    assert {row["task"] for row in rows} == {"signs"}
    for vehicle, shard in shards.items():
        own = {row["class"]: row for row in rows if row["vehicle"] == vehicle}
        assert set(own) == {f"c{k}" for k in LABELS[_all(shard)]}
        for name, row in own.items():
            label = int(str(name)[1:])
            assert row["train_samples"] == (LABELS[shard.train] == label).sum()
            assert row["test_samples"] == (LABELS[shard.test] == label).sum()


# --- Mistakes --------------------------------------------------------------------------------------------------------


def test_a_pool_that_cannot_give_what_is_asked_names_task_and_vehicle() -> None:
    with pytest.raises(TrainingError, match="task 'signs': its pool holds no samples"):
        _deal(labels=LABELS[:0], districts=None)
    with pytest.raises(TrainingError, match="task 'signs', vehicle 'far': no sample of its district 9 is in the pool"):
        _deal({"far": _journey((0.0, 9))})
    with pytest.raises(TrainingError, match="task 'signs', vehicle 'far': no sample of its district 9 is in the pool"):
        _deal({"far": _journey((0.0, 1), (50.0, 9))}, arrival_per_s=1.0, samples=300)
    few = r"samples = 40, of which 10 for its own test, but only 2\d samples for training and \d for tests are there"
    with pytest.raises(TrainingError, match=f"task 'signs', vehicle 'v0': {few}"):
        _deal(labels=LABELS[:30], districts=None)


@pytest.mark.parametrize("disjoint", [False, True])
@pytest.mark.parametrize("arrival", [None, 0.5])
def test_a_vehicle_without_any_test_sample_is_refused(disjoint: bool, arrival: float | None) -> None:
    places = np.repeat([0, 1], [50, 100])
    labels = np.arange(150) % 50  # in district 0, one of each class, and those are for training
    rule: dict[str, Any] = {"samples": 8, "disjoint": disjoint, "arrival_per_s": arrival}
    assert _deal({"v1": FLEET["v1"]}, labels, places, **rule)
    with pytest.raises(TrainingError, match=r"'signs', vehicle 'v0': .* for tests|no sample for its own test"):
        _deal({"v0": FLEET["v0"]}, labels, places, **rule)
    assert _deal({"v0": FLEET["v0"]}, labels, places, place="anywhere", **rule)
    both = _deal({"v0": _journey((10.0, 0), (100.0, 1))}, labels, places, samples=90, arrival_per_s=0.5)["v0"]
    assert (both.test_seen_s >= 100.0).all()
    assert (both.seen_s < 100.0).any()


def test_a_pool_too_small_for_disjoint_shards_says_by_how_much() -> None:
    with pytest.raises(TrainingError, match=r"'signs': 40 vehicles want 3040 training samples .* holds 3000; ask"):
        _deal(districts=None, samples=101, disjoint=True)
    with pytest.raises(TrainingError, match=r"'signs': 40 vehicles want 1000 test samples .* holds 998; ask"):
        _deal(labels=LABELS[:3990] * 0, districts=None, samples=99, disjoint=True)
    holds = int((DISTRICTS == 2).sum())
    with pytest.raises(TrainingError, match=r"district 2: 1 vehicles want \d+ training samples of their own .* holds"):
        _deal({"v": _journey((0.0, 2))}, samples=holds + 4, disjoint=True)
    assert len(_all(_deal({"v": _journey((0.0, 2))}, samples=holds, disjoint=True)["v"])) == holds
    with pytest.raises(
        TrainingError, match=r"district 0: 10 vehicles want \d+ training samples .* set disjoint = false"
    ):
        _deal(samples=400, arrival_per_s=5.0, disjoint=True)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"samples": 1}, "samples = 1 leaves training or test empty at test_fraction = 0.25 .allowed: 2 or more"),
        ({"samples": 4, "test_fraction": 0.1}, "samples = 4 leaves training or test empty .* .allowed: 5 or more"),
        ({"place": "owm"}, "place = 'owm' is not where to draw from; did you mean 'own'. Allowed: 'anywhere', 'own'"),
        ({"quantity_sigma": -0.1}, "quantity_sigma = -0.1 .allowed: 0 to 1e9"),
        ({"label_alpha": 0.0}, "label_alpha = 0.0 .allowed: between 0 and 1e9, or left out"),
        ({"label_alpha": 1e9}, "label_alpha = 1000000000.0 .allowed: between 0 and 1e9, or left out"),
        ({"place_alpha": float("nan")}, "place_alpha = nan .allowed: between 0 and 1e9, or left out"),
        ({"test_fraction": 1.0}, "test_fraction = 1.0 .allowed: between 0 and 1"),
        ({"arrival_per_s": 0.0}, "arrival_per_s = 0.0 .allowed: between 0 and 1e9, or left out"),
        ({"arrival_per_s": 1.0, "quantity_sigma": 0.5}, "quantity_sigma = 0.5 with arrival_per_s = 1.0, .* leave one"),
    ],
)
def test_a_rule_out_of_range_is_refused(changes: dict[str, Any], found: str) -> None:
    with pytest.raises(TrainingError, match=f"task 'signs': {found}"):
        _deal(**changes)


def test_a_scenario_can_ask_for_every_rule() -> None:
    asked = {"samples": 30, "place": "anywhere", "label_alpha": 0.5, "place_alpha": 2.0, "arrival_per_s": 0.1}
    assert rule_of(ShardsSection(**asked, vehicles=9)) == ShardRule(**asked)  # type: ignore[arg-type]
    assert {rule_of(ShardsSection.model_validate({"place": place})).place for place in PLACES} == set(PLACES)
