"""Families of paired differences: by hand, mirrored with their pair, and blind to the order of seeds."""

from __future__ import annotations

import math
import random
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.results.contrasts import clear_best, contrasts, paired_differences, pairs_of
from iovsim.results.measured import Measured
from iovsim.results.metrics import METRICS

ACCURACY, ENERGY = METRICS["final_accuracy"], METRICS["energy_j"]
shares = st.integers(0, 40).map(lambda i: i / 40)
by_seed = st.dictionaries(st.integers(1, 9), st.tuples(shares, shares), min_size=2, max_size=8)


def table(**values: list[float]) -> Measured:
    """Values of policies for seeds 1, 2, ..."""
    return Measured(ACCURACY, "signs", {p: dict(enumerate(v, 1)) for p, v in values.items()})


def test_pairs_are_with_the_baseline_or_of_all() -> None:
    assert pairs_of(["a", "b", "c"], "b", every=False) == [("a", "b"), ("c", "b")]
    assert pairs_of(["a", "b", "c", "d"], "b", every=True) == [
        ("a", "b"),
        ("c", "b"),
        ("d", "b"),
        ("c", "a"),
        ("d", "a"),
        ("d", "c"),
    ]
    assert pairs_of(["a"], "a", every=True) == []


def test_a_contrast_by_hand() -> None:
    """Differences 0.1, 0.2, 0.3, 0: mean 0.15, s = 0.1291, x = t / sqrt(3) = 1.3416; three ranks, all up.

    With three degrees of freedom p = 1 - (2 / pi) (atan(x) + x / (1 + x^2)), and Hedges' factor is 0.7236.
    """
    [found] = contrasts(table(a=[0.5, 0.5, 0.5, 0.5], b=[0.6, 0.7, 0.8, 0.5]), [("b", "a")])
    d_z = 0.15 / 0.1290994
    x = 2 * d_z / math.sqrt(3)
    p = 1 - 2 / math.pi * (math.atan(x) + x / (1 + x**2))
    assert asdict(found) == {
        "policy": "b",
        "against": "a",
        "difference": {"n": 4, "mean": pytest.approx(0.15), "half": pytest.approx(3.18245 * 0.0645497)},
        "bootstrap": None,
        "zeros": 1,
        "t_p": pytest.approx(p),
        "t_holm": pytest.approx(p),
        "wilcoxon_p": 0.25,
        "wilcoxon_holm": 0.25,
        "d_z": pytest.approx(d_z),
        "g_z": pytest.approx(d_z * 0.7236, rel=1e-4),
        "rank_biserial": 1.0,
        "more": 2,
    }


def test_one_seed_gives_a_difference_and_nothing_else() -> None:
    [found] = contrasts(table(a=[0.5], b=[0.75]), [("b", "a")])
    given_ = {name: value for name, value in asdict(found).items() if value not in (None, 0)}
    assert given_ == {"policy": "b", "against": "a", "difference": {"n": 1, "mean": 0.25, "half": None}}
    [none] = contrasts(Measured(ACCURACY, "", {"a": {1: 0.5}, "b": {2: 0.5}}), [("b", "a")])
    assert none.difference is None


def test_what_rounding_makes_different_is_a_tie_for_the_tests() -> None:
    values = table(a=[0.1, 0.2, 0.7], b=[0.3, 0.4, 0.1 + 0.6]).values
    assert values["b"][1] - values["a"][1] != values["b"][2] - values["a"][2]
    assert paired_differences(values, ("b", "a")) == [0.2, 0.2, 0.0]
    assert paired_differences(table(a=[0.0], b=[0.0]).values, ("a", "b")) == [0.0]


def test_a_family_is_corrected_together_and_a_narrower_aim_needs_more_seeds() -> None:
    values = table(a=[0.5, 0.5, 0.5], b=[0.6, 0.61, 0.6], c=[0.5, 0.7, 0.6], d=[0.6, 0.6, 0.6])
    found = contrasts(values, pairs_of("abcd", "a", every=False), wished=0.01)
    assert [c.t_holm for c in found] == pytest.approx([3 * (found[0].t_p or 0), 2 * (found[1].t_p or 0), None])
    assert found[2].t_p is None  # no spread, so nothing to judge by
    assert [c.more for c in found] == [1, 384, 0]


@settings(max_examples=30, deadline=None)
@given(by_seed, st.randoms(use_true_random=False))
def test_a_contrast_is_mirrored_with_its_pair_whatever_the_order_of_seeds(
    values: dict[int, tuple[float, float]], shuffler: random.Random
) -> None:
    seeds = list(values)
    one = Measured(ENERGY, "", {p: {s: values[s][i] for s in seeds} for i, p in enumerate("ab")})
    shuffler.shuffle(seeds)
    other = Measured(ENERGY, "", {p: {s: values[s][i] for s in seeds} for i, p in enumerate("ab")})
    [there], [back] = contrasts(one, [("b", "a")]), contrasts(other, [("a", "b")])
    assert there.difference is not None
    assert back.difference is not None
    assert back.difference.mean == -there.difference.mean
    assert back.difference.half == there.difference.half
    mirrored = None if there.bootstrap is None else (-there.bootstrap[1] + 0.0, -there.bootstrap[0] + 0.0)
    assert back.bootstrap == mirrored
    for name in ("zeros", "t_p", "wilcoxon_p", "more"):
        assert getattr(back, name) == getattr(there, name)
    for name in ("d_z", "g_z", "rank_biserial"):
        forth, reverse = getattr(there, name), getattr(back, name)
        assert (forth is None) == (reverse is None)
        assert forth is None or reverse == -forth
    [again] = contrasts(other, [("b", "a")])
    assert again == there


def test_the_best_is_clear_only_where_it_beats_the_second_best() -> None:
    a, b, c = [0.70, 0.80, 0.75], [0.60, 0.70, 0.66], [0.40, 0.50, 0.45]
    assert clear_best(table(a=a, b=b, c=c), "t") == "a"
    assert clear_best(table(a=a, b=b, c=c), "wilcoxon") is None  # three seeds give no p below 0.25
    assert clear_best(table(a=a, b=[0.60, 0.9, 0.66], c=c), "t") is None
    assert clear_best(table(a=a, b=a), "t") is None
    assert clear_best(table(a=a), "t") is None
    lower = Measured(ENERGY, "", table(a=a, b=b, c=c).values)
    assert clear_best(lower, "t") == "c"
