"""One client's job as a SimPy process: leg after leg until one is cut, then a record of how it ended."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

import simpy

from iovsim.domain import (
    ARRIVED,
    Assignment,
    JobEnd,
    JobStatus,
    LossReason,
    PhaseEnd,
    PhaseKind,
    Taken,
    TrainJob,
    WayKind,
)
from iovsim.engine.course import Phase
from iovsim.engine.supply import Supply
from iovsim.engine.terms import Terms

LOST_IN = {
    PhaseKind.DOWNLINK: JobStatus.LOST_DOWNLINK,
    PhaseKind.COMPUTE: JobStatus.LOST_COMPUTE,
    PhaseKind.UPLINK: JobStatus.LOST_UPLINK,
    PhaseKind.SIDELINK: JobStatus.LOST_MIGRATION,
    PhaseKind.CARRYING: JobStatus.LOST_MIGRATION,
}


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One client's job before it begins."""

    terms: Terms
    assignment: Assignment
    training: TrainJob
    start_s: float
    horizon_s: float
    supply: Supply | None = None  # None: energy that nobody runs out of

    @property
    def limit_s(self) -> float:
        """Nothing counts that ends later."""
        return min(self.assignment.deadline_s, self.horizon_s)


@dataclass(frozen=True, slots=True, eq=False)
class Leg:
    """A stretch of a job, cut at the job's limit, or at `leaves_s` if that comes first, which is for `reason` then.

    `phases(start_s, limit_s)` gives what all that take part do meanwhile; the first of them decides how it ends.
    """

    kind: PhaseKind
    leaves_s: float
    phases: Callable[[float, float], tuple[PhaseEnd, ...]]
    reason: LossReason = LossReason.CONTACT


@dataclass(frozen=True, slots=True, eq=False)
class Rest:
    """What a fallback puts in the place of the rest of a job's course, which begins with the training."""

    taken: Taken
    done: tuple[PhaseEnd, ...]  # the training so far, where it is broken off
    legs: tuple[Leg, ...]
    status: JobStatus  # unless a leg is cut
    training: TrainJob
    last: Terms  # of the vehicle that uploads


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A job that is over, its training, which is still to be done, and the terms of the vehicle that ended it.

    A job that goes on to the next RSU is over when its fallback has decided; `engine.migrate` then finds out the rest.
    """

    end: JobEnd
    job: Job
    training: TrainJob
    last: Terms

    @property
    def went_on(self) -> Taken | None:
        """The decision to go on to the next RSU, if it was taken."""
        taken = self.end.fallback
        return taken if taken is not None and taken.kind is WayKind.NEXT_RSU else None

    @property
    def released_s(self) -> float:
        """When the RSU that gave it has no more to do with it."""
        return self.end.end_s if self.went_on is None else self.went_on.time_s


Watch = Callable[[simpy.Environment, Job, Sequence[PhaseEnd]], Generator[simpy.Event, None, Rest | None]]
"""Looks at a job whose training begins now, until it is over or a fallback is taken, which is returned."""


def serve(
    env: simpy.Environment, job: Job, course: Sequence[tuple[PhaseKind, Phase]], watch: Watch | None = None
) -> Generator[simpy.Event, None, Served]:
    """Runs `course` from the job's start, which is now; training takes its time, and is done when the round is over.

    Each phase is cut at the contact's end, the assignment's deadline, the horizon or a battery's reserve, whichever
    comes first. Its end is computed beforehand and recorded as computed; the clock only follows.
    """
    phases: list[PhaseEnd] = []
    rest: Rest | None = None
    legs = [leg_of(job, kind, phase, job.terms.contact.end_s) for kind, phase in course]
    cut: Leg | None = None
    while legs and cut is None:
        if legs[0].kind is PhaseKind.COMPUTE and watch is not None and rest is None:
            rest = yield from watch(env, job, phases)
            if rest is not None:
                phases += rest.done
                legs = list(rest.legs)
                continue
        cut = step(job, legs.pop(0), phases)
        yield env.timeout(max(phases[-1].end_s - env.now, 0.0))
    return ended(job, phases, cut, rest)


def leg_of(job: Job, kind: PhaseKind, phase: Phase, leaves_s: float) -> Leg:
    """A leg that is a phase of the job's own vehicle."""

    def alone(start_s: float, limit_s: float) -> tuple[PhaseEnd, ...]:
        return (phase(job.terms, job.assignment, start_s, limit_s),)

    return Leg(kind, leaves_s, alone)


def step(job: Job, leg: Leg, phases: list[PhaseEnd]) -> Leg | None:
    """Adds the leg's phases, which begin where the last ones end; returns the leg, and why, if it was cut."""
    start_s = phases[-1].end_s if phases else job.start_s
    found = leg.phases(start_s, min(leg.leaves_s, job.limit_s))
    if job.supply is not None:
        lasts_s = job.supply.lasts_s(job.assignment.vehicle, phases, found)
        if lasts_s < found[0].end_s:
            leg = replace(leg, leaves_s=lasts_s, reason=LossReason.BATTERY)
            found = leg.phases(start_s, lasts_s)
    phases += found
    return None if found[0].completed else leg


def ended(job: Job, phases: Sequence[PhaseEnd], cut: Leg | None, rest: Rest | None) -> Served:
    """The record of a job that has come to its end, or was cut in a leg."""
    status = rest.status if rest is not None else JobStatus.DELIVERED
    reason = LossReason.CONTACT if status is JobStatus.ABANDONED else LossReason.NONE
    if cut is not None:
        status, reason = _lost(job, cut)
    last = rest.last if rest is not None else job.terms
    end = JobEnd(
        assignment=job.assignment,
        contact=job.terms.contact.contact,
        start_s=job.start_s,
        end_s=phases[-1].end_s if phases else job.start_s,
        status=status,
        reason=reason,
        phases=tuple(phases),
        update=None,
        fallback=rest.taken if rest is not None else None,
        arrived_at=last.contact.rsu if status in ARRIVED else "",
    )
    return Served(end, job, rest.training if rest is not None else job.training, last)


def _lost(job: Job, leg: Leg) -> tuple[JobStatus, LossReason]:
    """Status and reason of a job that was cut in a leg."""
    deadline_s = job.assignment.deadline_s
    if job.horizon_s <= min(leg.leaves_s, deadline_s):
        return JobStatus.IN_FLIGHT, LossReason.NONE
    reason = leg.reason if leg.leaves_s <= deadline_s else LossReason.DEADLINE
    return LOST_IN[leg.kind], reason
