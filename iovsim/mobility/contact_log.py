"""What happened to contacts becomes columns: a log, filled block by block, then sorted, some contacts at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from iovsim.arrays import runs
from iovsim.domain import ContactEnd, FloatArray, IntArray, Rsu
from iovsim.mobility.contact_table import ENDS, SAME_INSTANT_S, ContactColumns
from iovsim.mobility.contact_tracks import SAMPLE, TIME, TrackFile

RANGE, HANDOVER, VANISHED, HORIZON = (
    ENDS.index(end) for end in (ContactEnd.RANGE, ContactEnd.HANDOVER, ContactEnd.VANISHED, ContactEnd.HORIZON)
)


@dataclass(slots=True)
class ContactLog:
    """What happened, as chunks of arrays, block by block; contacts are numbered as they open.

    Whoever reads the blocks takes the chunks of `track` away after each. Those of a contact are in the order of time:
    of each block first what was entered, then what was driven, then what was left.
    """

    opened: list[tuple[NDArray[np.int32], IntArray, FloatArray]] = field(default_factory=list)
    closed: list[tuple[IntArray, FloatArray, int]] = field(default_factory=list)
    track: list[tuple[IntArray, FloatArray]] = field(default_factory=list)
    left: list[tuple[IntArray, FloatArray]] = field(default_factory=list)  # of the block that is read
    contacts: int = 0

    def enter(self, vehicle: NDArray[np.int32], rsu: IntArray, places: FloatArray) -> IntArray:
        """Open contacts; returns their numbers."""
        numbers = self.contacts + np.arange(len(vehicle))
        self.contacts += len(vehicle)
        self.opened.append((vehicle, rsu, places[TIME]))
        self.track.append((numbers, places))
        return numbers

    def leave(self, contact: IntArray, places: FloatArray) -> None:
        self.closed.append((contact, places[TIME], RANGE))
        self.left.append((contact, places))

    def drive(self, contact: IntArray, places: FloatArray) -> None:
        """The samples inside of contacts in a block, which end it."""
        self.track += [(contact, places), *self.left]
        self.left = []

    def close(self, contact: IntArray, time_s: FloatArray, reason: int) -> None:
        """Of vehicles that vanished; -1 stands for no contact."""
        open_ = contact >= 0
        self.closed.append((contact[open_], time_s[open_], reason))


def columns(
    log: ContactLog, tracks: TrackFile, rsus: Sequence[Rsu], names: Sequence[str], most: int
) -> Iterator[ContactColumns]:
    """Sort a log, whose tracks are in a file, into columns: drop contacts without duration, tell handovers, number by
    (start, RSU, vehicle). They come in parts of consecutive contacts with at most `most` samples each, or one contact;
    at least one part."""
    vehicle_names, rank = np.unique(np.array(names, dtype=np.str_), return_inverse=True)
    rsu_names = np.array([r.rsu for r in rsus], dtype=np.str_)
    rsu_x_m, rsu_y_m = (np.array([getattr(r, c) for r in rsus], dtype=np.float64) for c in ("x_m", "y_m"))
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

    samples = np.append(0, np.cumsum(tracks.counts(log.contacts)[order]))
    for first, last in runs(samples, most):
        some = slice(first, last)
        offset, places = _tracks(tracks, order[some], number, first)
        speed_mps, angle = places[3], np.deg2rad(places[4])
        yield ContactColumns(
            vehicle_names=vehicle_names,
            rsu_names=rsu_names,
            rsu_x_m=rsu_x_m,
            rsu_y_m=rsu_y_m,
            vehicle=vehicle[some],
            rsu=rsu[some],
            start_s=start_s[some],
            end_s=end_s[some],
            end=end[some],
            offset=offset,
            time_s=places[TIME],
            x_m=places[1],
            y_m=places[2],
            vx_mps=speed_mps * np.sin(angle),
            vy_mps=speed_mps * np.cos(angle),
        )


def _tracks(tracks: TrackFile, opened: IntArray, number: IntArray, first: int) -> tuple[IntArray, FloatArray]:
    """Offsets and samples of the contacts that were `opened` (n,) as these, and have the numbers from `first` on."""
    if len(opened) == 0:
        return np.zeros(1, dtype=np.int64), np.zeros((len(SAMPLE), 0))
    # Opened later is to start later, but for ties: what lies between is little more than what is asked for.
    contact, places = tracks.read(int(opened.min()), int(opened.max()) + 1)
    contact = number[contact] - first
    rows = np.argsort(contact, kind="stable")  # keeps the order of time within a contact
    contact = contact[rows]
    asked = slice(*np.searchsorted(contact, [0, len(opened)]))
    rows, contact = rows[asked], contact[asked]
    time_s = places[TIME].take(rows)
    moved = np.append(True, (contact[1:] != contact[:-1]) | (time_s[1:] > time_s[:-1]))[: len(rows)]
    if not moved.all():  # a crossing at a trace step is one sample
        rows, contact = rows[moved], contact[moved]
    return np.searchsorted(contact, np.arange(len(opened) + 1)), places.take(rows, axis=1)


def _ints(parts: Sequence[NDArray[np.integer]]) -> IntArray:
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, dtype=np.int64)


def _floats(parts: Sequence[FloatArray]) -> FloatArray:
    return np.concatenate(parts) if parts else np.zeros(0)
