"""Times of all kinds, in milliseconds; and what is said of a unit that cannot be."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iovsim.errors import TraceError
from iovsim.mobility.importers.times import MISSING_MS, TimeUnit, clock_text, midnight_ms, moment_ms, to_ms, unit_of

TAXI_S = 1_211_200_841  # 2008-05-19T12:40:41Z


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        (["1211200841"], "s"),
        (["0.0", "12.5", None], "s"),
        ([], "s"),
        (["1211200841000"], "ms"),
        (["1211200841000000"], "us"),
        (["1211200841000000000"], "ns"),
        (["2008-05-19 12:40:41"], "iso"),
    ],
)
def test_the_unit_is_told_by_size(values: list[str | None], unit: TimeUnit) -> None:
    assert unit_of(pa.array(values, pa.string()), "f") == unit
    for found, value in zip(to_ms(pa.array(values, pa.string()), unit, "UTC", "f"), values, strict=True):
        if value is None:
            assert found == MISSING_MS
        elif float(value[:4]) > 1000:
            assert found == TAXI_S * 1000


@given(st.datetimes(datetime(1980, 1, 1), datetime(2090, 1, 1)), st.sampled_from(["", "Z", "+00:00", "+0000"]))
def test_dates_are_what_python_takes_them_for(moment: datetime, zone: str) -> None:
    text = moment.isoformat(timespec="milliseconds") + zone
    expected = round(moment.replace(tzinfo=UTC, microsecond=moment.microsecond // 1000 * 1000).timestamp() * 1000)
    assert to_ms(pa.array([text, None]), "iso", "UTC", "f").tolist() == [expected, MISSING_MS]


def test_naive_times_are_of_the_zone_and_others_keep_theirs() -> None:
    values = pa.array(["2014-07-01 12:00:00", "2014-07-01T12:00:00Z", "2014-07-01T12:00:00+02:00"])
    noon = moment_ms("2014-07-01T12:00:00Z", "UTC")
    hour_ms = 3_600_000
    found = to_ms(values, "iso", "America/Los_Angeles", "f")
    assert (found - noon).tolist() == [7 * hour_ms, 0, -2 * hour_ms]


def test_hours_that_are_there_twice_or_never() -> None:
    """Clocks went back on 2 November 2014 at 02:00 and forward on 9 March 2014 at 02:00, Pacific time."""
    zone = "America/Los_Angeles"
    assert moment_ms("2014-11-02T01:30:00", zone) == moment_ms("2014-11-02T08:30:00Z", "UTC")
    assert moment_ms("2014-03-09T02:30:00", zone) == moment_ms("2014-03-09T10:00:00Z", "UTC")


def test_midnight_is_that_of_the_zone() -> None:
    zone = "America/Los_Angeles"
    assert clock_text(midnight_ms(TAXI_S * 1000, zone), zone) == "2008-05-19T00:00:00-07:00"
    assert clock_text(midnight_ms(TAXI_S * 1000, "Asia/Tokyo"), "Asia/Tokyo") == "2008-05-19T00:00:00+09:00"


@pytest.mark.parametrize(
    ("value", "unit", "match"),
    [
        ("1211200841000", "s", "not in s, that would be after 2100"),
        ("1211200841", "ms", "not in ms, that would be early in 1970"),
        ("noon", "s", "a time is no number of s .*'noon'"),
        ("19.05.2008 08:00", "iso", r"not ISO 8601 .*19\.05\.2008 08:00"),
    ],
)
def test_a_wrong_unit(value: str, unit: TimeUnit, match: str) -> None:
    with pytest.raises(TraceError, match=rf"^f: .*{match}"):
        to_ms(pa.array([value]), unit, "UTC", "f")


def test_a_number_that_fits_no_unit() -> None:
    with pytest.raises(TraceError, match=r"f: time 5e\+09 fits no unit; say which"):
        unit_of(pa.array(["5e9"]), "f")


def test_an_unknown_zone() -> None:
    with pytest.raises(TraceError, match="time zone 'Mars/Olympus': no such zone"):
        moment_ms("2014-01-01", "Mars/Olympus")
