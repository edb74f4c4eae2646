"""Contacts that grow with every step of a live simulation, as a book of those that are not over.

The steps go, period by period, through the same pass as a recorded trace (`contact_pass.py`), so once a contact is over
it is the same as if it had been extracted from a recording of these steps, its number too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from iovsim.domain import Contact, ContactEnd, FloatArray, IntArray, Rsu
from iovsim.errors import TraceError
from iovsim.mobility.attachment import Attachment
from iovsim.mobility.contact_pass import Pass
from iovsim.mobility.contact_table import ENDS, SAME_INSTANT_S, ContactTable
from iovsim.mobility.contact_tracks import TIME
from iovsim.mobility.contacts import USUAL_MPS
from iovsim.mobility.samples import Samples
from iovsim.mobility.trace.block import Codes, TraceBlock, by_vehicle, joined


@dataclass(slots=True, eq=False)
class _Growing:
    """A contact as far as it is known. Its track is in pieces of `contact_tracks.SAMPLE`, (5, n) each."""

    vehicle: str
    rsu: str
    start_s: float
    number: int = -1  # not given yet
    end_s: float | None = None  # still open
    end: ContactEnd = ContactEnd.HORIZON
    pieces: list[FloatArray] = field(default_factory=list)

    def known(self) -> Contact:
        track = np.concatenate(self.pieces, axis=1)
        track = track[:, np.diff(track[0], prepend=-np.inf) > 0]  # a crossing at a step is one sample
        time_s, x_m, y_m, speed_mps, angle = track
        angle = np.deg2rad(angle)
        vx_mps, vy_mps = speed_mps * np.sin(angle), speed_mps * np.cos(angle)
        end_s = float(time_s[-1]) if self.end_s is None else self.end_s
        return Contact(
            self.number, self.vehicle, self.rsu, self.start_s, end_s, self.end, time_s, x_m, y_m, vx_mps, vy_mps
        )


class LiveContacts:
    """A `domain.ContactBook` of contacts that are not over when the latest period began (`settle`).

    Numbers are given as contacts become known, in the order of (start, RSU, vehicle): what opens later starts later.
    """

    def __init__(
        self, rsus: Sequence[Rsu], *, start_s: float, end_s: float, step_s: float, jump_m: float, hysteresis_m: float
    ) -> None:
        self._rsus = sorted(rsus, key=lambda rsu: rsu.rsu)
        attachment = Attachment(self._rsus, hysteresis_m, USUAL_MPS * step_s)
        self._pass = Pass(attachment, start_s, end_s, step_s, jump_m)
        self._start_s, self._end_s, self._step_s = start_s, end_s, step_s
        self._codes = Codes()
        self._waiting: list[TraceBlock] = []
        self._known_s = start_s
        self._growing: dict[int, _Growing] = {}  # by number in the pass
        self._opened = 0
        self._numbered: list[_Growing] = []  # every contact by its number; without its track once it is over
        self._book: dict[int, Contact] = {}
        self.settled = 0  # how often the book has grown

    def take(self, time_s: float, step: Samples) -> None:
        """All vehicles that are on the road at the next step; there may be none."""
        if not self._start_s - self._step_s <= time_s < self._end_s + self._step_s:
            return
        self._known_s = min(time_s, self._end_s)
        vehicle = self._codes.of(step.vehicle)
        self._waiting.append(
            TraceBlock(step.time_s, vehicle, self._codes.names, step.x_m, step.y_m, step.speed_mps, step.angle_deg)
        )

    def settle(self, now_s: float) -> None:
        """Has the book hold all that is known by now of contacts that are not over at `now_s`."""
        if self._waiting:
            self._pass.block(by_vehicle(joined(self._waiting), "live", None))
            self._waiting = []
            if self._known_s == self._end_s:
                self._pass.finish()
            self._digest()
        for key in [k for k, c in self._growing.items() if c.end_s is not None and _is_over(c, c.end_s, now_s)]:
            self._growing.pop(key).pieces.clear()
        lasting = [
            c
            for c in self._growing.values()
            if c.number < 0 and (self._known_s if c.end_s is None else c.end_s) - c.start_s > SAME_INSTANT_S
        ]
        for contact in sorted(lasting, key=lambda c: (c.start_s, c.rsu, c.vehicle)):
            contact.number = len(self._numbered)
            self._numbered.append(contact)
        held = sorted((c for c in self._growing.values() if c.number >= 0), key=lambda c: (c.vehicle, c.start_s))
        for before, after in pairwise(held):
            at_once = after.start_s - (np.inf if before.end_s is None else before.end_s) < SAME_INSTANT_S
            if before.vehicle == after.vehicle and before.end is ContactEnd.RANGE and at_once:
                before.end = ContactEnd.HANDOVER
        self._book = {c.number: c.known() for c in sorted(held, key=lambda c: c.number)}
        self.settled += 1

    def __len__(self) -> int:
        return len(self._book)

    def __iter__(self) -> Iterator[Contact]:
        return iter(self._book.values())

    def __getitem__(self, contact: int, /) -> Contact:
        """Raises `KeyError` for a contact that was over when the latest period began."""
        return self._book[contact]

    def active(self, rsu: str, time_s: float) -> Sequence[Contact]:
        """Contacts of `rsu` with `start_s <= time_s < end_s`, sorted by vehicle."""
        found = (c for c in self._book.values() if c.rsu == rsu and c.start_s <= time_s < c.end_s)
        return sorted(found, key=lambda c: c.vehicle)

    def of_vehicle(self, vehicle: str) -> Sequence[Contact]:
        """A vehicle's contacts in the order of time."""
        return sorted((c for c in self._book.values() if c.vehicle == vehicle), key=lambda c: c.start_s)

    def check(self, table: ContactTable, where: str) -> None:
        """Raises `TraceError` unless `table`, made from a recording of all steps, holds the same contacts."""
        met, found = (
            [(c.vehicle, c.rsu, c.start_s, c.end_s, c.end) for c in contacts] for contacts in (self._numbered, table)
        )
        if found != met:
            raise TraceError(
                f"{where}: its traffic gives {len(found)} contacts where the live run met {len(met)}, or others; "
                "please report this fault of iovsim."
            )

    def _digest(self) -> None:
        """Takes over what the pass has logged."""
        log, names = self._pass.log, self._codes.names
        for vehicles, rsus, starts_s in log.opened:
            for vehicle, rsu, start_s in zip(vehicles.tolist(), rsus.tolist(), starts_s.tolist(), strict=True):
                self._growing[self._opened] = _Growing(names[vehicle], self._rsus[rsu].rsu, start_s)
                self._opened += 1
        for contacts, ends_s, reason in log.closed:
            self._end(contacts, ends_s, ENDS[reason])
        # of those that are not there any more the pass only says so when it sees the next block
        carried = self._pass.carried
        gone = carried[self._pass.last[TIME, carried] < self._known_s - 0.5 * self._step_s]
        self._end(self._pass.contact[gone], self._pass.last[TIME, gone], ContactEnd.VANISHED)
        if log.track:
            contact, places = (np.concatenate(column, axis=-1) for column in zip(*log.track, strict=True))
            order = np.argsort(contact, kind="stable")  # keeps the order of time within a contact
            bounds = np.flatnonzero(np.diff(contact[order], prepend=-1, append=-1)).tolist()
            for low, high in pairwise(bounds):
                self._growing[int(contact[order[low]])].pieces.append(places[:, order[low:high]])
        for chunks in (log.opened, log.closed, log.track):
            chunks.clear()

    def _end(self, contacts: IntArray, ends_s: FloatArray, end: ContactEnd) -> None:
        for contact, end_s in zip(contacts.tolist(), ends_s.tolist(), strict=True):
            if contact in self._growing:
                self._growing[contact].end_s, self._growing[contact].end = end_s, end


def _is_over(contact: _Growing, end_s: float, now_s: float) -> bool:
    """By `now_s`, or without having lasted."""
    return end_s <= now_s or end_s - contact.start_s <= SAME_INSTANT_S
