"""The world at the start of a round becomes what the policy may know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from iovsim.domain import (
    Assignment,
    Battery,
    ClientView,
    Contact,
    Device,
    Estimate,
    RoundView,
    Rsu,
    Task,
    TaskView,
    Tuning,
    World,
)
from iovsim.energy.architectures import with_blocks
from iovsim.energy.compute import feasible_ranks, room_bits
from iovsim.engine.estimate import estimate
from iovsim.engine.state import Method, State
from iovsim.engine.terms import Terms, mean_gain_at, terms_of
from iovsim.errors import PolicyError
from iovsim.rng import stream

Ranks = dict[tuple[str, Device], tuple[int, ...]]
"""Feasible ranks by task and device."""


def observe(
    world: World,
    method: Method,
    state: State,
    rsu: Rsu,
    number: int,
    start_s: float,
    battery_of: Callable[[str], Battery | None] | None = None,
) -> tuple[RoundView, dict[tuple[str, str], Terms]]:
    """The policy's view of `rsu` at `start_s`, and its clients' terms by vehicle and task, which the policy never sees.

    A client is who holds any sample of any of the RSU's tasks.
    """
    tasks = [t for t in world.tasks if t.task in rsu.tasks]
    terms: dict[tuple[str, str], Terms] = {}
    clients: list[ClientView] = []
    ranks: Ranks = {}
    for contact in world.contacts.active(rsu.rsu, start_s):
        shards = world.vehicles[contact.vehicle].shards
        every = {
            t.task: terms_of(
                world,
                contact,
                t,
                method.tuning,
                start_s,
                price_bits=method.price.bits,
                ranks_down=_ranks_down(method, state, rsu, contact, t),
            )
            for t in tasks
            if t.task in shards
        }
        own = {task: found for task, found in every.items() if len(found.samples)}
        if own:
            terms |= {(contact.vehicle, task): found for task, found in own.items()}
            battery = battery_of(contact.vehicle) if battery_of is not None else None
            clients.append(_client(method, state, rsu, contact, own, start_s, ranks, battery))
    view = RoundView(
        rsu=rsu.rsu,
        round=number,
        start_s=start_s,
        deadline_s=start_s + world.round_deadline_s,
        bandwidth_up_hz=world.radio.bandwidth_up_hz,
        bandwidth_down_hz=world.radio.bandwidth_down_hz,
        max_power_w=world.radio.vehicle_power_w,
        tasks=tuple(_task(state, rsu, t, method.tuning) for t in tasks),
        clients=tuple(clients),
        rng=stream(world.seed, "policy", rsu.rsu, number),
        estimate=_estimator(terms, start_s),
    )
    return view, terms


def _task(state: State, rsu: Rsu, task: Task, tuning: Tuning) -> TaskView:
    """A task as the policy sees it at an RSU."""
    return TaskView(
        task=task.task,
        ranks=task.ranks_of(tuning),
        local_epochs=task.local_epochs,
        energy_budget_j=state.budget_j[task.task],
        price=state.price[rsu.rsu, task.task],
        accuracy=state.validated[task.task].accuracy,
        blocks=len(task.blocks) if tuning is Tuning.LORA else 0,
    )


def _ranks_down(method: Method, state: State, rsu: Rsu, contact: Contact, task: Task) -> int | None:
    return state.ranks_behind(rsu.rsu, contact.vehicle, task.task) if method.stacks else None


def _client(
    method: Method,
    state: State,
    rsu: Rsu,
    contact: Contact,
    own: Mapping[str, Terms],
    time_s: float,
    ranks: Ranks,
    battery: Battery | None,
) -> ClientView:
    """One vehicle as the policy sees it, from its terms for each task of which it holds samples; at least one.

    `ranks` keeps what is feasible, which is the same for all vehicles of a tier.
    """
    some = next(iter(own.values()))
    low = battery is not None and battery.is_low
    x_m = float(np.interp(time_s, contact.time_s, contact.x_m))
    y_m = float(np.interp(time_s, contact.time_s, contact.y_m))
    return ClientView(
        vehicle=contact.vehicle,
        tier=some.device.tier,
        distance_m=float(np.hypot(x_m - rsu.x_m, y_m - rsu.y_m)),
        mean_gain=mean_gain_at(some.link, time_s),
        residual_contact_s=method.forecast.residual_s(contact, rsu, time_s),
        busy=contact.vehicle in state.busy,
        tasks=tuple(own),
        samples={task: len(terms.samples) for task, terms in own.items()},
        feasible_ranks={task: () if low else _feasible_ranks(method, terms, ranks) for task, terms in own.items()},
        memory_bits=room_bits(some.device),
        last_loss={
            task: state.last_loss[contact.vehicle, task] for task in own if (contact.vehicle, task) in state.last_loss
        },
        battery=battery,
    )


def _feasible_ranks(method: Method, terms: Terms, known: Ranks) -> tuple[int, ...]:
    key = terms.task.task, terms.device
    if key not in known:
        known[key] = feasible_ranks(_least(method, terms.task), terms.device, terms.tuning)
    return known[key]


def _least(method: Method, task: Task) -> Task:
    """The task with the least that a client needs of its model."""
    if not method.partial or not task.blocks:
        return task
    return replace(task, charged=with_blocks(task.charged, 1 / len(task.blocks)))


def _estimator(terms: Mapping[tuple[str, str], Terms], time_s: float) -> Callable[[Assignment], Estimate]:
    """The view's `estimate`. A closure, so that the terms, which hold the future, are no attribute of anything."""

    def predict(assignment: Assignment) -> Estimate:
        found = terms.get((assignment.vehicle, assignment.task))
        if found is None:
            raise PolicyError(
                f"vehicle {assignment.vehicle!r}: not a client of task {assignment.task!r} here, so nothing can be "
                "estimated; ask only for vehicles of view.clients and their tasks."
            )
        return estimate(found, assignment, time_s)

    return predict
