"""What happened becomes rows of the run folder's tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields

from iovsim.domain import (
    ARRIVED,
    Assignment,
    ClientView,
    Evaluation,
    JobEnd,
    JobStatus,
    Metrics,
    PhaseEnd,
    PhaseKind,
    RoundOutcome,
    Task,
    TaskUse,
    WayKind,
)
from iovsim.energy.ledger import Entry, entries
from iovsim.engine.estimate import memory_bits
from iovsim.engine.job import Job
from iovsim.engine.round import ServedRound
from iovsim.engine.state import Contribution, Setting, State
from iovsim.learning.aggregators.spectrum import stable_rank

BOOKED = tuple(column.name for column in fields(Entry))


def record_round(
    setting: Setting, state: State, outcome: RoundOutcome, over: ServedRound, arrived: Sequence[JobEnd]
) -> None:
    """The round's row for each task, and the jobs that its RSU gave, their phases and ledger entries.

    `over` is the round that `outcome` tells of; `arrived` are the jobs, of whichever RSU, that are in its aggregate.
    """
    for task in outcome.view.tasks:
        jobs = [j for j in outcome.jobs if j.assignment.task == task.task]
        delivered = [j.update for j in jobs if j.update is not None]
        spent_j = outcome.energy_j.get(task.task, 0.0)
        setting.recorder.add(
            "rounds",
            rsu=outcome.rsu,
            round=outcome.round,
            task=task.task,
            start_s=outcome.start_s,
            end_s=outcome.end_s,
            clients=sum(task.task in c.tasks for c in outcome.view.clients),
            planned=len(jobs),
            delivered=len(delivered),
            from_others=sum(j.assignment.task == task.task and j not in outcome.jobs for j in arrived),
            lost=sum(j.status not in (*ARRIVED, JobStatus.FAILED, JobStatus.IN_FLIGHT) for j in jobs),
            failed=sum(j.status is JobStatus.FAILED for j in jobs),
            energy_budget_j=task.energy_budget_j,
            estimated_j=over.estimated_j[task.task],
            energy_j=spent_j,
            overrun_j=max(spent_j - task.energy_budget_j, 0.0),
            utilisation=min(spent_j / task.energy_budget_j, 1.0) if task.energy_budget_j > 0 else None,
            price=task.price,
            loss_before=_mean([u.loss_before for u in delivered]),
            loss_after=_mean([u.loss_after for u in delivered]),
            samples=sum(u.samples for u in delivered),
            mean_rank=_mean([j.assignment.rank for j in jobs]),
        )
    clients = {c.vehicle: c for c in outcome.view.clients}
    given = {s.job.assignment.vehicle: s.job for s in over.served}
    for job in outcome.jobs:
        vehicle = job.assignment.vehicle
        _record_job(setting, state, outcome, job, clients[vehicle], given[vehicle])


def _record_job(
    setting: Setting, state: State, outcome: RoundOutcome, job: JobEnd, client: ClientView, begun: Job
) -> None:
    number = state.jobs
    state.jobs += 1
    given = job.assignment
    setting.recorder.add(
        "jobs",
        job=number,
        rsu=outcome.rsu,
        round=outcome.round,
        task=given.task,
        vehicle=given.vehicle,
        contact=job.contact,
        tier=client.tier,
        rank=given.rank,
        blocks_left_out=_left_out(given, outcome),
        local_epochs=given.local_epochs,
        samples=client.samples[given.task],
        bandwidth_down_hz=given.bandwidth_down_hz,
        bandwidth_up_hz=given.bandwidth_up_hz,
        power_w=given.power_w,
        start_s=job.start_s,
        end_s=job.end_s,
        status=str(job.status),
        reason=str(job.reason),
        message=job.message,
        fallback=str(job.fallback.kind) if job.fallback else "",
        fallback_s=job.fallback.time_s if job.fallback else None,
        carrier=job.fallback.to if job.fallback and job.fallback.kind is WayKind.CARRIER else "",
        arrived_at=job.arrived_at,
        distance_m=client.distance_m,
        forecast_residual_s=client.residual_contact_s,
        memory_bits=memory_bits(begun.terms, given),
        downlink_bits=_bits(job.phases, PhaseKind.DOWNLINK),
        uplink_bits=_bits(job.phases, PhaseKind.UPLINK),
        sidelink_bits=_bits(job.phases, PhaseKind.SIDELINK),
        energy_j=job.energy_j,
        loss_before=job.update.loss_before if job.update else None,
        loss_after=job.update.loss_after if job.update else None,
        fraction=job.update.fraction if job.update else None,
    )
    aggregated = job.status in ARRIVED
    booked = entries(job.phases, rsu=outcome.rsu, vehicle=given.vehicle, task=given.task, aggregated=aggregated)
    setting.recorder.add_rows("energy", ({name: getattr(entry, name) for name in BOOKED} for entry in booked))
    for phase in job.phases:
        setting.recorder.add(
            "phases",
            job=number,
            phase=str(phase.kind),
            vehicle=phase.vehicle or given.vehicle,
            rsu=phase.rsu or outcome.rsu,
            start_s=phase.start_s,
            end_s=phase.end_s,
            completed=phase.completed,
            bits=phase.bits,
            vehicle_j=phase.vehicle_j,
            rsu_j=phase.rsu_j,
        )


def _left_out(given: Assignment, outcome: RoundOutcome) -> int:
    known = next(task.blocks for task in outcome.view.tasks if task.task == given.task)
    return 0 if given.blocks is None else known - len(given.blocks)


def record_merge(
    setting: Setting, state: State, time_s: float, task: str, contributions: Mapping[str, Contribution]
) -> None:
    """One merge of one task across RSUs."""
    adapter = state.merged[task]
    setting.recorder.add(
        "merges",
        time_s=time_s,
        merge=state.merges,
        task=task,
        rsus=len(contributions),
        updates=sum(c.updates for c in contributions.values()),
        samples=sum(c.samples for c in contributions.values()),
        rank=adapter.rank,
        stable_rank=stable_rank(adapter),
    )


def record_budget(setting: Setting, state: State, time_s: float, rounds: int, task: TaskUse, granted_j: float) -> None:
    """What the budget rule was told of a task, and what it granted."""
    setting.recorder.add(
        "budgets",
        time_s=time_s,
        merge=state.merges,
        task=task.task,
        rounds=rounds,
        granted_j=task.granted_j,
        used_j=task.used_j,
        overrun_j=task.overrun_j,
        utilisation=task.utilisation,
        loss=task.loss,
        accuracy=task.accuracy,
        budget_before_j=task.budget_j,
        budget_j=granted_j,
    )


def record_evaluation(setting: Setting, state: State, time_s: float, task: str, evaluation: Evaluation) -> None:
    """The merged adapter on the task's held-out samples."""
    _record_metrics(setting, state, time_s, task, "global", "", evaluation.overall)
    for name, metrics in evaluation.by_class.items():
        _record_metrics(setting, state, time_s, task, "class", name, metrics)
    for district, metrics in evaluation.by_district.items():
        _record_metrics(setting, state, time_s, task, "district", str(district), metrics)


