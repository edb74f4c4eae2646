"""Intervals against hand-computed values with quantiles from a printed table, and text without false precision."""

from __future__ import annotations

import math

import pytest

from iovsim.results.intervals import Interval, interval, rounded

# t(0.975, n - 1) as printed in NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.6.7.2.
PRINTED_T = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 11: 2.228}


@pytest.mark.parametrize(("n", "quantile"), PRINTED_T.items())
def test_the_half_width_is_the_printed_quantile_times_the_standard_error(n: int, quantile: float) -> None:
    """0, 1, ..., n - 1 has mean (n - 1) / 2 and sample variance n (n + 1) / 12."""
    found = interval([float(i) for i in range(n)])
    assert found is not None
    assert (found.n, found.mean) == (n, (n - 1) / 2)
    assert found.half == pytest.approx(quantile * math.sqrt(n * (n + 1) / 12 / n), rel=2e-4)


def test_one_value_has_no_interval_and_none_has_no_mean() -> None:
    assert interval([3.5]) == Interval(1, 3.5, None)
    assert interval([]) is None


def test_equal_values_have_an_interval_of_exactly_no_width() -> None:
    assert interval([0.1, 0.1, 0.1]) == Interval(3, 0.1, 0.0)


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [
        (Interval(3, 0.812345, 0.034567), False, "0.812 ± 0.035"),
        (Interval(3, 0.812345, 0.0996), False, "0.81 ± 0.10"),
        (Interval(3, 123456.7, 2345.6), False, "123500 ± 2300"),
        (Interval(3, 0.05, 0.1), True, "+0.05 ± 0.10"),
        (Interval(3, -12.34, 5.6), True, "-12.3 ± 5.6"),
        (Interval(3, -12.0, 2100.0), True, "+0 ± 2100"),
        (Interval(2, 0.812345, 0.0996), False, "0.81 ± 0.10 (n = 2)"),
        (Interval(1, 0.812345, None), False, "0.812 (n = 1)"),
        (Interval(1, 0.0, None), False, "0 (n = 1)"),
        (Interval(3, 12.0, 0.0), False, "12.0 ± 0.0"),
        (None, False, "none"),
    ],
)
def test_text_has_two_digits_of_uncertainty_and_the_count_where_seeds_are_lacking(
    value: Interval | None, signed: bool, text: str
) -> None:
    assert rounded(value, 3, signed) == text


def test_of_a_single_seed_the_text_does_not_speak_each_time() -> None:
    assert rounded(Interval(1, 0.812345, None), 1) == "0.812"
