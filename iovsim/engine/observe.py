"""The world at the start of a round becomes what the policy may know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from iovsim.domain import Assignment, ClientView, Contact, Estimate, RoundView, Rsu, Task, TaskView, Tuning, World
from iovsim.energy.compute import feasible_ranks
from iovsim.engine.estimate import estimate
from iovsim.engine.state import Method, State
from iovsim.engine.terms import Terms, mean_gain_at, terms_of
from iovsim.errors import PolicyError
from iovsim.rng import stream


def observe(
    world: World, method: Method, state: State, rsu: Rsu, number: int, start_s: float
) -> tuple[RoundView, dict[str, Contact]]:
    """The policy's view of `rsu` at `start_s`, and the contacts behind its clients (which the policy never sees)."""
    tasks = [t for t in world.tasks if t.task in rsu.tasks]
    contacts = {c.vehicle: c for c in world.contacts.active(rsu.rsu, start_s)}
    terms = {
        (v, t.task): terms_of(world, c, t, method.tuning, start_s)
        for v, c in contacts.items()
        for t in tasks
        if t.task in world.vehicles[v].shards and len(world.vehicles[v].shards[t.task].held(start_s))
    }
    views = (_client(world, method, state, rsu, c, tasks, terms, start_s) for c in contacts.values())
    view = RoundView(
        rsu=rsu.rsu,
        round=number,
        start_s=start_s,
        deadline_s=start_s + world.round_deadline_s,
        bandwidth_up_hz=world.radio.bandwidth_up_hz,
        bandwidth_down_hz=world.radio.bandwidth_down_hz,
        max_power_w=world.radio.vehicle_power_w,
        tasks=tuple(task_view(state, t, method.tuning) for t in tasks),
        clients=tuple(c for c in views if c.tasks),
        rng=stream(world.seed, "policy", rsu.rsu, number),
        estimate=_estimator(terms, start_s),
    )
    return view, contacts


def task_view(state: State, task: Task, tuning: Tuning) -> TaskView:
    """What a policy may know of a task."""
    return TaskView(
        task=task.task,
        ranks=task.ranks_of(tuning),
        local_epochs=task.local_epochs,
        energy_budget_j=state.budget_j[task.task],
        price=0.0,
        accuracy=state.accuracy[task.task],
    )


def _client(
    world: World,
    method: Method,
    state: State,
    rsu: Rsu,
    contact: Contact,
    tasks: list[Task],
    terms: dict[tuple[str, str], Terms],
    time_s: float,
) -> ClientView:
    vehicle = world.vehicles[contact.vehicle]
    own = [t for t in tasks if (contact.vehicle, t.task) in terms]
    link = world.links.link(contact.contact)
    x_m = float(np.interp(time_s, contact.time_s, contact.x_m))
    y_m = float(np.interp(time_s, contact.time_s, contact.y_m))
    return ClientView(
        vehicle=contact.vehicle,
        tier=vehicle.device.tier,
        distance_m=float(np.hypot(x_m - rsu.x_m, y_m - rsu.y_m)),
        mean_gain=mean_gain_at(link, time_s),
        residual_contact_s=method.forecast.residual_s(contact, rsu, time_s),
        busy=contact.vehicle in state.busy,
        tasks=tuple(t.task for t in own),
        samples={t.task: len(terms[contact.vehicle, t.task].samples) for t in own},
        feasible_ranks={t.task: feasible_ranks(t, vehicle.device, method.tuning) for t in own},
        last_loss={
            t.task: state.last_loss[contact.vehicle, t.task]
            for t in own
            if (contact.vehicle, t.task) in state.last_loss
        },
    )


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
