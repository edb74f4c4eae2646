"""Jobs that went on to the next RSU get the rest of their courses: where and when they arrive, if they do.

Nothing in a period depends on these courses before all its rounds are over. So they are worked out then, in the order
in which the vehicles reach an RSU with a finished update, from what is known of every band.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from iovsim.domain import Assignment, Contact, ContactEnd, JobStatus, PhaseEnd, PhaseKind, Taken, World
from iovsim.engine.course import carrying, compute, uplink
from iovsim.engine.job import Job, Leg, Rest, Served, ended, leg_of, step
from iovsim.engine.round import ServedRound
from iovsim.engine.terms import Terms

TOLERANCE = 1e-9
"""Relative slack on sums of shares, as in `engine.admit`."""


def migrate(world: World, rounds: Sequence[ServedRound]) -> list[ServedRound]:
    """The rounds of a period with every job come to its end.

    A vehicle trains to the end and takes the update to the first RSU after its own that hosts the task. There it sends
    as soon as the band has room, on a share as wide as its own, or as the narrowest of that RSU's plan. Its deadline
    stays: the rounds of all RSUs are in step, so what arrives by then is aggregated in the same period.
    """
    bands = {over.rsu.rsu: Band.of(over, world) for over in rounds}
    trips = [_trip(world, s, s.went_on) for over in rounds for s in over.served if s.went_on is not None]
    away = sorted(trips, key=lambda trip: trip.order)
    brought = {id(trip.served): _brought(world, trip, bands) for trip in away}
    return [replace(over, served=tuple(brought.get(id(s), s) for s in over.served)) for over in rounds]


@dataclass(slots=True, eq=False)
class Band:
    """The uplink of one RSU in one period: who has which share of it, and until when."""

    width_hz: float
    narrowest_hz: float  # of the plan; infinite where nobody is in it
    taken: list[tuple[float, float]]  # until, share
    latest_s: float = -math.inf  # when the latest newcomer got its share: who comes later is not served sooner

    @staticmethod
    def of(over: ServedRound, world: World) -> Band:
        """As the RSU's own jobs leave it: each has its share from the round's start until it ends or goes on."""
        taken = [(s.released_s, s.job.assignment.bandwidth_up_hz) for s in over.served]
        return Band(world.radio.bandwidth_up_hz, min((hz for _, hz in taken), default=math.inf), taken)

    def free_s(self, from_s: float, share_hz: float) -> float:
        """When a share is free, from `from_s` on."""
        from_s = max(from_s, self.latest_s)
        times_s = [from_s, *sorted(until_s for until_s, _ in self.taken if until_s > from_s)]
        return next(t for t in times_s if self._in_use_hz(t) + share_hz <= self.width_hz * (1 + TOLERANCE))

    def _in_use_hz(self, time_s: float) -> float:
        return math.fsum(hz for until_s, hz in self.taken if until_s > time_s)


@dataclass(frozen=True, slots=True, eq=False)
class _Trip:
    """A job on its way to the next RSU."""

    served: Served
    taken: Taken
    phases: tuple[PhaseEnd, ...]  # until the training is over
    cut: Leg | None
    contact: Contact | None  # at whose beginning it arrives; None: at none
    ready_s: float  # when it could begin to send

    @property
    def order(self) -> tuple[float, str]:
        return self.ready_s, self.served.job.assignment.vehicle


def _trip(world: World, served: Served, taken: Taken) -> _Trip:
    job, phases = served.job, list(served.end.phases)
    cut = step(job, leg_of(job, PhaseKind.COMPUTE, compute, _gone_s(world, job)), phases)
    done_s = phases[-1].end_s
    hosts = {rsu.rsu for rsu in world.rsus if job.assignment.task in rsu.tasks}
    own = job.terms.contact
    later = [c for c in world.contacts.of_vehicle(own.vehicle) if c.start_s > own.start_s and c.rsu in hosts]
    contact = next((c for c in later if c.end_s > done_s), None)
    ready_s = math.inf if contact is None else max(contact.start_s, done_s)
    return _Trip(served, taken, tuple(phases), cut, contact, ready_s)


def _brought(world: World, trip: _Trip, bands: Mapping[str, Band]) -> Served:
    """The job at its end; takes its share of the band where it arrives."""
    job, phases, cut, last = trip.served.job, list(trip.phases), trip.cut, trip.served.job.terms
    if cut is None and trip.contact is None:
        cut = step(job, _carrying(job, math.inf, _gone_s(world, job)), phases)
    elif cut is None and trip.contact is not None:
        leaves_s, band = trip.contact.end_s, bands[trip.contact.rsu]
        given = replace(job.assignment, bandwidth_up_hz=min(job.assignment.bandwidth_up_hz, band.narrowest_hz))
        begins_s = band.free_s(trip.ready_s, given.bandwidth_up_hz)
        if begins_s > phases[-1].end_s:
            cut = step(job, _carrying(job, begins_s, leaves_s), phases)
        if cut is None:
            last = replace(job.terms, contact=trip.contact, link=world.links.link(trip.contact.contact))
            cut = step(job, Leg(PhaseKind.UPLINK, leaves_s, partial(_uploading, last, given)), phases)
            band.latest_s = begins_s
            band.taken.append((phases[-1].end_s, given.bandwidth_up_hz))
    return ended(job, phases, cut, Rest(trip.taken, (), (), JobStatus.MIGRATED, job.training, last))


def _uploading(terms: Terms, assignment: Assignment, from_s: float, limit_s: float) -> tuple[PhaseEnd, ...]:
    return (replace(uplink(terms, assignment, from_s, limit_s), rsu=terms.contact.rsu),)


def _carrying(job: Job, until_s: float, leaves_s: float) -> Leg:
    """The vehicle takes its finished update along until it can send it, which must be before it leaves."""

    def idling(from_s: float, limit_s: float) -> tuple[PhaseEnd, ...]:
        return (carrying(job.terms, until_s, from_s, limit_s),)

    return Leg(PhaseKind.CARRYING, leaves_s, idling)


def _gone_s(world: World, job: Job) -> float:
    """When the vehicle is off the road, as far as contacts up to the job's limit tell."""
    last = [c for c in world.contacts.of_vehicle(job.assignment.vehicle) if c.start_s < job.limit_s][-1]
    return last.end_s if last.end is ContactEnd.VANISHED else math.inf
