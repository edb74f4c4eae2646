"""One round of one RSU as a SimPy process: observe, plan, admit, serve every job, aggregate, feed back, record."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial

import simpy

from iovsim.domain import (
    ARRIVED,
    Adapter,
    Assignment,
    Contact,
    JobEnd,
    RoundOutcome,
    RoundPlan,
    RoundView,
    Rsu,
    TrainJob,
    Update,
    World,
)
from iovsim.engine.admit import admit
from iovsim.engine.ask import ask
from iovsim.engine.course import FEDERATED_COURSE, waiting
from iovsim.engine.job import Served, serve
from iovsim.engine.observe import observe
from iovsim.engine.records import record_round
from iovsim.engine.state import Contribution, Setting, State
from iovsim.engine.terms import Terms, terms_of
from iovsim.learning.adapter import head_of, with_head
from iovsim.rng import seed_of


def run_round(
    env: simpy.Environment, setting: Setting, state: State, rsu: Rsu, number: int, start_s: float
) -> Generator[simpy.Event, object, None]:
    """Round `number` of `rsu`, from `start_s`, which is now, until its last job has ended."""
    view, contacts = observe(setting.world, setting.method, state, rsu, number, start_s)
    plan = ask(setting.method.policy, view)
    estimated_j = admit(view, plan, refuse_over_budget=setting.world.refuse_over_budget)
    served = yield from _serve_all(env, setting, state, view, plan, contacts)
    close_s = max((s.end.end_s for s in served), default=start_s)
    jobs = tuple(_finished(setting, s, close_s) for s in served)
    _aggregate(setting, state, rsu, jobs)
    outcome = RoundOutcome(rsu.rsu, number, start_s, close_s, view, plan, jobs, _energy_by_task(jobs))
    setting.method.policy.feedback(outcome)
    record_round(setting, state, outcome, estimated_j, contacts)


def _serve_all(
    env: simpy.Environment,
    setting: Setting,
    state: State,
    view: RoundView,
    plan: RoundPlan,
    contacts: dict[str, Contact],
) -> Generator[simpy.Event, Served, list[Served]]:
    """Starts every job, in order of vehicle, and waits for all."""
    tasks = {t.task: t for t in setting.world.tasks}
    starts = _starting_points(setting, state, view, plan)
    processes = []
    for vehicle in sorted(plan.assignments):
        assignment = plan.assignments[vehicle]
        terms = terms_of(setting.world, contacts[vehicle], tasks[assignment.task], setting.method.tuning, view.start_s)
        start = starts[assignment.task, assignment.rank]
        if terms.task.local_head:
            start = with_head(start, state.head(vehicle, assignment.task))
        training = _train_job(setting.world, view, assignment, terms, start)
        submit = partial(setting.trainer.submit, training)
        state.busy.add(vehicle)
        job = serve(env, terms, assignment, FEDERATED_COURSE, submit, view.start_s, setting.world.end_s)
        processes.append(env.process(job))
    served: list[Served] = []
    for process in processes:
        served.append((yield process))
        state.busy.discard(served[-1].end.assignment.vehicle)
    return served


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


def _train_job(world: World, view: RoundView, assignment: Assignment, terms: Terms, start: Adapter) -> TrainJob:
    """Everything that the client's training depends on."""
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
        seed=seed_of(world.seed, "training", assignment.task, view.rsu, view.round, assignment.vehicle),
    )


def _finished(setting: Setting, served: Served, close_s: float) -> JobEnd:
    """A delivered job gets its training's result, and the time for which its client idles until the round closes.

    Results are asked for only where they arrived: nobody will ever see a lost update, so it need not be computed.
    """
    job = served.end
    if served.handle is None:
        return job
    if job.status not in ARRIVED:
        setting.trainer.drop(served.handle)
        return job
    until_s = min(close_s, served.terms.contact.end_s)
    idle = (waiting(served.terms, job.end_s, until_s),) if until_s > job.end_s else ()
    return replace(job, phases=job.phases + idle, update=setting.trainer.result(served.handle))


def _aggregate(setting: Setting, state: State, rsu: Rsu, jobs: Sequence[JobEnd]) -> None:
    """Joins what arrived into the RSU's adapters, task by task, and remembers its weight for the next merge.

    Heads that stay local never reach the RSU, whose adapter keeps the one that everybody began with; a vehicle keeps
    that of its latest delivered update.
    """
    local = {t.task for t in setting.world.tasks if t.local_head}
    for task in rsu.tasks:
        arrived: list[Update] = []
        for job in jobs:
            if job.update is not None and job.assignment.task == task:
                arrived.append(job.update)
                state.last_loss[job.assignment.vehicle, task] = job.update.loss_after
                if task in local:
                    state.heads[job.assignment.vehicle, task] = head_of(job.update.adapter)
        if arrived:
            if task in local:
                first = head_of(state.initial[task])
                arrived = [replace(u, adapter=with_head(u.adapter, first)) for u in arrived]
            state.local[rsu.rsu, task] = setting.method.aggregator.aggregate(state.local[rsu.rsu, task], arrived)
            contribution = state.contributions.setdefault((rsu.rsu, task), Contribution())
            contribution.updates += len(arrived)
            contribution.samples += sum(u.samples for u in arrived)
            contribution.weight += sum(u.samples * u.fraction for u in arrived)


def _energy_by_task(jobs: Sequence[JobEnd]) -> dict[str, float]:
    return {
        task: math.fsum(j.energy_j for j in jobs if j.assignment.task == task)
        for task in sorted({j.assignment.task for j in jobs})
    }
