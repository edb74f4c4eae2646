"""An alarm becomes what may still be done with the job, as far as can be foreseen, and what the fallback may know."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from iovsim.domain import FallbackView, Link, PhaseEnd, Rsu, Way, WayKind, World
from iovsim.energy.compute import optimiser_bits, room_bits, train_flops, train_j, train_s, training_memory_bits
from iovsim.energy.radio_energy import sidelink_j, uplink_j, waiting_j
from iovsim.engine.alarm import Alarm
from iovsim.engine.estimate import upload_s
from iovsim.engine.job import Job
from iovsim.engine.sidelink import sending_s
from iovsim.engine.state import Method, State
from iovsim.engine.supply import Supply
from iovsim.engine.terms import Terms, charged, terms_of, up_bits


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """What watching over the jobs of one RSU round takes."""

    world: World
    method: Method
    state: State
    rsu: Rsu
    number: int  # of the round
    supply: Supply | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Carrier:
    """A vehicle that could take a job over, the link to it, what goes over that, and how long the rest would take."""

    terms: Terms
    link: Link
    bits: float
    work_s: float
    way: Way


def view_of(
    guard: Guard, job: Job, alarm: Alarm, phases: Sequence[PhaseEnd], carriers: Mapping[str, Carrier]
) -> FallbackView:
    """What the fallback may know at an alarm; `phases` are those before the training."""
    task, vehicle = job.assignment.task, job.assignment.vehicle
    trained_j = train_j(job.terms.device, alarm.trained_s)
    return FallbackView(
        rsu=guard.rsu.rsu,
        round=guard.number,
        task=task,
        vehicle=vehicle,
        time_s=alarm.time_s,
        deadline_s=job.assignment.deadline_s,
        residual_contact_s=alarm.residual_s,
        steps=alarm.steps,
        planned_steps=alarm.planned_steps,
        step_s=(alarm.trained_s + alarm.left_s) / alarm.planned_steps,
        upload_s=alarm.upload_s,
        power_w=job.assignment.power_w,
        spent_j=math.fsum([trained_j, *(p.vehicle_j for p in phases), *(p.rsu_j for p in phases)]),
        accuracy=guard.state.validated[task].accuracy,
        best_loss=guard.state.best_loss.get(task),
        own_loss=guard.state.last_loss.get((vehicle, task)),
        ways=(*_own_ways(guard, job, alarm), *(c.way for c in carriers.values()), Way(WayKind.ABANDON, fraction=0.0)),
    )


def _own_ways(guard: Guard, job: Job, alarm: Alarm) -> list[Way]:
    """What the vehicle can do by itself. What is sent at the next RSU is foreseen to take as long as here, now, since
    the vehicle is at the border of both."""
    ways = []
    device, given = job.terms.device, job.assignment
    in_time_s = given.deadline_s - alarm.time_s
    sending_j = _uplink_j(job.terms, job, alarm.upload_s)
    whole_s, whole_j = alarm.left_s + alarm.upload_s, train_j(device, alarm.left_s) + sending_j
    if not alarm.has_left:
        ways.append(Way(WayKind.GO_ON, "", whole_s, whole_j))
    if 0 < alarm.steps < alarm.planned_steps and alarm.upload_s <= min(alarm.residual_s, in_time_s):
        done = alarm.steps / alarm.planned_steps
        ways.append(Way(WayKind.UPLOAD, "", alarm.upload_s, sending_j, fraction=done))
    hosts = [rsu for rsu in guard.world.rsus if given.task in rsu.tasks]
    later = [c for c in guard.world.contacts.of_vehicle(given.vehicle) if c.start_s > job.terms.contact.start_s]
    foreseen = guard.method.forecast.next_rsu(job.terms.contact, hosts, later, alarm.time_s)
    if foreseen is not None:
        rsu, arrives_s = foreseen
        idle_s = max(arrives_s - alarm.left_s, 0.0)
        if whole_s + idle_s <= in_time_s:
            ways.append(Way(WayKind.NEXT_RSU, rsu, whole_s + idle_s, whole_j + waiting_j(device, idle_s)))
    return ways


def carriers_of(guard: Guard, job: Job, alarm: Alarm, links: dict[int, Link]) -> dict[str, Carrier]:
    """By name the vehicles that, as foreseen, would finish the job in time, before they leave the same RSU themselves.

    They hold samples of the task, have the memory for the rank and charge to spare, and have no job now; nothing
    trained yet is nothing to hand over. A head that stays in its vehicle cannot be trained on in another. `links` keeps
    what is worked out of the sidelinks, by the other vehicle's contact, until the job's next alarm.
    """
    terms, given = job.terms, job.assignment
    if alarm.has_left or alarm.steps == 0 or (alarm.left_s > 0 and terms.task.local_head):
        return {}
    bits = up_bits(terms, given)
    model = replace(terms.task, charged=charged(terms, given))
    if alarm.left_s > 0:
        bits += optimiser_bits(model, given.rank, terms.tuning)
    found = {}
    for contact in guard.world.contacts.active(guard.rsu.rsu, alarm.time_s):
        shards = guard.world.vehicles[contact.vehicle].shards
        if contact.vehicle in guard.state.busy or contact.vehicle == given.vehicle or given.task not in shards:
            continue
        if guard.supply is not None and guard.supply.is_low(contact.vehicle, alarm.time_s):
            continue
        own = terms_of(guard.world, contact, terms.task, terms.tuning, alarm.time_s)
        if len(own.samples) and training_memory_bits(model, given.rank, own.tuning) <= room_bits(own.device):
            if contact.contact not in links:
                links[contact.contact] = guard.world.sidelinks.link(terms.contact, contact)
            carrier = _carrier(job, alarm, own, links[contact.contact], bits)
            stays_s = guard.method.forecast.residual_s(contact, guard.rsu, alarm.time_s)
            in_time_s = min(stays_s, given.deadline_s - alarm.time_s)
            if carrier.way.sidelink_s <= alarm.residual_s and carrier.way.takes_s <= in_time_s:
                found[contact.vehicle] = carrier
    return found


def _carrier(job: Job, alarm: Alarm, own: Terms, link: Link, bits: float) -> Carrier:
    """The vehicle of `own` as a carrier: it does the steps that are left, and sends on the job's share of the band."""
    given = job.assignment
    samples = given.local_epochs * len(job.terms.samples)
    flops = train_flops(charged(own, given), given.rank, samples, own.tuning)
    work_s = train_s(own.device, flops) * (1.0 - alarm.steps / alarm.planned_steps)
    air_s = sending_s(own.radio, link, given.power_w, bits, alarm.time_s)
    up_s = upload_s(own, given, alarm.time_s)
    energy_j = (
        sum(sidelink_j(job.terms.device, own.device, given.power_w, air_s))
        + train_j(own.device, work_s)
        + _uplink_j(own, job, up_s)
    )
    way = Way(WayKind.CARRIER, own.contact.vehicle, air_s + work_s + up_s, energy_j, air_s)
    return Carrier(own, link, bits, work_s, way)


def _uplink_j(terms: Terms, job: Job, seconds: float) -> float:
    given = job.assignment
    if math.isinf(seconds):
        return math.inf
    return sum(uplink_j(terms.device, terms.radio, given.bandwidth_up_hz, given.power_w, seconds))
