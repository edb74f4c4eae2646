"""Taking from a pool: evenly, never twice, by the mix asked for, and to the last sample."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from scipy.stats import chisquare

from iovsim.learning.pool import full, sort_pool, take, take_all
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


def test_a_class_that_runs_out_leaves_later_requests_empty() -> None:
    stock = full(sort_pool(LABELS, None))
    taken = take(stock, np.zeros(5, dtype=np.int64), np.tile([0.0, 1.0], (5, 1)), stream(0, "empty"))
    assert sorted(taken[:3].tolist()) == [0, 1, 6]
    assert taken[3:].tolist() == [-1, -1]
    assert stock.left.tolist() == [[5, 0]]


def test_what_the_first_requests_get_does_not_depend_on_later_ones() -> None:
    pool, part, mix = sort_pool(LABELS, None), np.zeros(6, dtype=np.int64), np.tile([0.4, 0.6], (6, 1))
    six, two = (take(full(pool), part[:n], mix[:n], stream(1, "luck")) for n in (6, 2))
    assert six[:2].tolist() == two.tolist()


def test_classes_follow_the_mix_of_their_request() -> None:
    labels = np.repeat(np.arange(4), 3000)
    mix = np.tile([[0.0, 0.5, 0.3, 0.2], [0.7, 0.0, 0.3, 0.0]], (2000, 1))
    taken = labels[take(full(sort_pool(labels, None)), np.zeros(4000, dtype=np.int64), mix, stream(0, "mix"))]
    for parity in (0, 1):
        present = mix[parity] > 0
        counts = np.bincount(taken[parity::2], minlength=4)
        assert not counts[~present].any()
        assert chisquare(counts[present], 2000 * mix[parity][present]).pvalue > 0.01


def test_take_all_goes_to_the_last_sample_whatever_the_mix() -> None:
    stock = full(sort_pool(LABELS, DISTRICTS))
    part = np.array([1, 0, 1, 0, 1, 0, 1, 1], dtype=np.int64)
    taken = take_all(stock, part, np.tile([0.0, 1.0], (8, 1)), stream(0, "all"))
    assert sorted(taken.tolist()) == list(range(8))
    assert (np.array([1, 5])[part] == DISTRICTS[taken]).all()
    assert not stock.left.any()


def test_take_all_keeps_to_the_mix_while_it_can() -> None:
    labels = np.repeat([0, 1, 2], [2, 500, 500])
    stock = full(sort_pool(labels, None))
    taken = take_all(stock, np.zeros(100, dtype=np.int64), np.tile([0.8, 0.2, 0.0], (100, 1)), stream(0, "share"))
    assert np.bincount(labels[taken], minlength=3).tolist() == [2, 98, 0]


def test_where_the_mix_is_used_up_take_all_goes_by_what_is_left() -> None:
    labels = np.repeat([0, 1, 2], [1, 900, 100])
    mix = np.tile([1.0, 0.0, 0.0], (201, 1))
    taken = take_all(full(sort_pool(labels, None)), np.zeros(201, dtype=np.int64), mix, stream(0, "rest"))
    counts = np.bincount(labels[taken], minlength=3)
    assert counts[0] == 1
    assert abs(counts[2] - 20) < 4 * np.sqrt(200 * 0.1 * 0.9)
