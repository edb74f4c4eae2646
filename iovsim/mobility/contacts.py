"""Turns a trace and a set of RSUs into the table of contacts, in one streaming pass over the trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from iovsim.domain import ContactEnd, FloatArray, IntArray, Rsu
from iovsim.errors import ScenarioError
from iovsim.mobility.attachment import FREE, Attachment, Segments
from iovsim.mobility.contact_table import ENDS, SAME_INSTANT_S, ContactColumns, ContactTable
from iovsim.mobility.trace import Trace

__all__ = ["ContactTable", "extract"]

RANGE, HANDOVER, VANISHED, HORIZON = (
    ENDS.index(end) for end in (ContactEnd.RANGE, ContactEnd.HANDOVER, ContactEnd.VANISHED, ContactEnd.HORIZON)
)


def extract(
    trace: Trace,
    rsus: Sequence[Rsu],
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    hysteresis_m: float = 0.0,
    window_s: float = 60.0,
    progress: Callable[[float], None] | None = None,
) -> ContactTable:
    """All contacts within `[start_s, end_s]` (None: the trace's own limits), at most one RSU a vehicle at a time.

    Vehicles move in straight lines between samples; distances are horizontal; `attachment` states who is attached to
    whom and solves every crossing exactly. A vehicle without a row at the trace's next step has vanished at its last
    sample; what is open at the end gets `HORIZON`. A track holds the entry point, each trace step inside and the exit
    point, with the velocity of the last trace sample at or before it. `window_s` bounds memory and changes no bit.

    Raises `ScenarioError` for RSUs without a range or with equal names, a negative hysteresis, an empty time span,
    and `TraceError` for a broken trace. `progress` is told the fraction done.
    """
    rsus = sorted(rsus, key=lambda rsu: rsu.rsu)
    begin_s = trace.begin_s if start_s is None else max(start_s, trace.begin_s)
    stop_s = trace.end_s if end_s is None else min(end_s, trace.end_s)
    _check(trace, rsus, hysteresis_m, begin_s, stop_s)
    pass_ = _Pass(Attachment(rsus, hysteresis_m), begin_s, stop_s, trace.step_s)
    names: tuple[str, ...] = ()
    for window in trace.windows(window_s, begin_s - trace.step_s, stop_s + trace.step_s):
        names = window.names
        pass_.know(len(names))
        for time_s, rows in window.steps():
            pass_.step(
                _Sample(
                    time_s,
                    window.vehicle[rows],
                    window.x_m[rows],
                    window.y_m[rows],
                    window.vx_mps[rows],
                    window.vy_mps[rows],
                )
            )
        if progress is not None:
            progress(min(1.0, max(0.0, (window.end_s - begin_s) / (stop_s - begin_s))))
    pass_.finish()
    if progress is not None:
        progress(1.0)
    return ContactTable(_columns(pass_.log, rsus, names))


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


class _Sample(NamedTuple):
    """All vehicles at one trace step."""

    time_s: float
    vehicle: NDArray[np.int32]
    x_m: FloatArray
    y_m: FloatArray
    vx_mps: FloatArray
    vy_mps: FloatArray


@dataclass(slots=True)
class _Log:
    """What happened, as chunks of arrays in the order of time; contacts are numbered as they open."""

    opened: list[tuple[NDArray[np.int32], IntArray, FloatArray]] = field(default_factory=list)
    closed: list[tuple[IntArray, FloatArray, int]] = field(default_factory=list)
    track: list[tuple[IntArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]] = field(
        default_factory=list
    )
    contacts: int = 0


class _Pass:
    """State of one pass: the last step's sample and, by vehicle code, the RSU and the open contact."""

    def __init__(self, attachment: Attachment, begin_s: float, stop_s: float, step_s: float) -> None:
        self.attachment = attachment
        self.begin_s, self.stop_s, self.step_s = begin_s, stop_s, step_s
        self.log = _Log()
        self.last: _Sample | None = None
        self.rsu = np.zeros(0, dtype=np.int64)
        self.contact = np.zeros(0, dtype=np.int64)
        self.row = np.zeros(0, dtype=np.int64)  # of the vehicle in `last`, else -1

    def know(self, vehicles: int) -> None:
        """Make room for codes below `vehicles`."""
        more = vehicles - len(self.rsu)
        self.rsu = np.append(self.rsu, np.full(more, FREE, dtype=np.int64))
        self.contact = np.append(self.contact, np.full(more, -1, dtype=np.int64))
        self.row = np.append(self.row, np.full(more, -1, dtype=np.int64))

    def step(self, sample: _Sample) -> None:
        """Take the next trace step: vehicles move from the last one to it."""
        last = self.last
        if last is not None:
            here = np.zeros(len(self.rsu), dtype=np.bool_)
            if sample.time_s - last.time_s < 1.5 * self.step_s:
                here[sample.vehicle] = True
            self._close(last.vehicle[~here[last.vehicle]], last.time_s, VANISHED)
            stays = here[sample.vehicle] & (self.row[sample.vehicle] >= 0)
            self._move(last, self.row[sample.vehicle[stays]], sample, np.flatnonzero(stays))
            self.row[last.vehicle] = -1
        self.row[sample.vehicle] = np.arange(len(sample.vehicle))
        self.last = sample

    def finish(self) -> None:
        """Close what is open: at the horizon, or where the last vehicle vanished before it."""
        if self.last is None:
            return
        still_there = self.last.time_s > self.stop_s - 0.5 * self.step_s
        end_s = min(self.last.time_s, self.stop_s)
        self._close(self.last.vehicle, end_s, HORIZON if still_there else VANISHED)

    def _close(self, vehicles: NDArray[np.int32], end_s: float, reason: int) -> None:
        vehicles = vehicles[self.contact[vehicles] >= 0]
        contacts = self.contact[vehicles]
        self.log.closed.append((contacts, np.full(len(contacts), end_s), reason))
        self.rsu[vehicles], self.contact[vehicles] = FREE, -1

    def _move(self, last: _Sample, row0: IntArray, sample: _Sample, row1: IntArray) -> None:
        """Log all changes of attachment between two steps, then the track sample at the second."""
        span_s = sample.time_s - last.time_s
        begin = max(0.0, (self.begin_s - last.time_s) / span_s)
        end = min(1.0, (self.stop_s - last.time_s) / span_s)
        if begin >= end or len(row0) == 0:
            return
        vehicle = sample.vehicle[row1]
        x0_m, y0_m = last.x_m[row0], last.y_m[row0]
        segments = Segments(x0_m, y0_m, sample.x_m[row1] - x0_m, sample.y_m[row1] - y0_m, begin, end)
        attached = self.rsu[vehicle]
        contact = self.contact[vehicle]

        def note(who: IntArray, s: FloatArray) -> FloatArray:
            """Append a track sample to the open contacts of `who` at parameter `s`; returns its time."""
            at_end = s >= 1.0
            time_s = np.where(at_end, sample.time_s, last.time_s + s * span_s)
            time_s = np.clip(time_s, self.begin_s, self.stop_s)
            self.log.track.append(
                (
                    contact[who],
                    time_s,
                    np.where(at_end, sample.x_m[row1[who]], x0_m[who] + s * segments.dx_m[who]),
                    np.where(at_end, sample.y_m[row1[who]], y0_m[who] + s * segments.dy_m[who]),
                    np.where(at_end, sample.vx_mps[row1[who]], last.vx_mps[row0[who]]),
                    np.where(at_end, sample.vy_mps[row1[who]], last.vy_mps[row0[who]]),
                )
            )
            return time_s

        for changes in self.attachment.changes(segments, attached):
            leaves = contact[changes.segment] >= 0
            who = changes.segment[leaves]
            if len(who):
                time_s = note(who, changes.s[leaves])
                self.log.closed.append((contact[who], time_s, RANGE))
                contact[who] = -1
            enters = changes.rsu != FREE
            who = changes.segment[enters]
            if len(who):
                contact[who] = self.log.contacts + np.arange(len(who))
                self.log.contacts += len(who)
                time_s = note(who, changes.s[enters])
                self.log.opened.append((vehicle[who], changes.rsu[enters], time_s))
        inside = np.flatnonzero(contact >= 0)
        note(inside, np.full(len(inside), end))
        self.rsu[vehicle], self.contact[vehicle] = attached, contact


def _columns(log: _Log, rsus: Sequence[Rsu], names: Sequence[str]) -> ContactColumns:
    """Sort the log into columns: drop contacts without duration, tell handovers, number by (start, RSU, vehicle)."""
    vehicle_names, rank = np.unique(np.array(names, dtype=np.str_), return_inverse=True)
    vehicle = rank[_ints([v for v, _, _ in log.opened])]
    rsu = _ints([r for _, r, _ in log.opened])
    start_s = _floats([t for _, _, t in log.opened])
    end_s, end = np.zeros(log.contacts), np.zeros(log.contacts, dtype=np.int8)
    for contacts, time_s, reason in log.closed:
        end_s[contacts], end[contacts] = time_s, reason

    order = np.lexsort((vehicle, rsu, start_s))
    order = order[(end_s - start_s)[order] > SAME_INSTANT_S]
    number = np.full(log.contacts, -1, dtype=np.int64)
    number[order] = np.arange(len(order))
    vehicle, rsu, start_s, end_s, end = vehicle[order], rsu[order], start_s[order], end_s[order], end[order]

    follows = np.lexsort((start_s, vehicle))
    before, after = follows[:-1], follows[1:]
    at_once = (vehicle[before] == vehicle[after]) & (start_s[after] - end_s[before] < SAME_INSTANT_S)
    taken = before[at_once]
    end[taken[end[taken] == RANGE]] = HANDOVER

    contact = number[_ints([row[0] for row in log.track])]
    time_s = _floats([row[1] for row in log.track])
    rows = np.argsort(contact, kind="stable")  # keeps the order of time within a contact
    rows = rows[np.searchsorted(contact[rows], 0) :]
    new = (np.diff(contact[rows], prepend=-1) != 0) | (np.diff(time_s[rows], prepend=-np.inf) > 0)
    rows = rows[new]  # a crossing at a trace step is one sample
    return ContactColumns(
        vehicle_names=vehicle_names,
        rsu_names=np.array([r.rsu for r in rsus], dtype=np.str_),
        rsu_x_m=np.array([r.x_m for r in rsus], dtype=np.float64),
        rsu_y_m=np.array([r.y_m for r in rsus], dtype=np.float64),
        vehicle=vehicle,
        rsu=rsu,
        start_s=start_s,
        end_s=end_s,
        end=end,
        offset=np.searchsorted(contact[rows], np.arange(len(order) + 1)),
        time_s=time_s[rows],
        x_m=_floats([row[2] for row in log.track])[rows],
        y_m=_floats([row[3] for row in log.track])[rows],
        vx_mps=_floats([row[4] for row in log.track])[rows],
        vy_mps=_floats([row[5] for row in log.track])[rows],
    )


def _ints(parts: Sequence[NDArray[np.integer]]) -> IntArray:
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, dtype=np.int64)


def _floats(parts: Sequence[FloatArray]) -> FloatArray:
    return np.concatenate(parts) if parts else np.zeros(0)
