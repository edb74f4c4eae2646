"""One round of one RSU: observe, plan, admit; then, as a SimPy process, serve every job until all are over."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import simpy

from iovsim.domain import Adapter, Assignment, RoundPlan, RoundView, Rsu, TrainJob
from iovsim.engine.admit import admit
from iovsim.engine.ask import ask
from iovsim.engine.course import FEDERATED_COURSE
from iovsim.engine.fallback import watch
from iovsim.engine.job import Job, Served, Watch, serve
from iovsim.engine.observe import observe
from iovsim.engine.state import Setting, State
from iovsim.engine.supply import Supply, supply_of, taken_j
from iovsim.engine.terms import Terms, as_driven
from iovsim.engine.ways import Guard
from iovsim.learning.adapter import has_learnt, with_head, without
from iovsim.rng import seed_of


@dataclass(frozen=True, slots=True, eq=False)
class OpenRound:
    """A round with its admitted plan, before anything of it has happened."""

    rsu: Rsu
    view: RoundView
    plan: RoundPlan
    estimated_j: Mapping[str, float]  # by task
    terms: Mapping[tuple[str, str], Terms]  # by vehicle and task


@dataclass(frozen=True, slots=True, eq=False)
class ServedRound:
    """A round whose jobs are over and not yet trained, with all that it began with."""

    rsu: Rsu
    view: RoundView
    plan: RoundPlan
    estimated_j: Mapping[str, float]  # by task
    served: tuple[Served, ...]  # sorted by vehicle

    @property
    def close_s(self) -> float:
        """When the last of its jobs ended, or went on to another RSU; it does not wait for those of others."""
        return max((s.released_s for s in self.served), default=self.view.start_s)


def open_round(setting: Setting, state: State, rsu: Rsu, number: int, start_s: float) -> OpenRound:
    """Round `number` of `rsu`, from `start_s`, which is now."""
    supply = supply_of(setting, state)
    battery_of = supply.batteries.of if supply is not None else None
    view, terms = observe(setting.world, setting.method, state, rsu, number, start_s, battery_of)
    plan = ask(setting.method.policy, view)
    estimated_j = admit(view, plan, refuse_over_budget=setting.world.refuse_over_budget)
    return OpenRound(rsu, view, plan, estimated_j, terms)


def serve_round(
    env: simpy.Environment, setting: Setting, state: State, opened: OpenRound
) -> Generator[simpy.Event, simpy.events.ConditionValue, ServedRound]:
    """The round until its last job has ended. Starts every job, in order of vehicle, and waits for all."""
    rsu, view, plan = opened.rsu, opened.view, opened.plan
    starts = _starting_points(setting, state, view, plan)
    supply = supply_of(setting, state)
    watching = _watch(setting, state, rsu, view, supply)
    processes = []
    for vehicle in sorted(plan.assignments):
        assignment = plan.assignments[vehicle]
        own = as_driven(setting.world, opened.terms[vehicle, assignment.task])
        start = starts[assignment.task, assignment.rank]
        if assignment.blocks is not None:
            start = without(start, _left_out(assignment, own))
        if own.task.local_head:
            start = with_head(start, state.head(vehicle, assignment.task))
        training = _train_job(setting, state, view, assignment, own, start)
        state.busy.add(vehicle)
        job = Job(own, assignment, training, view.start_s, setting.world.end_s, supply)
        processes.append(env.process(_busy_meanwhile(state, serve(env, job, FEDERATED_COURSE, watching))))
    over = yield env.all_of(processes)
    return ServedRound(rsu, view, plan, opened.estimated_j, tuple(over.values()))


def _busy_meanwhile(
    state: State, serving: Generator[simpy.Event, None, Served]
) -> Generator[simpy.Event, None, Served]:
    """At its end, frees the vehicle and its carrier, and notes what it took of their batteries; one that goes on to the
    next RSU stays busy."""
    served = yield from serving
    if served.went_on is None:
        for vehicle, energy_j in taken_j([served.end]).items():
            state.spent_j[vehicle] = state.spent_j.get(vehicle, 0.0) + energy_j
        state.busy -= {served.job.assignment.vehicle, served.last.contact.vehicle}
    return served


def _watch(setting: Setting, state: State, rsu: Rsu, view: RoundView, supply: Supply | None) -> Watch | None:
    """Over the round's jobs in training; nobody watches where the method has no fallback."""
    fallback = setting.method.fallback
    if fallback is None:
        return None
    return partial(watch, Guard(setting.world, setting.method, state, rsu, view.round, supply), fallback)


def _starting_points(
    setting: Setting, state: State, view: RoundView, plan: RoundPlan
) -> dict[tuple[str, int], Adapter]:
    """The RSU's adapters as they are when the round begins, by task and rank: clients of equal rank begin alike."""
    return {
        (task, rank): setting.method.aggregator.redistribute(
            state.local[view.rsu, task], rank, seed_of(setting.world.seed, "new directions", task, view.round)
        )
        for task, rank in sorted({(a.task, a.rank) for a in plan.assignments.values()})
    }


def _train_job(
    setting: Setting, state: State, view: RoundView, assignment: Assignment, terms: Terms, start: Adapter
) -> TrainJob:
    """Everything that the client's training depends on."""
    method, known = setting.method, state.local[view.rsu, assignment.task]
    return TrainJob(
        task=assignment.task,
        vehicle=assignment.vehicle,
        round=view.round,
        rsu=view.rsu,
        adapter=start,
        samples=terms.samples,
        epochs=assignment.local_epochs,
        recipe=replace(terms.task.recipe, learning_rate=terms.task.learning_rates[terms.tuning]),
        dropout=terms.task.lora.dropout,
        seed=seed_of(setting.world.seed, "training", assignment.task, view.rsu, view.round, assignment.vehicle),
        base=known if method.stacks and has_learnt(known) else None,
        pruning=method.pruning if assignment.rank else None,
        left_out=_left_out(assignment, terms),
    )


def _left_out(assignment: Assignment, terms: Terms) -> tuple[str, ...]:
    """The names of the blocks that the client has not."""
    if assignment.blocks is None:
        return ()
    return tuple(name for number, name in enumerate(terms.task.blocks) if number not in assignment.blocks)
