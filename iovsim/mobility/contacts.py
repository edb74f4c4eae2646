"""Turns a trace and a set of RSUs into the table of contacts, in one streaming pass over the trace."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from iovsim.arrays import SAMPLES
from iovsim.domain import Rsu
from iovsim.errors import ScenarioError
from iovsim.files import explained
from iovsim.mobility.attachment import Attachment
from iovsim.mobility.contact_log import ContactLog, columns
from iovsim.mobility.contact_pass import Pass
from iovsim.mobility.contact_table import ContactTable, save_columns
from iovsim.mobility.contact_tracks import TrackFile
from iovsim.mobility.trace import Trace

__all__ = ["ContactTable", "extract"]

USUAL_MPS = 50.0
"""Vehicles that are faster cost more to follow, and are followed as exactly."""


def extract(
    trace: Trace,
    rsus: Sequence[Rsu],
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    hysteresis_m: float = 0.0,
    progress: Callable[[float], None] | None = None,
    folder: Path | None = None,
) -> ContactTable:
    """All contacts within `[start_s, end_s]` (None: the trace's own limits), at most one RSU a vehicle at a time.

    Vehicles move in straight lines between samples; distances are horizontal; `attachment` states who is attached to
    whom and solves every crossing exactly. A vehicle without a row at the trace's next step, or with one farther away
    than `trace.jump_m`, has vanished at its last sample; what is open at the end gets `HORIZON`. A track holds the
    entry point, each trace step inside and the exit point, with the velocity of the last trace sample at or before it.

    With `folder` the table is written there while it is made, and mapped: memory then does not grow with the tracks.

    Raises `ScenarioError` for RSUs without a range or with equal names, a negative hysteresis, an empty time span,
    and `TraceError` for a broken trace. `progress` is told the fraction done.
    """
    rsus = sorted(rsus, key=lambda rsu: rsu.rsu)
    begin_s = trace.begin_s if start_s is None else max(start_s, trace.begin_s)
    stop_s = trace.end_s if end_s is None else min(end_s, trace.end_s)
    _check(trace, rsus, hysteresis_m, begin_s, stop_s)
    with _track_file(folder) as file:
        tracks = TrackFile(file)
        log, names = ContactLog(), tuple[str, ...]()
        if rsus:
            attachment = Attachment(rsus, hysteresis_m, USUAL_MPS * trace.step_s)
            pass_ = Pass(attachment, begin_s, stop_s, trace.step_s, trace.jump_m)
            log, names = pass_.log, _follow(trace, pass_, tracks, progress)
        if folder is None:
            (whole,) = columns(log, tracks, rsus, names, sys.maxsize)
            return ContactTable(whole)
        save_columns(folder, columns(log, tracks, rsus, names, SAMPLES))
    return ContactTable.load(folder)


@contextmanager
def _track_file(folder: Path | None) -> Iterator[IO[bytes]]:
    """A file without a name on the disk of `folder`, or in memory. Raises `ResultsError` where it cannot be written."""
    if folder is None:
        yield BytesIO()
        return
    with explained(folder, "write"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder.parent) as file:
            yield file


def _follow(trace: Trace, pass_: Pass, tracks: TrackFile, progress: Callable[[float], None] | None) -> tuple[str, ...]:
    """Takes the trace through a pass; tracks go into their file. Returns the vehicles' names by code."""
    names: Sequence[str] = ()
    begin_s, stop_s = pass_.begin_s, pass_.stop_s
    for block in trace.blocks(begin_s - trace.step_s, stop_s + trace.step_s):
        names = block.names
        pass_.block(block)
        tracks.take(pass_.log.track)
        pass_.log.track.clear()
        if progress is not None:
            progress(min(1.0, max(0.0, (float(block.time_s.max()) - begin_s) / (stop_s - begin_s))))
    pass_.finish()
    if progress is not None:
        progress(1.0)
    return tuple(names)


def _check(trace: Trace, rsus: Sequence[Rsu], hysteresis_m: float, begin_s: float, stop_s: float) -> None:
    for before, rsu in zip([None, *rsus], rsus, strict=False):
        if before is not None and before.rsu == rsu.rsu:
            raise ScenarioError(f"RSU {rsu.rsu!r} is named twice; each RSU needs a name of its own.")
        if not rsu.range_m > 0:
            raise ScenarioError(f"RSU {rsu.rsu!r}: range_m is {rsu.range_m}; it must be above 0.")
    if not hysteresis_m >= 0:
        raise ScenarioError(f"hysteresis_m is {hysteresis_m}; it must be 0 or more.")
    if not begin_s < stop_s:
        raise ScenarioError(
            f"{trace.path}: the trace covers {trace.begin_s:g} s to {trace.end_s:g} s; none of it lies within the "
            f"simulated time. Set start and end to overlap it."
        )
