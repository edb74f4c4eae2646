"""One client's job as a SimPy process: phase after phase until one is cut, then a record of how it ended."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import simpy

from iovsim.domain import Assignment, JobEnd, JobStatus, LossReason, PhaseEnd, PhaseKind, TrainJob
from iovsim.engine.course import Phase
from iovsim.engine.terms import Terms

LOST_IN = {
    PhaseKind.DOWNLINK: JobStatus.LOST_DOWNLINK,
    PhaseKind.COMPUTE: JobStatus.LOST_COMPUTE,
    PhaseKind.UPLINK: JobStatus.LOST_UPLINK,
}


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A job that is over, the terms it ran under, and its training, which is still to be done."""

    end: JobEnd
    terms: Terms
    training: TrainJob


def serve(
    env: simpy.Environment,
    terms: Terms,
    assignment: Assignment,
    course: Sequence[tuple[PhaseKind, Phase]],
    training: TrainJob,
    start_s: float,
    horizon_s: float,
) -> Generator[simpy.Event, None, Served]:
    """Runs `course` from `start_s`, which is now. Training takes its time here, and is done when the round is over.

    Each phase is cut at the contact's end, the assignment's deadline or the horizon, whichever comes first. Its end is
    computed beforehand and recorded as computed; the clock only follows.
    """
    now_s = start_s
    limit_s = min(terms.contact.end_s, assignment.deadline_s, horizon_s)
    phases: list[PhaseEnd] = []
    status, reason = JobStatus.DELIVERED, LossReason.NONE
    for kind, phase in course:
        phases.append(phase(terms, assignment, now_s, limit_s))
        now_s = phases[-1].end_s
        yield env.timeout(max(now_s - env.now, 0.0))
        if not phases[-1].completed:
            status, reason = _lost(kind, terms, assignment, horizon_s)
            break
    end = JobEnd(assignment, terms.contact.contact, start_s, now_s, status, reason, tuple(phases), None)
    return Served(end, terms, training)


def _lost(kind: PhaseKind, terms: Terms, assignment: Assignment, horizon_s: float) -> tuple[JobStatus, LossReason]:
    """Status and reason of a job cut in a phase of `kind`."""
    if horizon_s <= min(terms.contact.end_s, assignment.deadline_s):
        return JobStatus.IN_FLIGHT, LossReason.NONE
    reason = LossReason.CONTACT if terms.contact.end_s <= assignment.deadline_s else LossReason.DEADLINE
    return LOST_IN[kind], reason