def record_validation(setting: Setting, state: State, time_s: float, task: str, metrics: Metrics) -> None:
    """The merged adapter on the task's validation samples."""
    _record_metrics(setting, state, time_s, task, "validation", "", metrics)


def record_vehicle_evaluations(setting: Setting, state: State, time_s: float, task: Task) -> None:
    """The merged adapter on the own held-out samples that the evaluated vehicles hold by now, local heads their own."""
    world, name = setting.world, task.task
    held = {v: world.vehicles[v].shards[name].held_test(time_s) for v in world.evaluated_vehicles[name]}
    vehicles = [v for v, samples in held.items() if len(samples)]
    shards = [held[v] for v in vehicles]
    heads = [state.head(v, name) if task.local_head else None for v in vehicles]
    found = setting.trainer.evaluate_shards(name, state.merged[name], shards, heads)
    for vehicle, metrics in zip(vehicles, found, strict=True):
        _record_metrics(setting, state, time_s, name, "vehicle", vehicle, metrics)


def _record_metrics(
    setting: Setting, state: State, time_s: float, task: str, scope: str, subject: str, metrics: Metrics
) -> None:
    setting.recorder.add(
        "evaluations",
        time_s=time_s,
        merge=state.merges,
        scope=scope,
        task=task,
        subject=subject,
        samples=metrics.samples,
        accuracy=metrics.accuracy,
        macro_f1=metrics.macro_f1,
        loss=metrics.loss,
        calibration_error=metrics.calibration_error,
    )


def _bits(phases: Sequence[PhaseEnd], kind: PhaseKind) -> float:
    return sum(p.bits for p in phases if p.kind is kind)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
