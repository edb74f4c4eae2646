"""A job in training becomes the moments at which, as foreseen, it will not be done before its vehicle leaves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from iovsim.domain import ContactEnd, Forecast, Rsu
from iovsim.engine.estimate import upload_s
from iovsim.engine.job import Job
from iovsim.engine.terms import compute_s


@dataclass(frozen=True, slots=True)
class Alarm:
    """One such moment."""

    time_s: float
    steps: int  # done
    planned_steps: int
    trained_s: float
    left_s: float  # of training
    residual_s: float  # of the contact, as foreseen
    upload_s: float  # as foreseen
    has_left: bool  # the contact is over


def alarms(job: Job, forecast: Forecast, rsu: Rsu, start_s: float, lasts_s: float = math.inf) -> Iterator[Alarm]:
    """In the order of time, for training that begins at `start_s`; it is looked at before each step and after the last.

    Only there can it be broken off without loss, and all that is foreseen there follows from track and link, which the
    engine knows: so nothing is polled. An alarm is raised where the residual contact is shorter than the training that
    is left and the upload. A vehicle that leaves unforeseen, in the middle of a step, raises one when it has left, if
    it is still on the road. That the deadline would be missed raises none, nor that the battery comes down to its
    reserve, at `lasts_s`, which ends it all.
    """
    contact, planned, needed_s = job.terms.contact, job.training.planned_steps, compute_s(job.terms, job.assignment)
    limit_s = min(job.limit_s, lasts_s)
    end_s = min(contact.end_s, limit_s)
    for steps in range(planned + 1):
        trained_s = needed_s * (steps / planned)
        time_s = start_s + trained_s
        if time_s >= end_s:
            break
        residual_s = forecast.residual_s(contact, rsu, time_s)
        left_s, sending_s = needed_s - trained_s, upload_s(job.terms, job.assignment, time_s)
        if residual_s < left_s + sending_s:
            yield Alarm(time_s, steps, planned, trained_s, left_s, residual_s, sending_s, False)
    else:
        return
    if contact.end_s < limit_s and contact.end in (ContactEnd.RANGE, ContactEnd.HANDOVER):
        trained_s = max(contact.end_s - start_s, 0.0)
        sending_s = upload_s(job.terms, job.assignment, contact.end_s)
        yield Alarm(contact.end_s, max(steps - 1, 0), planned, trained_s, needed_s - trained_s, 0.0, sending_s, True)
