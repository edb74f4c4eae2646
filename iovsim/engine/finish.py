"""Rounds whose jobs are over become trained updates, aggregates, feedback to the policy, and rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from iovsim.domain import ARRIVED, Failure, JobEnd, JobStatus, PhaseEnd, PhaseKind, RoundOutcome, Rsu, Update, WayKind
from iovsim.engine.budgets import settle
from iovsim.engine.course import waiting
from iovsim.engine.job import Served
from iovsim.engine.records import record_round
from iovsim.engine.round import ServedRound
from iovsim.engine.state import Contribution, Setting, State
from iovsim.learning.adapter import beside, head_of, with_head


def finish(setting: Setting, state: State, rounds: Sequence[ServedRound]) -> list[JobEnd]:
    """Finishes all rounds of a period in the order given, which is that of the RSUs, and returns their jobs.

    Every delivered job of all rounds is submitted before the first result is asked for, so that a trainer may train
    them together. Nobody will ever see a lost update, so it is not computed.
    """
    handles = [[_submitted(setting, job) for job in over.served] for over in rounds]
    closing = _Closing({over.rsu.rsu: over.close_s for over in rounds}, _takeovers(rounds))
    ends = [
        tuple(_finished(setting, job, handle, closing) for job, handle in zip(over.served, of_round, strict=True))
        for over, of_round in zip(rounds, handles, strict=True)
    ]
    arrived = [job for jobs in ends for job in jobs if job.update is not None]
    for over, jobs in zip(rounds, ends, strict=True):
        here = [job for job in arrived if job.arrived_at == over.rsu.rsu]
        _aggregate(setting, state, over.rsu, here)
        _close(setting, state, over, jobs, here)
    _remember(state, arrived)
    return [job for jobs in ends for job in jobs]


def _submitted(setting: Setting, served: Served) -> int | None:
    return setting.trainer.submit(served.training) if served.end.status in ARRIVED else None


@dataclass(frozen=True, slots=True)
class _Closing:
    """Until when clients that have delivered wait."""

    close_s: Mapping[str, float]  # of each RSU's round
    takeovers_s: Mapping[str, Sequence[float]]  # by carrier, when it took over each of its jobs

    def until_s(self, served: Served) -> float:
        """The round closes where its update arrived, the vehicle that brought it leaves, or takes a job over."""
        contact = served.last.contact
        busy = [at_s for at_s in self.takeovers_s.get(contact.vehicle, ()) if at_s >= served.end.end_s]
        return min([self.close_s[contact.rsu], contact.end_s, *busy])


def _takeovers(rounds: Sequence[ServedRound]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for over in rounds:
        for served in over.served:
            taken = served.end.fallback
            if taken is not None and taken.kind is WayKind.CARRIER:
                found.setdefault(taken.to, []).append(taken.time_s)
    return found


def _finished(setting: Setting, served: Served, handle: int | None, closing: _Closing) -> JobEnd:
    """A delivered job gets what its training gave, and the time for which its client idles until the round closes.

    What was trained beside another adapter counts together with it.
    """
    job = served.end
    if handle is None:
        return job
    until_s = closing.until_s(served)
    idle = (_idling(served, until_s),) if until_s > job.end_s else ()
    phases = job.phases + idle
    found = setting.trainer.result(handle)
    if isinstance(found, Failure):
        failed = replace(job, phases=phases, status=JobStatus.FAILED, arrived_at="")
        return replace(failed, reason=found.reason, message=found.message)
    base = served.training.base
    update = found if base is None else replace(found, adapter=beside(base, found.adapter))
    return replace(job, phases=phases, update=update)


def _idling(served: Served, until_s: float) -> PhaseEnd:
    """Of the vehicle that uploaded."""
    upload = served.end.phases[-1]
    return replace(waiting(served.last, upload.end_s, until_s), vehicle=upload.vehicle, rsu=upload.rsu)


def _remember(state: State, arrived: Sequence[JobEnd]) -> None:
    """The lowest loss that this period's updates brought, by task."""
    losses: dict[str, list[float]] = {}
    for job in arrived:
        if job.update is not None:
            losses.setdefault(job.assignment.task, []).append(job.update.loss_after)
    state.best_loss |= {task: min(of_task) for task, of_task in losses.items()}


def _close(
    setting: Setting, state: State, over: ServedRound, jobs: tuple[JobEnd, ...], arrived: Sequence[JobEnd]
) -> None:
    """Tells the policy what became of the jobs that the RSU gave, wherever they ended, and records it."""
    _note_downloads(state, over.served)
    view = over.view
    spent_j = _energy_by_task(jobs)
    outcome = RoundOutcome(view.rsu, view.round, view.start_s, over.close_s, view, over.plan, jobs, spent_j)
    settle(setting, state, outcome)
    setting.method.policy.feedback(outcome)
    record_round(setting, state, outcome, over, arrived)


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
            contribution.held.update(*(u.adapter.tensors for u in arrived))
            contribution.ranks += sum(j.assignment.rank for j in jobs if j.update and j.assignment.task == task)
            contribution.samples += sum(u.samples for u in arrived)
            contribution.weight += sum(u.samples * u.fraction for u in arrived)


def _note_downloads(state: State, served: Sequence[Served]) -> None:
    """Remembers up to where vehicles have got what was merged, whatever became of their jobs then."""
    for job in served:
        if any(phase.kind is PhaseKind.DOWNLINK and phase.completed for phase in job.end.phases):
            given = job.end.assignment
            state.fetched_ranks[given.vehicle, given.task] = state.merged_ranks.get(given.task, 0)


def _energy_by_task(jobs: Sequence[JobEnd]) -> dict[str, float]:
    return {
        task: math.fsum(j.energy_j for j in jobs if j.assignment.task == task)
        for task in sorted({j.assignment.task for j in jobs})
    }
