"""Bootstrap intervals: exactly mirrored, blind to order, within the values, and near those worked out by formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri

from iovsim.results.resampling import FEWEST, RESAMPLES, bootstrap_interval, resamples

values = st.lists(st.integers(-20, 20).map(float), min_size=FEWEST, max_size=9)


def test_bca_by_its_formulas_over_all_resamples_of_five_values() -> None:
    """All 5^5 resamples in place of drawn ones; quantiles moved by bias and acceleration (Efron and Tibshirani 14.9).

    0, 0, 1, 2, 7: acceleration sum((m - m_i)^3) / (6 sum((m - m_i)^2)^1.5) with the means m_i without the i-th.
    """
    data = np.array([0.0, 0.0, 1.0, 2.0, 7.0])
    means = np.sort(data[np.stack(np.meshgrid(*[range(5)] * 5)).reshape(5, -1)].mean(axis=0))
    bias = ndtri(((means < 2.0).mean() + (means <= 2.0).mean()) / 2)
    jack = (data.sum() - data) / 4
    spread = jack.mean() - jack
    acceleration = (spread**3).sum() / (6 * (spread**2).sum() ** 1.5)
    expected = [np.quantile(means, ndtr(bias + (bias + z) / (1 - acceleration * (bias + z)))) for z in (-1.96, 1.96)]
    assert bootstrap_interval(data.tolist(), "test") == pytest.approx(expected, abs=0.25)


@settings(max_examples=25, deadline=None)
@given(values, st.randoms(use_true_random=False))
def test_it_is_exactly_mirrored_and_blind_to_order(found: list[float], shuffler: object) -> None:
    interval = bootstrap_interval(found, "a")
    assert interval is not None
    mirrored = [-v for v in found]
    shuffler.shuffle(mirrored)  # type: ignore[attr-defined]
    assert bootstrap_interval(mirrored, "a") == (-interval[1], -interval[0])
    assert min(found) <= interval[0] <= interval[1] <= max(found)


def test_names_choose_the_stream_and_the_same_names_repeat_it() -> None:
    data = [0.112, 0.731, 0.345, 0.987, 0.2618, 0.5777, 0.404]
    assert bootstrap_interval(data, "a") == bootstrap_interval(data, "a")
    assert bootstrap_interval(data, "a") != bootstrap_interval(data, "b")


def test_too_few_values_have_none_and_equal_ones_no_width() -> None:
    assert bootstrap_interval([1.0, 2.0, 3.0, 4.0]) is None
    assert bootstrap_interval([3.0] * 5) == (3.0, 3.0)


def test_resamples_draw_every_seed_equally_often() -> None:
    drawn = resamples(4, "a")
    assert drawn.shape == (RESAMPLES, 4)
    assert np.bincount(drawn.ravel()) / drawn.size == pytest.approx([0.25] * 4, abs=0.01)
