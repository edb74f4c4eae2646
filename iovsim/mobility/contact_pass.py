"""Blocks of a trace become what happens to contacts, with all that a pass must remember from block to block."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iovsim.domain import FloatArray, IntArray
from iovsim.mobility.attachment import Attachment, Changes, Segments
from iovsim.mobility.contact_log import HORIZON, VANISHED, ContactLog
from iovsim.mobility.contact_tracks import SAMPLE, TIME
from iovsim.mobility.coverage import FREE
from iovsim.mobility.trace import TraceBlock

LOOK_AHEAD = 6
"""Steps of a run that are solved at once: more are often in vain, fewer take more rounds."""

STRETCH = 64
"""Steps of a run that are looked at at once, likewise."""


class _Track:
    """A block's rows, each with the step that leads to it: from the row before, or from the block before."""

    def __init__(self, block: TraceBlock, heads: IntArray, last: FloatArray) -> None:
        self.block, self.heads, self.last = block, heads, last
        self.time_s, self.x_m, self.y_m = block.time_s, block.x_m, block.y_m
        self.time0_s = self.shifted(block.time_s, last[0])
        self.x0_m, self.y0_m = self.shifted(block.x_m, last[1]), self.shifted(block.y_m, last[2])
        self.way2_m2 = (self.x_m - self.x0_m) ** 2 + (self.y_m - self.y0_m) ** 2

    def joined(self, hole_s: float, jump_m: float) -> NDArray[np.bool_]:
        """Whether the vehicle really drove the step: not across a hole, nor farther than it can."""
        joined: NDArray[np.bool_] = (self.time_s - self.time0_s < hole_s) & (self.way2_m2 <= jump_m**2)
        return joined

    def samples(self, rows: IntArray) -> FloatArray:
        """(`SAMPLE`, rows)."""
        b = self.block
        return np.stack([b.time_s[rows], b.x_m[rows], b.y_m[rows], b.speed_mps[rows], b.angle_deg[rows]])

    def between(self, segments: Segments, rows: IntArray, who: IntArray, s: FloatArray) -> FloatArray:
        """(`SAMPLE`, who) at parameter `s` of the steps `who` of `segments`, which end in `rows`.

        Speed and angle are those of the latest sample: what a vehicle knows of its motion looks backwards.
        """
        ends = rows[who]
        at_end = s >= 1.0
        time0_s = self.time0_s[ends]
        begins = ends - 1
        place = np.searchsorted(self.heads, ends)
        place[place == len(self.heads)] = 0
        first = self.heads[place] == ends
        return np.stack(
            [
                np.where(at_end, self.time_s[ends], time0_s + s * (self.time_s[ends] - time0_s)),
                np.where(at_end, self.x_m[ends], segments.x0_m[who] + s * segments.dx_m[who]),
                np.where(at_end, self.y_m[ends], segments.y0_m[who] + s * segments.dy_m[who]),
                *(
                    np.where(at_end, now[ends], np.where(first, self.last[k, place], now[begins]))
                    for k, now in ((3, self.block.speed_mps), (4, self.block.angle_deg))
                ),
            ]
        )

    def shifted(self, values: NDArray[Any], first: NDArray[Any]) -> NDArray[Any]:
        """What `values` (n,) are a row before; at the heads `first`."""
        before = np.empty_like(values)
        before[1:] = values[:-1]
        before[self.heads] = first
        return before


class _Runs:
    """Stretches of rows in which one vehicle drives without a break, with its RSU and contact so far."""

    def __init__(self, starts: IntArray, rows: int) -> None:
        self.starts = starts
        self.ends = np.append(starts[1:], rows)
        self.rsu = np.full(len(starts), FREE, dtype=np.int64)
        self.contact = np.full(len(starts), -1, dtype=np.int64)

    def of(self, rows: IntArray) -> IntArray:
        """The runs in which rows lie."""
        return np.searchsorted(self.starts, rows, side="right") - 1


