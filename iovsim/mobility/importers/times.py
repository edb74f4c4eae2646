"""Times in the words of a file (numbers of some unit, or ISO 8601) become whole milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa

from iovsim.domain import IntArray
from iovsim.errors import TraceError

TimeUnit = Literal["auto", "s", "ms", "us", "ns", "iso"]

MISSING_MS = np.iinfo(np.int64).min
"""Stands for a time that a file leaves empty."""

PER_MS = {"s": 1e-3, "ms": 1.0, "us": 1e3, "ns": 1e6}
ABSOLUTE_MS = 100_000_000_000
"""Milliseconds since 1970 from here on are times of the calendar (3 March 1973); below, seconds of somebody's clock."""
LAST_MS = 4_102_444_800_000
"""The year 2100: later times are taken for a wrong unit."""
ZONED = r"(?:[zZ]|[+-]\d\d(?::?\d\d)?)$"


def zone(timezone: str) -> ZoneInfo:
    """A time zone by its name. Raises `TraceError` for a name that is none."""
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise TraceError(f"time zone {timezone!r}: no such zone; write for example UTC or Europe/Luxembourg.") from None


def unit_of(values: pa.Array, where: str) -> TimeUnit:
    """What a file's first times are: ISO 8601 where they are no numbers, else the unit that puts them before 2100.

    Numbers that no unit fits (as seconds after 2100, as milliseconds before 1973) raise `TraceError`.
    """
    try:
        numbers = _numbers(values)
    except pa.ArrowInvalid:
        return "iso"
    largest = float(np.nanmax(np.abs(numbers), initial=0.0))
    for unit in ("s", "ms", "us", "ns"):
        if largest / PER_MS[unit] <= LAST_MS:
            if unit != "s" and largest / PER_MS[unit] < ABSOLUTE_MS:
                break
            return unit
    raise TraceError(f"{where}: time {largest:g} fits no unit; say which it is: s, ms, us, ns or iso (--time-unit).")


def to_ms(values: pa.Array, unit: TimeUnit, timezone: str, where: str) -> IntArray:
    """Times (texts) in milliseconds since 1970, or since whatever the file counts from; empty ones are `MISSING_MS`.

    ISO 8601 without a zone is a time of `timezone`; when clocks go back, the hour that is there twice is the first.
    Raises `TraceError` for texts of another form, and for numbers whose unit must be another.
    """
    if unit == "iso":
        return _iso_ms(values, timezone, where)
    try:
        numbers = _numbers(values)
    except pa.ArrowInvalid as error:
        raise TraceError(
            f"{where}: a time is no number of {unit} ({error}); write --time-unit iso for dates."
        ) from None
    known = np.isfinite(numbers)
    time_ms = np.full(len(numbers), MISSING_MS)
    time_ms[known] = np.rint(numbers[known] / PER_MS[unit]).astype(np.int64)
    late = time_ms > LAST_MS
    early = unit != "s" and known & (numbers > 1e9) & (numbers / PER_MS[unit] < ABSOLUTE_MS / 20)
    if late.any() or np.any(early):
        odd = numbers[np.argmax(late if late.any() else early)]
        when = "after 2100" if late.any() else "early in 1970"
        raise TraceError(
            f"{where}: time {odd:.0f} is not in {unit}, that would be {when}; correct --time-unit: s, ms, us, ns, iso."
        )
    return time_ms


def moment_ms(text: str, timezone: str) -> int:
    """One ISO 8601 time in milliseconds since 1970. Raises `TraceError` where it is none."""
    return int(_iso_ms(pa.array([text]), timezone, "time")[0])


def midnight_ms(time_ms: int, timezone: str) -> int:
    """The beginning of the day, in a zone, that holds a time."""
    day = datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone(timezone))
    return round(day.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000)


def clock_text(time_ms: int, timezone: str) -> str:
    """A time of the calendar in ISO 8601."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone(timezone)).isoformat(timespec="seconds")


def _numbers(values: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    numbers: np.ndarray[tuple[int], np.dtype[np.float64]] = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return numbers


def _iso_ms(values: pa.Array, timezone: str, where: str) -> IntArray:
    import pandas as pd  # takes long to import, and most commands need none

    texts = pd.Series(values.to_pylist(), dtype="str")
    try:
        times = pd.to_datetime(texts, format="ISO8601", utc=True)
    except ValueError as error:
        reason = str(error).splitlines()[0].split(". You might")[0]
        raise TraceError(
            f"{where}: a time is not ISO 8601 ({reason}); write 2008-05-19T08:00:00, with or without a zone, or "
            f"seconds since 1970."
        ) from None
    naive = ~texts.str.contains(ZONED, regex=True).fillna(False).to_numpy(dtype=bool)
    there = times[naive].dt.tz_localize(None)
    local = there.dt.tz_localize(zone(timezone), ambiguous=np.ones(len(there), dtype=bool), nonexistent="shift_forward")
    times[naive] = local.dt.tz_convert("UTC")
    missing = times.isna().to_numpy()
    time_ms = times.dt.tz_localize(None).to_numpy(dtype="datetime64[ms]").astype(np.int64)
    return np.where(missing, MISSING_MS, time_ms)
