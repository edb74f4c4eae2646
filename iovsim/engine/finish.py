"""Rounds whose jobs are over become trained updates, aggregates, feedback to the policy, and rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from iovsim.domain import ARRIVED, Failure, JobEnd, JobStatus, RoundOutcome, Rsu, Update
from iovsim.engine.budgets import settle
from iovsim.engine.course import waiting
from iovsim.engine.job import Served
from iovsim.engine.records import record_round
from iovsim.engine.round import ServedRound
from iovsim.engine.state import Contribution, Setting, State
from iovsim.learning.adapter import head_of, with_head


def finish(setting: Setting, state: State, rounds: Sequence[ServedRound]) -> None:
    """Finishes all rounds of a period in the order given, which is that of the RSUs.

    Every delivered job of all rounds is submitted before the first result is asked for, so that a trainer may train
    them together. Nobody will ever see a lost update, so it is not computed.
    """
    handles = [[_submitted(setting, job) for job in over.served] for over in rounds]
    for over, of_round in zip(rounds, handles, strict=True):
        _finish_round(setting, state, over, of_round)


def _submitted(setting: Setting, served: Served) -> int | None:
    return setting.trainer.submit(served.training) if served.end.status in ARRIVED else None


def _finish_round(setting: Setting, state: State, over: ServedRound, handles: Sequence[int | None]) -> None:
    close_s = over.close_s
    jobs = tuple(_finished(setting, job, handle, close_s) for job, handle in zip(over.served, handles, strict=True))
    _aggregate(setting, state, over.rsu, jobs)
    view = over.view
    outcome = RoundOutcome(view.rsu, view.round, view.start_s, close_s, view, over.plan, jobs, _energy_by_task(jobs))
    settle(setting, state, outcome)
    setting.method.policy.feedback(outcome)
    residual_s = {s.training.vehicle: s.terms.contact.end_s - s.end.start_s for s in over.served}
    record_round(setting, state, outcome, over.estimated_j, residual_s)


def _finished(setting: Setting, served: Served, handle: int | None, close_s: float) -> JobEnd:
    """A delivered job gets what its training gave, and the time for which its client idles until the round closes."""
    job = served.end
    if handle is None:
        return job
    until_s = min(close_s, served.terms.contact.end_s)
    idle = (waiting(served.terms, job.end_s, until_s),) if until_s > job.end_s else ()
    phases = job.phases + idle
    found = setting.trainer.result(handle)
    if isinstance(found, Failure):
        return replace(job, phases=phases, status=JobStatus.FAILED, reason=found.reason, message=found.message)
    return replace(job, phases=phases, update=found)


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
