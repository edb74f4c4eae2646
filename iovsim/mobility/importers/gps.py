"""Tracks of points from receivers become samples: read, spilled by vehicle, cleaned, matched to a net, resampled.

Files may be sorted by time, by vehicle or not at all, and larger than memory. What is held at once: the names of the
vehicles, one part of them (`PART_BYTES` of a file, or a 200th of it where that is more; a single vehicle is never
split), and one batch of samples. On disk, beside the output: 36 bytes a point and 65 a move, until the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from iovsim.errors import TraceError
from iovsim.files import scratch
from iovsim.mobility.importers.cleaning import Box, Cleaning, joined, pieces, reach, within
from iovsim.mobility.importers.gather import Gathered, files_of, gather, unheard
from iovsim.mobility.importers.matching import Matcher, Matching
from iovsim.mobility.importers.plausible import check_metres
from iovsim.mobility.importers.records import Records
from iovsim.mobility.importers.segments import resampled
from iovsim.mobility.importers.spill import MOST_FILES, spill, spilled
from iovsim.mobility.importers.times import ABSOLUTE_MS, TimeUnit, clock_text, midnight_ms, moment_ms
from iovsim.mobility.planes import Plane, net_plane, utm_plane
from iovsim.mobility.samples import Repairs, Samples

PART_BYTES = 32 << 20
PACKED = 6
"""How many times larger tracks are unpacked than as gzip (ours; San Francisco's taxis: 5)."""
WRONG_SHARE = 0.5
"""Above this share of impossible moves, or of swapped points, not the receiver is wrong, but how the file is read."""
SLOWEST_MPS = 0.03
"""If 95 % of all moves are slower, milliseconds were read as seconds (ours; 30 m/s would look like this)."""

METRES_ADVICE = "Map them as lat and lon: --map-columns lat=...,lon=..., or say that times are in ms: --time-unit ms."


@dataclass(frozen=True, slots=True)
class GpsOptions:
    """How a file of tracks is to be understood.

    `columns`: role to column, see `columns.USUAL`. `timezone`: of times without one, and of the day that times count
    from: time 0 is the midnight before the first point, where times are of the calendar. `begin, end`: ISO 8601, or
    seconds after time 0. `net`: take the plane of this SUMO net. `matching`: and move the vehicles onto its roads.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    time_unit: TimeUnit = "auto"
    timezone: str = "UTC"
    begin: str | None = None
    end: str | None = None
    step_s: float = 1.0
    net: Path | None = None
    matching: Matching | None = None
    cleaning: Cleaning = field(default_factory=Cleaning)


def read_gps(
    path: Path,
    repairs: Repairs,
    options: GpsOptions,
    *,
    work: Path,
    told: Callable[[str], None] | None = None,
    laid: Callable[[Plane], None] | None = None,
) -> Iterator[Samples]:
    """Yield the samples of a file, or of all files of a folder, at the multiples of `step_s`.

    `work` is a folder for what is spilled; `told` hears what was decided: columns, plane, time 0; `laid` gets the plane
    that degrees become metres of. Nothing is yielded before all points are read and cleaned.

    Raises `TraceError` for files and columns that cannot be what they are taken for, and where nothing is left.
    """
    told = told or unheard
    step_ms = round(options.step_s * 1000)
    if step_ms <= 0:
        raise TraceError(f"step {options.step_s:g} s: must be at least 0.001 s.")
    with scratch(work) as folder:
        gathered = Gathered()
        files = files_of(path)
        size = sum(file.stat().st_size * (PACKED if file.suffix == ".gz" else 1) for file in files)
        parts = min(max(1, -(-size // PART_BYTES)), MOST_FILES)
        points = gather(files, options.columns, options.time_unit, options.timezone, gathered, repairs, told)
        paths = spill(points, parts, folder)
        if not gathered.names:
            raise TraceError(f"{path}: holds no point with a time and a place ({repairs}).")
        zero_ms = _zero_ms(gathered, options, told)
        begin_ms, end_ms = (
            None if text is None else _cut_ms(text, zero_ms, options.timezone) for text in (options.begin, options.end)
        )
        if begin_ms is not None and end_ms is not None and not begin_ms < end_ms:
            raise TraceError(f"{path}: begin {options.begin} is not before end {options.end}.")
        plane, box = _frame(gathered, options)
        if plane is not None:
            told(f"plane: {plane}")
            if laid is not None:
                laid(plane)
        segments = _segments(spilled(paths), gathered, zero_ms, repairs, options, str(path), told, plane, box)
        empty = True
        for samples in resampled(
            segments, gathered.names, step_ms=step_ms, begin_ms=begin_ms, end_ms=end_ms, folder=folder
        ):
            empty = False
            yield samples
        if empty:
            raise TraceError(
                f"{path}: no vehicle is left to sample ({repairs}); widen begin, end, box or gap, or "
                f"correct the columns or the unit of time."
            )


def _zero_ms(gathered: Gathered, options: GpsOptions, told: Callable[[str], None]) -> int:
    """The time that becomes 0: midnight before the first point (or before `begin`), for times of the calendar."""
    first_ms = gathered.first_ms or 0
    if first_ms < ABSOLUTE_MS:
        return 0
    if options.begin is not None and not _is_number(options.begin):
        first_ms = moment_ms(options.begin, options.timezone)
    zero_ms = midnight_ms(first_ms, options.timezone)
    told(f"time 0: {clock_text(zero_ms, options.timezone)}")
    return zero_ms


def _cut_ms(text: str, zero_ms: int, timezone: str) -> int:
    return round(float(text) * 1000) if _is_number(text) else moment_ms(text, timezone) - zero_ms


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _segments(
    parts: Iterator[Records],
    gathered: Gathered,
    zero_ms: int,
    repairs: Repairs,
    options: GpsOptions,
    where: str,
    told: Callable[[str], None],
    plane: Plane | None,
    box: Box | None,
) -> Iterator[Records]:
    """The ways of each part's vehicles. After the last, what is wrong with the whole raises `TraceError`."""
    matcher = Matcher(options.net, options.matching) if options.net and options.matching else None
    judged, points_read, moves, slow = plane is not None, 0, 0, 0
    for points in parts:
        points_read += len(points)
        points["time_ms"] -= zero_ms
        if box is not None:
            points = within(points, box, plane is not None, repairs)
        if plane is not None:
            points["x"], points["y"] = plane.metres(points["x"], points["y"])
        if not judged:
            time_s = points["time_ms"] / 1000.0
            judged = check_metres(time_s, points["vehicle"], points["x"], points["y"], where, METRES_ADVICE)
        clean, number = pieces(points, options.cleaning, repairs)
        segments = joined(*((clean, number) if matcher is None else matcher.match(clean, number, repairs)))
        moving = segments["speed0_mps"] > 0
        moves += int(moving.sum())
        slow += int((moving & (segments["speed0_mps"] < SLOWEST_MPS)).sum())
        yield segments
    told(f"points: {points_read} of {len(gathered.names)} vehicles")
    if matcher is not None:
        told(str(matcher))
    _check_whole(points_read, moves, slow, repairs, options, where)


def _frame(gathered: Gathered, options: GpsOptions) -> tuple[Plane | None, Box | None]:
    """The plane for degrees (None: points are metres already), and the box that points must lie in."""
    if not gathered.degrees:
        return None, options.cleaning.box
    lon, lat = gathered.middle()
    plane = net_plane(options.net) if options.net else utm_plane(lon, lat)
    return plane, options.cleaning.box or reach(lon, lat, options.cleaning.reach_m)


def _check_whole(points: int, moves: int, slow: int, repairs: Repairs, options: GpsOptions, where: str) -> None:
    if repairs.counts["swapped points"] > WRONG_SHARE * points:
        raise TraceError(f"{where}: most points have longitude and latitude swapped; exchange them in --map-columns.")
    if repairs.counts["spikes"] + repairs.counts["jumps"] > WRONG_SHARE * points:
        raise TraceError(
            f"{where}: most moves are faster than {options.cleaning.max_speed_mps:g} m/s ({repairs}); the unit of time "
            f"(--time-unit), the columns of the place, or the vehicle's column are not what they are taken for."
        )
    if options.time_unit == "auto" and moves and slow > 0.95 * moves:
        raise TraceError(
            f"{where}: nearly all moves are slower than {SLOWEST_MPS:g} m/s; times look like milliseconds that are "
            f"read as seconds. Say which they are: --time-unit ms, or s."
        )
