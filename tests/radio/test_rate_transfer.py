"""Rates against hand-made link budgets; transfers against the properties of an integral and its inverse."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from iovsim.domain import FloatArray
from iovsim.radio import rate_bps, transfer, transfer_s
from iovsim.units import noise_w_per_hz

PROPERTY = settings(derandomize=True, max_examples=200, deadline=None)


def test_link_budget_by_hand() -> None:
    # 23 dBm over 20 MHz, 111.4 dB loss, 6 dBi: -82.4 dBm; noise -174 + 73.01 + 5 = -95.99 dBm: SNR 13.59 dB = 22.86
    rate = rate_bps(10 ** (-10.54), 20e6, 10 ** (-0.7), noise_w_per_hz(5.0), 0.75, 7.4)
    assert rate == pytest.approx(0.75 * 20e6 * math.log2(1 + 22.86), rel=2e-3)


def test_the_highest_modulation_caps_the_rate() -> None:
    assert rate_bps(1e-5, 20e6, 1.0, 1e-20, 0.75, 7.4) == pytest.approx(0.75 * 20e6 * 7.4)


def test_arrays_and_numbers_agree_and_no_bandwidth_carries_nothing() -> None:
    gain = np.array([1e-13, 1e-11, 1e-9])
    one_by_one = [rate_bps(float(g), 2e6, 0.2, 1.3e-20, 0.75, 7.4) for g in gain]
    assert rate_bps(gain, 2e6, 0.2, 1.3e-20, 0.75, 7.4) == pytest.approx(one_by_one)
    assert rate_bps(gain, 0.0, 0.2, 1.3e-20, 0.75, 7.4).tolist() == [0.0, 0.0, 0.0]
    assert rate_bps(1e-9, 0.0, 0.2, 1.3e-20, 0.75, 7.4) == 0.0


def test_half_the_band_at_half_the_power_carries_half() -> None:
    whole, half = (rate_bps(1e-11, part * 20e6, part * 0.2, 1.3e-20, 0.75, 7.4) for part in (1.0, 0.5))
    assert half == pytest.approx(whole / 2)


@st.composite
def tracks(draw: st.DrawFn, least_bps: float = 0.0) -> tuple[FloatArray, FloatArray]:
    gaps = draw(st.lists(st.floats(0.1, 10.0), min_size=1, max_size=12))
    rates = st.one_of(st.just(least_bps), st.floats(max(least_bps, 1e3), 1e8))
    start = draw(st.floats(0.0, 1000.0))
    time_s = start + np.concatenate([[0.0], np.cumsum(gaps)])
    return time_s, np.array(draw(st.lists(rates, min_size=len(gaps) + 1, max_size=len(gaps) + 1)))


TIME, RATE = np.array([10.0, 11.0, 13.0]), np.array([100.0, 200.0, 0.0])  # carries 150, then 200


def test_piecewise_by_hand() -> None:
    # half way up the ramp at 10.5: 100 * 0.5 + 50 * 0.25 = 62.5
    assert transfer(TIME, RATE, 10.0, 62.5, 99.0).end_s == pytest.approx(10.5)
    assert transfer(TIME, RATE, 10.0, 150.0, 99.0).end_s == pytest.approx(11.0)
    # a quarter of the triangle is left after half of its base
    assert transfer(TIME, RATE, 11.0, 150.0, 99.0).end_s == pytest.approx(12.0)
    assert transfer(TIME, RATE, 10.5, 87.5, 99.0).end_s == pytest.approx(11.0)


def test_the_rate_is_zero_outside_of_the_samples() -> None:
    early = transfer(TIME, RATE, 2.0, 62.5, 99.0)
    assert (early.start_s, early.end_s) == pytest.approx((2.0, 10.5))
    assert early.completed
    late = transfer(TIME, RATE, 14.0, 1.0, 20.0)
    assert (late.end_s, late.bits, late.completed) == (20.0, 0.0, False)
    over = transfer(TIME, RATE, 10.0, 351.0, 20.0)
    assert (over.end_s, over.bits) == pytest.approx((20.0, 350.0))
    assert not over.completed


def test_the_limit_cuts_and_what_was_carried_counts() -> None:
    cut = transfer(TIME, RATE, 10.0, 300.0, 10.5)
    assert (cut.end_s, cut.bits) == pytest.approx((10.5, 62.5))
    assert not cut.completed
    assert cut.duration_s == pytest.approx(0.5)
    past = transfer(TIME, RATE, 12.0, 300.0, 11.0)
    assert (past.end_s, past.bits, past.completed) == (12.0, 0.0, False)


def test_nothing_to_send_ends_at_once() -> None:
    done = transfer(TIME, RATE, 5.0, 0.0, 1.0)
    assert (done.start_s, done.end_s, done.bits, done.completed) == (5.0, 5.0, 0.0, True)
    with pytest.raises(ValueError, match=r"cannot send -1\.0 bits"):
        transfer(TIME, RATE, 5.0, -1.0, 9.0)
    with pytest.raises(ValueError, match="cannot send nan bits"):
        transfer(TIME, RATE, 5.0, math.nan, 9.0)


@PROPERTY
@given(st.floats(1e3, 1e8), st.floats(1.0, 1e9), st.floats(0.0, 5.0))
def test_a_constant_rate_takes_bits_over_rate(rate: float, bits: float, start_s: float) -> None:
    time_s = np.array([0.0, 3.0, 1e7])
    done = transfer(time_s, np.full(3, rate), start_s, bits, 1e7)
    assert done.completed
    assert done.duration_s == pytest.approx(transfer_s(bits, rate), rel=1e-9, abs=1e-9)


@PROPERTY
@given(tracks(), st.floats(1.0, 1e9), st.floats(0.0, 1e9), st.floats(-5.0, 20.0), st.floats(0.0, 100.0))
def test_more_bits_never_end_earlier_and_never_more_is_carried_than_asked(
    track: tuple[FloatArray, FloatArray], bits: float, more: float, wait_s: float, window_s: float
) -> None:
    time_s, rate = track
    start_s = float(time_s[0]) + wait_s
    less = transfer(time_s, rate, start_s, bits, start_s + window_s)
    all_of_it = transfer(time_s, rate, start_s, bits + more, start_s + window_s)
    assert less.end_s <= all_of_it.end_s + 1e-9
    assert less.bits <= all_of_it.bits * (1 + 1e-12)
    for result, asked in ((less, bits), (all_of_it, bits + more)):
        assert 0.0 <= result.bits <= asked
        assert start_s <= result.end_s <= start_s + window_s
        assert result.completed == (result.bits == asked)


@PROPERTY
@given(tracks(least_bps=1e3), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_two_halves_equal_the_whole(track: tuple[FloatArray, FloatArray], part: float, split: float) -> None:
    time_s, rate = track
    start_s, end_s = float(time_s[0]), float(time_s[-1])
    bits = part * float(np.trapezoid(rate, time_s)) * (1 - 1e-12)
    whole = transfer(time_s, rate, start_s, bits, end_s)
    first = transfer(time_s, rate, start_s, split * bits, end_s)
    second = transfer(time_s, rate, first.end_s, bits - split * bits, end_s)
    assert second.end_s == pytest.approx(whole.end_s, rel=1e-9, abs=1e-9)
    assert first.bits + second.bits == pytest.approx(whole.bits, rel=1e-9, abs=1e-6)


@PROPERTY
@given(tracks(), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_carried_bits_are_the_integral_of_the_rate(
    track: tuple[FloatArray, FloatArray], begin: float, length: float
) -> None:
    time_s, rate = track
    span = float(time_s[-1] - time_s[0])
    start_s = float(time_s[0]) + begin * span
    limit_s = start_s + length * (float(time_s[-1]) - start_s)
    inner = time_s[(time_s > start_s) & (time_s < limit_s)]
    knots = [start_s, *inner.tolist(), limit_s]
    expected = math.fsum(quad(lambda t: float(np.interp(t, time_s, rate)), a, b)[0] for a, b in pairwise(knots))
    cut = transfer(time_s, rate, start_s, 1e12, limit_s)
    assert cut.bits == pytest.approx(expected, rel=1e-9, abs=1e-3)


def test_estimates() -> None:
    assert transfer_s(8e6, 2e6) == 4.0
    assert transfer_s(0.0, 0.0) == 0.0
    assert transfer_s(1.0, 0.0) == math.inf