class Pass:
    """State of one pass: by vehicle code, its last sample in the block before, its RSU and the open contact."""

    def __init__(self, attachment: Attachment, begin_s: float, stop_s: float, step_s: float, jump_m: float) -> None:
        self.attachment = attachment
        self.begin_s, self.stop_s, self.step_s, self.jump_m = begin_s, stop_s, step_s, jump_m
        self.log = ContactLog()
        self.carried = np.zeros(0, dtype=np.int32)  # vehicles that the block before has left on the road
        self.last = np.zeros((len(SAMPLE), 0))
        self.rsu = np.zeros(0, dtype=np.int64)
        self.contact = np.zeros(0, dtype=np.int64)

    def block(self, block: TraceBlock) -> None:
        """Take the next block: vehicles move from sample to sample, the first ones from the block before."""
        self._know(len(block.names))
        if len(block) == 0:
            self._lose(block.vehicle)
            self.carried = block.vehicle
            return
        heads = _heads(block.vehicle)
        track = _Track(block, heads, self.last[:, block.vehicle[heads]])
        joined = track.joined(1.5 * self.step_s, self.jump_m)
        fresh = ~joined
        fresh[heads] = True
        starts = np.flatnonzero(fresh)
        runs = _Runs(starts, len(block))
        # a run goes on from the block before, or begins without an RSU
        going_on = joined[starts]
        runs.rsu[going_on] = self.rsu[block.vehicle[starts[going_on]]]
        runs.contact[going_on] = self.contact[block.vehicle[starts[going_on]]]
        self._lose(block.vehicle[heads[joined[heads]]])

        begun = runs.contact.copy()
        hits, after = self._changes(track, runs, self._within(track, joined))
        held = np.zeros(len(block), dtype=np.bool_)
        held[starts] = True
        held[hits] = True
        value = np.full(len(block), -1, dtype=np.int64)
        value[starts], value[hits] = begun, after
        marks = np.flatnonzero(held)
        self._drive(track, np.repeat(value[marks], np.diff(marks, append=len(block))), joined)

        tails = np.append(starts[1:], len(block)) - 1
        final = np.isin(tails, np.append(heads[1:], len(block)) - 1, assume_unique=True)
        self.log.close(runs.contact[~final], block.time_s[tails[~final]], VANISHED)
        self.carried = block.vehicle[tails[final]]
        self.last[:, self.carried] = track.samples(tails[final])
        self.rsu[self.carried], self.contact[self.carried] = runs.rsu[final], runs.contact[final]

    def finish(self) -> None:
        """Close what is open: at the horizon, or where the last vehicles vanished before it."""
        if len(self.carried) == 0:
            return
        time_s = self.last[TIME, self.carried]
        there = (time_s == time_s.max()) & (time_s > self.stop_s - 0.5 * self.step_s)
        contact, end_s = self.contact[self.carried], np.minimum(time_s, self.stop_s)
        self.log.close(contact[there], end_s[there], HORIZON)
        self.log.close(contact[~there], end_s[~there], VANISHED)

    def _know(self, vehicles: int) -> None:
        """Make room for codes below `vehicles`."""
        more = vehicles - len(self.rsu)
        self.last = np.concatenate([self.last, np.full((len(SAMPLE), more), np.nan)], axis=1)
        self.rsu = np.append(self.rsu, np.full(more, FREE, dtype=np.int64))
        self.contact = np.append(self.contact, np.full(more, -1, dtype=np.int64))

    def _lose(self, going_on: NDArray[np.int32]) -> None:
        """Of the vehicles of the block before, all but `going_on` have vanished at their last sample."""
        gone = np.setdiff1d(self.carried, going_on, assume_unique=True)
        self.log.close(self.contact[gone], self.last[TIME, gone], VANISHED)
        self.last[:, self.carried] = np.nan
        self.rsu[self.carried], self.contact[self.carried] = FREE, -1

    def _within(self, track: _Track, joined: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which of the joined steps lie within the simulated time, if only in part."""
        if track.time_s.min() - 2.0 * self.step_s >= self.begin_s and track.time_s.max() <= self.stop_s:
            return joined
        return joined & (track.time_s > self.begin_s) & (track.time0_s < self.stop_s)

    def _segments(self, track: _Track, rows: IntArray) -> Segments:
        """The steps that end in `rows`, cut to the simulated time."""
        x0_m, y0_m, time0_s = track.x0_m[rows], track.y0_m[rows], track.time0_s[rows]
        span_s = track.time_s[rows] - time0_s
        return Segments(
            x0_m,
            y0_m,
            track.x_m[rows] - x0_m,
            track.y_m[rows] - y0_m,
            np.maximum(0.0, (self.begin_s - time0_s) / span_s),
            np.minimum(1.0, (self.stop_s - time0_s) / span_s),
        )

    def _changes(self, track: _Track, runs: _Runs, within: NDArray[np.bool_]) -> tuple[IntArray, IntArray]:
        """Log all changes of attachment; returns the rows in which steps with a change end, and the contacts then.

        Each round goes on along every run to the next few steps on which something may change, and takes the first
        change. What comes after it, on the same step or later, is looked at anew.
        """
        coverage = self.attachment.coverage
        cell = coverage.cells(track.x_m, track.y_m)
        cell0 = track.shifted(cell, coverage.cells(*np.nan_to_num(track.last[1:3])))
        far = track.way2_m2 > self.attachment.stride_m**2
        of_row = np.repeat(np.arange(len(runs.starts)), runs.ends - runs.starts)
        begun = np.zeros(len(track.time_s))  # the part of each row's step that has been looked at
        hits, contacts = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        at, active = runs.starts.copy(), np.arange(len(runs.starts))
        for _ in range(len(track.time_s) * self.attachment.most_changes):
            if len(active) == 0:
                return np.concatenate(hits), np.concatenate(contacts)
            last = np.minimum(at[active] + STRETCH, runs.ends[active])
            rows = _ranges(at[active], last)
            rsu = runs.rsu[of_row[rows]]
            still = coverage.is_quiet(cell[rows], rsu) & coverage.is_quiet(cell0[rows], rsu) & ~far[rows]
            rows = rows[within[rows] & ~still]
            run = of_row[rows]
            rank = np.arange(len(rows)) - np.searchsorted(run, run)
            at[active] = last
            at[run[rank == LOOK_AHEAD]] = rows[rank == LOOK_AHEAD]
            rows, run = rows[rank < LOOK_AHEAD], run[rank < LOOK_AHEAD]
            segments = self._segments(track, rows)
            segments = replace(segments, begin=np.maximum(segments.begin, begun[rows]))
            found = self.attachment.first(segments, runs.rsu[run]).in_order()
            found = found.of(_heads(run[found.segment]))
            hit, changed = rows[found.segment], run[found.segment]
            self._change(track, runs, segments, rows, found)
            at[changed], begun[hit] = hit, found.s
            hits.append(hit)
            contacts.append(runs.contact[changed])
            active = active[at[active] < runs.ends[active]]
        raise RuntimeError("the attachment rules do not settle")

    def _change(self, track: _Track, runs: _Runs, segments: Segments, rows: IntArray, found: Changes) -> None:
        """Log changes on some of the steps `segments`, which end in `rows`, at most one of each run."""
        hit = rows[found.segment]
        run = runs.of(hit)
        places = track.between(segments, rows, found.segment, found.s)
        places[TIME] = np.clip(places[TIME], self.begin_s, self.stop_s)
        leaves, enters = runs.contact[run] >= 0, found.rsu != FREE
        self.log.leave(runs.contact[run[leaves]], places[:, leaves])
        runs.rsu[run], runs.contact[run] = found.rsu, -1
        runs.contact[run[enters]] = self.log.enter(
            track.block.vehicle[hit[enters]], found.rsu[enters], places[:, enters]
        )

    def _drive(self, track: _Track, contact: IntArray, joined: NDArray[np.bool_]) -> None:
        """Log the samples inside of contacts, where `contact` (n,) is open after each row's step."""
        rows = np.flatnonzero((contact >= 0) & self._within(track, joined))
        places = track.samples(rows)
        cut = np.flatnonzero(places[TIME] > self.stop_s)
        if len(cut):
            segments = self._segments(track, rows[cut])
            places[:, cut] = track.between(segments, rows[cut], np.arange(len(cut)), segments.end)
            places[TIME] = np.minimum(places[TIME], self.stop_s)
        self.log.drive(contact[rows], places)


def _heads(values: NDArray[np.integer]) -> IntArray:
    """Where stretches of equal values begin."""
    return np.flatnonzero(np.append(True, values[1:] != values[:-1])[: len(values)])


def _ranges(first: IntArray, last: IntArray) -> IntArray:
    """`first[0], ..., last[0] - 1, first[1], ...`"""
    count = last - first
    return np.repeat(first - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))
