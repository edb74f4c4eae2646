"""Cutting and taking from a pool: evenly, never twice, by the mix asked for, and to the last sample."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from iovsim.domain import IntArray
from iovsim.learning.data.pool import cut, full, sort_pool, take
from iovsim.rng import stream

LABELS = np.array([7, 7, 2, 2, 2, 2, 7, 2], dtype=np.int64)
DISTRICTS = np.array([5, 1, 1, 5, 5, 1, 5, 5], dtype=np.int64)


def test_cells_hold_the_samples_of_one_district_and_class() -> None:
    pool = sort_pool(LABELS, DISTRICTS)
    cells = [
        [pool.samples[first : first + size].tolist() for first, size in zip(*row, strict=True)]
        for row in zip(pool.first.tolist(), pool.size.tolist(), strict=True)
    ]
    assert cells == [[[2, 5], [1]], [[3, 4, 7], [0, 6]]]
    assert pool.parts(np.array([5, 1, 0, 3, 9])).tolist() == [1, 0, -1, -1, -1]
    one = sort_pool(LABELS, None)
    assert one.size.tolist() == [[5, 3]]
    assert one.parts(np.array([5, 99])).tolist() == [0, 0]


def test_every_ordered_choice_is_as_likely_as_any_other() -> None:
    stocks = [full(sort_pool(np.zeros(4, dtype=np.int64), None)) for _ in range(2400)]
    rng = stream(0, "choices")
    found = [tuple(take(stock, np.zeros(3, dtype=np.int64), np.ones((3, 1)), rng).tolist()) for stock in stocks]
    counts = [found.count(order) for order in permutations(range(4), 3)]
    assert sum(counts) == 2400
    assert chisquare(counts).pvalue > 0.01


@pytest.mark.parametrize("mix", [[0.4, 0.3, 0.3], [0.9, 0.05, 0.05], [1.0, 0.0, 0.0]])
def test_what_the_first_requests_get_does_not_depend_on_later_ones(mix: list[float]) -> None:
    pool, part = sort_pool(np.array([0, 0, 1, 1, 1, 2, 2, 2]), None), np.zeros(8, dtype=np.int64)
    for seed in range(10):
        every = take(full(pool), part, np.tile(mix, (8, 1)), stream(seed, "luck")).tolist()
        assert sorted(every) == list(range(8)), "classes run out on the way"
        for n in range(8):
            assert take(full(pool), part[:n], np.tile(mix, (n, 1)), stream(seed, "luck")).tolist() == every[:n]


def test_classes_follow_the_mix_of_their_request() -> None:
    labels = np.repeat(np.arange(4), 3000)
    mix = np.tile([[0.0, 0.5, 0.3, 0.2], [0.7, 0.0, 0.3, 0.0]], (2000, 1))
    taken = labels[take(full(sort_pool(labels, None)), np.zeros(4000, dtype=np.int64), mix, stream(0, "mix"))]
    for parity in (0, 1):
        present = mix[parity] > 0
        counts = np.bincount(taken[parity::2], minlength=4)
        assert not counts[~present].any()
        assert chisquare(counts[present], 2000 * mix[parity][present]).pvalue > 0.01


def test_a_part_is_used_up_to_the_last_sample_whatever_the_mix() -> None:
    stock = full(sort_pool(LABELS, DISTRICTS))
    part = np.array([1, 0, 1, 0, 1, 0, 1, 1], dtype=np.int64)
    taken = take(stock, part, np.tile([0.0, 1.0], (8, 1)), stream(0, "all"))
    assert sorted(taken.tolist()) == list(range(8))
    assert (np.array([1, 5])[part] == DISTRICTS[taken]).all()
    assert not stock.left.any()


def test_a_part_that_is_used_up_leaves_later_requests_empty() -> None:
    stock = full(sort_pool(LABELS, DISTRICTS))
    taken = take(stock, np.zeros(5, dtype=np.int64), np.tile([0.5, 0.5], (5, 1)), stream(0, "empty"))
    assert sorted(taken[:3].tolist()) == [1, 2, 5]
    assert taken[3:].tolist() == [-1, -1]
    assert stock.left.tolist() == [[0, 0], [3, 2]]


def test_a_class_that_runs_out_passes_its_share_on_in_proportion() -> None:
    labels = np.repeat([0, 1, 2, 3], [2, 9000, 9000, 9000])
    mix = np.tile([0.4, 0.45, 0.15, 0.0], (4000, 1))
    taken = take(full(sort_pool(labels, None)), np.zeros(4000, dtype=np.int64), mix, stream(0, "share"))
    counts = np.bincount(labels[taken], minlength=4)
    assert counts[0] == 2
    assert counts[3] == 0
    assert chisquare(counts[1:3], 3998 * np.array([0.75, 0.25])).pvalue > 0.01


def test_where_the_mix_is_used_up_requests_go_by_what_is_left() -> None:
    labels = np.repeat([0, 1, 2], [1, 900, 100])
    mix = np.tile([1.0, 0.0, 0.0], (201, 1))
    taken = take(full(sort_pool(labels, None)), np.zeros(201, dtype=np.int64), mix, stream(0, "rest"))
    counts = np.bincount(labels[taken], minlength=3)
    assert counts[0] == 1
    assert abs(counts[2] - 20) < 4 * np.sqrt(200 * 0.1 * 0.9)


# --- The cut into training and test ----------------------------------------------------------------------------------


def _sizes(labels: IntArray, districts: IntArray | None, among: IntArray) -> IntArray:
    return sort_pool(labels, districts, among).size


@given(
    pool=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=80),
    fraction=st.sampled_from([0.01, 0.1, 0.2, 0.5, 0.9]),
    placed=st.booleans(),
    seed=st.integers(0, 3),
)
def test_a_cut_halves_every_cell_by_the_fraction(
    pool: list[tuple[int, int]], fraction: float, placed: bool, seed: int
) -> None:
    labels, places = np.array(pool).T
    districts = places if placed else None
    train, tests = cut(labels, districts, fraction, stream(seed, "cut"))
    assert np.array_equal(np.sort(np.concatenate([train, tests])), np.arange(len(pool)))
    whole, kept, held = (_sizes(labels, districts, among) for among in (np.arange(len(pool)), train, tests))
    assert np.array_equal(kept + held, whole)
    assert (kept[whole > 0] > 0).all(), "a single sample is for training"
    assert (held[whole > 1] > 0).all()
    assert (np.abs(held - whole * fraction)[whole > 1] <= 1).all()
    wanted = np.floor(whole.sum(axis=1) * fraction + 0.5)
    plain = ((whole * fraction >= 1) & (whole * (1 - fraction) >= 1) | (whole == 0)).all(axis=1)
    assert np.array_equal(held.sum(axis=1)[plain], wanted[plain])


def test_every_sample_of_a_cell_is_as_likely_to_be_for_the_test() -> None:
    found = np.zeros(8, dtype=np.int64)
    for seed in range(2000):
        found[cut(LABELS, None, 0.4, stream(seed, "even"))[1]] += 1
    for label, held in ((2, 2), (7, 1)):
        counts = found[label == LABELS]
        assert counts.sum() == 2000 * held
        assert chisquare(counts).pvalue > 0.01


def test_pools_of_two_parts_share_parts_and_classes() -> None:
    some = sort_pool(LABELS, DISTRICTS, np.array([0, 3]))
    assert some.districts is not None
    assert some.districts.tolist() == [1, 5]
    assert some.size.tolist() == [[0, 0], [1, 1]]
    assert [int(some.samples[k]) for k in some.first[1]] == [3, 0]
