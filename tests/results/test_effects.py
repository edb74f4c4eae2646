"""Effect sizes and numbers of seeds against hand-computed figures, and what must hold of them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iovsim.results.effects import cohens_d_z, hedges_correction, hedges_g_z, rank_biserial
from iovsim.results.intervals import half_width, interval
from iovsim.results.planning import MOST_SEEDS, seeds_more, seeds_needed

some = st.lists(st.integers(-50, 50).map(lambda i: i / 10), min_size=2, max_size=12)


def test_effect_sizes_by_hand() -> None:
    """1, 2, 3, 4, 5: mean 3, s = sqrt(2.5); four degrees of freedom: gamma(2) / (sqrt(2) gamma(1.5)) = 0.797885."""
    values = [1.0, 2.0, 3.0, 4.0, 5.0]
    assert cohens_d_z(values) == pytest.approx(3 / math.sqrt(2.5))
    assert hedges_correction(4) == pytest.approx(math.sqrt(2 / math.pi))
    assert hedges_g_z(values) == pytest.approx(3 / math.sqrt(2.5) * 0.7978845608)
    assert rank_biserial(values) == 1.0


@pytest.mark.parametrize("degrees", [5, 10, 50])
def test_hedges_correction_is_near_his_own_approximation(degrees: int) -> None:
    assert hedges_correction(degrees) == pytest.approx(1 - 3 / (4 * degrees - 1), abs=0.004)


def test_the_rank_biserial_correlation_by_hand() -> None:
    """0, 1, -1, 2, 3 have ranks 1.5, -1.5, 3, 4: (8.5 - 1.5) / 10."""
    assert rank_biserial([0.0, 1.0, -1.0, 2.0, 3.0]) == pytest.approx(0.7)


def test_what_cannot_be_had_of_few_or_equal_values_is_none() -> None:
    assert (cohens_d_z([1.0]), hedges_g_z([1.0]), seeds_more([1.0])) == (None, None, None)
    assert cohens_d_z([1.0, 2.0]) == pytest.approx(1.5 / math.sqrt(0.5))
    assert hedges_g_z([1.0, 2.0]) is None
    assert (cohens_d_z([2.0, 2.0]), hedges_g_z([2.0, 2.0, 2.0])) == (None, None)
    assert (rank_biserial([0.0, 0.0]), seeds_more([0.0, 0.0]), seeds_more([-1.0, 1.0])) == (None, None, None)


@given(some)
def test_effects_change_sign_with_the_differences_and_shrink_by_the_correction(values: list[float]) -> None:
    mirrored = [-v for v in values]
    for effect in (cohens_d_z, hedges_g_z, rank_biserial):
        one, other = effect(values), effect(mirrored)
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert other == pytest.approx(-one, abs=1e-12)
    d_z, g_z, r = cohens_d_z(values), hedges_g_z(values), rank_biserial(values)
    if d_z is not None and g_z is not None:
        assert abs(g_z) <= abs(d_z)
    assert r is None or -1 <= r <= 1


def test_seeds_needed_by_printed_quantiles() -> None:
    """s = 1, wished 1: t(0.975, 5) / sqrt(6) = 2.571 / 2.449 = 1.05, t(0.975, 6) / sqrt(7) = 2.447 / 2.646 = 0.925."""
    assert seeds_needed(1.0, 1.0) == 7
    assert seeds_more([-1.0, 0.0, 1.0], wished=1.0) == 4
    assert seeds_more([-1.0, 0.0, 1.0], wished=3.0) == 0


def test_seeds_needed_with_many_seeds_tend_to_those_of_a_normal_distribution() -> None:
    assert seeds_needed(1.0, 0.01) == pytest.approx((1.959964 / 0.01) ** 2, rel=1e-3)
    assert seeds_needed(1.0, 1e-4) is None
    assert seeds_needed(0.0, 1e-4) == 2
    assert half_width(1.0, MOST_SEEDS) == pytest.approx(0.00196, abs=1e-5)


@given(st.floats(0.01, 100), st.floats(0.05, 100))
def test_the_seeds_needed_are_enough_and_one_less_is_not(deviation: float, wished: float) -> None:
    needed = seeds_needed(deviation, wished)
    if needed is None:
        assert half_width(deviation, MOST_SEEDS) > wished
    else:
        assert half_width(deviation, needed) <= wished
        assert needed == 2 or half_width(deviation, needed - 1) > wished


@given(some)
def test_no_more_seeds_are_needed_where_the_interval_leaves_out_zero_already(values: list[float]) -> None:
    found, more = interval(values), seeds_more(values)
    assert found is not None
    assert found.half is not None
    if abs(found.mean) > found.half:
        assert more == 0
    elif abs(found.mean) < found.half:
        assert more is None or more > 0
