"""A job in training is watched; where a fallback is taken, what it says becomes the rest of the job's course."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import replace

import simpy

from iovsim.domain import Fallback, JobStatus, Link, PhaseEnd, PhaseKind, Taken, Way, WayKind
from iovsim.engine.alarm import Alarm, alarms
from iovsim.engine.ask import ask_fallback
from iovsim.engine.course import compute, uplink, work
from iovsim.engine.job import Job, Leg, Rest, leg_of
from iovsim.engine.sidelink import sidelink
from iovsim.engine.ways import Carrier, Guard, carriers_of, view_of


def watch(
    guard: Guard, fallback: Fallback, env: simpy.Environment, job: Job, phases: Sequence[PhaseEnd]
) -> Generator[simpy.Event, None, Rest | None]:
    """Asks `fallback` at each alarm until it takes a way; None where it never does, or never is asked.

    A carrier is taken by whose alarm comes first, and is busy from then on: the only thing that jobs compete for. Of
    alarms at the very same instant the one that was foreseen first comes first (SimPy's order).
    """
    start_s = phases[-1].end_s if phases else job.start_s
    links: dict[int, Link] = {}
    lasts_s = math.inf
    if job.supply is not None:
        training = compute(job.terms, job.assignment, start_s, job.limit_s)
        lasts_s = job.supply.lasts_s(job.assignment.vehicle, phases, (training,))
    for alarm in alarms(job, guard.method.forecast, guard.rsu, start_s, lasts_s):
        yield env.timeout(max(alarm.time_s - env.now, 0.0))
        carriers = carriers_of(guard, job, alarm, links)
        way = ask_fallback(fallback, view_of(guard, job, alarm, phases, carriers))
        match way.kind:
            case WayKind.GO_ON:
                continue
            case WayKind.CARRIER:
                guard.state.busy.add(way.to)
                return _handed_over(job, alarm, way, start_s, carriers[way.to])
            case WayKind.UPLOAD:
                return _uploaded(job, alarm, way, start_s)
            case WayKind.NEXT_RSU:
                return Rest(_taken(alarm, way), (), (), JobStatus.MIGRATED, job.training, job.terms)
            case WayKind.ABANDON:
                done = _trained(job, alarm, start_s)
                return Rest(_taken(alarm, way), done, (), JobStatus.ABANDONED, job.training, job.terms)
    return None


def _uploaded(job: Job, alarm: Alarm, way: Way, start_s: float) -> Rest:
    """What is trained goes up, and weighs as much as was done."""
    legs = (leg_of(job, PhaseKind.UPLINK, uplink, job.terms.contact.end_s),)
    training = replace(job.training, steps=alarm.steps)
    done = _trained(job, alarm, start_s)
    return Rest(_taken(alarm, way), done, legs, JobStatus.DELIVERED_EARLY, training, job.terms)


def _handed_over(job: Job, alarm: Alarm, way: Way, start_s: float, carrier: Carrier) -> Rest:
    """The state of the training goes to the carrier, which does the rest of the steps on its own samples, and uploads.

    Samples never leave their vehicle. Where all is trained, the carrier only uploads.
    """
    own = carrier.terms

    def sending(from_s: float, limit_s: float) -> tuple[PhaseEnd, ...]:
        return sidelink(job.terms, own, carrier.link, job.assignment.power_w, carrier.bits, from_s, limit_s)

    def finishing(from_s: float, limit_s: float) -> tuple[PhaseEnd, ...]:
        return (replace(work(own, carrier.work_s, from_s, limit_s), vehicle=way.to),)

    def uploading(from_s: float, limit_s: float) -> tuple[PhaseEnd, ...]:
        return (replace(uplink(own, job.assignment, from_s, limit_s), vehicle=way.to),)

    training = job.training
    legs = [Leg(PhaseKind.SIDELINK, min(job.terms.contact.end_s, own.contact.end_s), sending)]
    if alarm.steps < alarm.planned_steps:
        legs.append(Leg(PhaseKind.COMPUTE, own.contact.end_s, finishing))
        training = replace(training, steps=alarm.steps, carrier_samples=own.samples)
    legs.append(Leg(PhaseKind.UPLINK, own.contact.end_s, uploading))
    done = _trained(job, alarm, start_s)
    return Rest(_taken(alarm, way), done, tuple(legs), JobStatus.MIGRATED, training, own)


def _trained(job: Job, alarm: Alarm, start_s: float) -> tuple[PhaseEnd, ...]:
    """The training until the alarm; whole where no step is left."""
    return (compute(job.terms, job.assignment, start_s, alarm.time_s),)


def _taken(alarm: Alarm, way: Way) -> Taken:
    return Taken(way.kind, way.to, alarm.time_s)
