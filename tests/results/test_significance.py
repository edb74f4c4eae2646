"""p values and Holm's correction against hand-computed figures, printed tables, enumeration, and what must hold."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from iovsim.results.significance import (
    holm,
    paired_t_p,
    seeds_for_wilcoxon,
    signed_ranks,
    smallest_wilcoxon_p,
    wilcoxon_p,
)

SLEEP = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
OTHER_SLEEP = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
"""Hours of sleep gained by ten patients under two drugs; Student, "The probable error of a mean", 1908."""

halves = st.integers(-8, 8).map(lambda i: i / 2)
some = st.lists(halves, min_size=2, max_size=9)
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_the_paired_t_test_of_students_own_data() -> None:
    """Student's table: mean difference 1.58, t = 4.06 with 9 degrees of freedom, two-sided p = 0.00283."""
    differences = [b - a for a, b in zip(SLEEP, OTHER_SLEEP, strict=True)]
    assert paired_t_p(differences) == pytest.approx(0.002833, abs=1e-6)


def test_the_t_test_of_two_values_is_an_arc_tangent() -> None:
    """With one degree of freedom p = 1 - (2 / pi) atan(t); 1 and 3 have t = 2 / (sqrt(2) / sqrt(2)) = 2."""
    assert paired_t_p([1.0, 3.0]) == pytest.approx(1 - 2 / math.pi * math.atan(2))


def test_what_has_no_spread_has_no_t_test() -> None:
    assert paired_t_p([0.5]) is None
    assert paired_t_p([0.5, 0.5, 0.5]) is None
    assert paired_t_p([0.0, 0.0]) == 1.0


def test_wilcoxon_by_hand_with_a_tie_and_a_zero() -> None:
    """Of 0, 1, -1, 2, 3 the zero goes; ranks 1.5, -1.5, 3, 4; sum below zero 1.5.

    Of the 16 choices of signs, the sums at most 1.5 are 0 (once) and 1.5 (twice), so p = 2 * 3 / 16.
    """
    assert signed_ranks([0.0, 1.0, -1.0, 2.0, 3.0]).tolist() == [1.5, -1.5, 3.0, 4.0]
    assert wilcoxon_p([0.0, 1.0, -1.0, 2.0, 3.0]) == 6 / 16


@pytest.mark.parametrize(("n", "smallest"), [(1, 1.0), (2, 0.5), (3, 0.25), (4, 0.125), (5, 0.0625), (6, 0.03125)])
def test_the_smallest_p_of_wilcoxon_is_that_of_one_sided_values(n: int, smallest: float) -> None:
    assert smallest_wilcoxon_p(n) == smallest
    if n > 1:
        assert wilcoxon_p([float(i) for i in range(1, n + 1)]) == smallest


def test_seeds_that_wilcoxon_needs() -> None:
    """2^(1 - n) <= 0.05 from n = 6 on; three comparisons need 3 * 2^(1 - n) <= 0.05, so n = 7."""
    assert [seeds_for_wilcoxon(m) for m in (1, 2, 3, 10)] == [6, 7, 7, 9]


def test_wilcoxon_needs_two_values_and_is_sure_of_nothing_where_all_are_zero() -> None:
    assert wilcoxon_p([1.0]) is None
    assert wilcoxon_p([0.0, 0.0, 0.0]) == 1.0


@given(st.lists(st.floats(-5, 5).filter(lambda x: abs(x) > 1e-6), min_size=2, max_size=25, unique_by=abs))
def test_without_ties_wilcoxon_is_scipys_exact_test(values: list[float]) -> None:
    expected = stats.wilcoxon(np.array(values), method="exact").pvalue
    assert wilcoxon_p(values) == pytest.approx(expected, rel=1e-9)


@given(some)
def test_with_ties_and_zeros_wilcoxon_counts_all_choices_of_signs(values: list[float]) -> None:
    ranks = abs(signed_ranks(values))
    found = signed_ranks(values).sum()
    sums = [
        sum(s * r for s, r in zip(signs, ranks, strict=True)) for signs in itertools.product((-1, 1), repeat=len(ranks))
    ]
    assert wilcoxon_p(values) == pytest.approx(sum(abs(s) >= abs(found) for s in sums) / len(sums))


@given(some)
def test_p_values_do_not_know_the_sign_or_the_order(values: list[float]) -> None:
    other = [-v for v in reversed(values)]
    assert wilcoxon_p(other) == wilcoxon_p(values)
    first, second = paired_t_p(values), paired_t_p(other)
    assert (first is None) == (second is None)
    if first is not None:
        assert second == pytest.approx(first)


def test_holm_by_hand() -> None:
    """Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1 are 0.02, 0.03, 0.06, 0.04; the last is held up to 0.06."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_missing_p_counts_in_the_family() -> None:
    assert holm([0.01, None, 0.02]) == pytest.approx([0.03, None, 0.04])


@given(p_values)
def test_holm_is_never_smaller_never_beyond_one_and_keeps_the_order(values: list[float]) -> None:
    corrected = [p for p in holm(values) if p is not None]
    assert len(corrected) == len(values)
    assert all(p <= c <= 1 for p, c in zip(values, corrected, strict=True))
    assert all(c <= d for (p, c), (q, d) in itertools.product(zip(values, corrected, strict=True), repeat=2) if p < q)


@given(p_values, st.floats(0.001, 0.2))
def test_holm_rejects_what_the_step_down_rejects(values: list[float], level: float) -> None:
    """Holm's own words: go up the sorted values as long as p <= level / (m - i + 1); reject those passed."""
    ordered = sorted(values)
    passed = list(itertools.takewhile(lambda ip: ip[1] * (len(values) - ip[0]) <= level, enumerate(ordered)))
    assert sum(p is not None and p <= level for p in holm(values)) == len(passed)
