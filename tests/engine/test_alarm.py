"""Alarms are raised at step boundaries, and exactly where the job would not be done in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import simpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iovsim.domain import Assignment, ContactEnd, JobStatus, Recipe, Rsu, TrainJob
from iovsim.engine.alarm import alarms
from iovsim.engine.course import FEDERATED_COURSE
from iovsim.engine.estimate import upload_s
from iovsim.engine.job import Job, Served, serve
from iovsim.engine.terms import Terms, compute_s
from iovsim.mobility.forecast import OracleForecast
from iovsim.testing import FakeTrainer

Make = Callable[[float], Terms]
RSU = Rsu("rsu0", 0.0, 0.0, 5.0, 200.0, ("signs",))
EPOCHS, STEPS = 4, 12


def job_of(terms: Terms, deadline_s: float = 90.0, horizon_s: float = 100.0) -> Job:
    """Four epochs of 48 samples in batches of 16."""
    adapter = FakeTrainer().initial("signs", 8, 0)
    training = TrainJob("signs", "v0", 0, "rsu0", adapter, terms.samples, EPOCHS, Recipe(1e-3, 16), 0.0, seed=0)
    assert training.planned_steps == STEPS
    return Job(terms, Assignment("v0", "signs", 8, EPOCHS, 2e6, 2e6, 0.2, deadline_s), training, 0.0, horizon_s)


def parts_s(terms: Terms) -> tuple[float, float, float]:
    """What download, training and upload take."""
    whole = served(job_of(terms)).end.phases
    down, compute, up = (p.end_s - p.start_s for p in whole)
    return down, compute, up


def served(job: Job) -> Served:
    env = simpy.Environment()
    process = env.process(serve(env, job, FEDERATED_COURSE))
    env.run()
    assert isinstance(process.value, Served)
    return process.value


@settings(derandomize=True, deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.01, 1.3).filter(lambda share: abs(share - 1.0) > 1e-9))
def test_with_the_truth_and_a_constant_gain_there_are_alarms_if_and_only_if_the_job_is_lost(
    terms: Make, share: float
) -> None:
    down_s, work_s, up_s = parts_s(terms(80.0))
    end_s = down_s + share * (work_s + up_s)
    job = job_of(terms(end_s))
    found = list(alarms(job, OracleForecast(), RSU, down_s))
    outcome = served(job).end.status
    assert bool(found) == (outcome is not JobStatus.DELIVERED)
    boundaries = down_s + work_s * np.arange(STEPS + 1) / STEPS
    inside = [a for a in found if not a.has_left]
    assert [a.steps for a in inside] == list(range(len(inside))), "known from the first step on"
    assert [a.time_s for a in inside] == pytest.approx(boundaries[: len(inside)])
    for alarm in inside:
        assert alarm.residual_s == end_s - alarm.time_s
        assert alarm.trained_s + alarm.left_s == pytest.approx(work_s)
        assert alarm.upload_s == pytest.approx(up_s)
        assert alarm.residual_s < alarm.left_s + alarm.upload_s
    if outcome is JobStatus.LOST_COMPUTE:
        assert found[-1].has_left
        assert (found[-1].time_s, found[-1].residual_s) == (end_s, 0.0)
        assert found[-1].steps == int(np.searchsorted(boundaries, end_s, side="left")) - 1
        assert found[-1].trained_s == pytest.approx(end_s - down_s)
    elif found:
        assert not any(a.has_left for a in found), "whose training is over is sending when it leaves"


class Wrong:
    """Foresees what it is told, whatever happens."""

    def __init__(self, residual_s: float) -> None:
        self.told_s = residual_s

    def residual_s(self, *_: object) -> float:
        return self.told_s

    def next_rsu(self, *_: object) -> None:
        return None


def test_a_forecast_that_never_warns_raises_an_alarm_only_when_the_vehicle_has_left(terms: Make) -> None:
    down_s, work_s, _ = parts_s(terms(80.0))
    job = job_of(terms(down_s + 0.3 * work_s))
    (alarm,) = alarms(job, Wrong(1e9), RSU, down_s)
    assert (alarm.has_left, alarm.time_s, alarm.steps) == (True, down_s + 0.3 * work_s, 3)
    assert list(alarms(job_of(terms(80.0)), Wrong(1e9), RSU, down_s)) == []


def test_a_forecast_that_always_warns_raises_one_before_each_step_and_after_the_last(terms: Make) -> None:
    down_s, work_s, _ = parts_s(terms(80.0))
    found = list(alarms(job_of(terms(80.0)), Wrong(0.0), RSU, down_s))
    assert [a.steps for a in found] == list(range(STEPS + 1))
    assert found[-1].left_s == 0.0
    assert found[-1].time_s == down_s + work_s
    assert not any(a.has_left for a in found)


@pytest.mark.parametrize("end", [ContactEnd.VANISHED, ContactEnd.HORIZON])
def test_who_is_off_the_road_raises_none_when_it_leaves(terms: Make, end: ContactEnd) -> None:
    down_s, work_s, _ = parts_s(terms(80.0))
    short = terms(down_s + 0.5 * work_s)
    gone = replace(short, contact=replace(short.contact, end=end))
    assert list(alarms(job_of(gone), Wrong(1e9), RSU, down_s)) == []


def test_a_deadline_or_horizon_that_would_be_missed_raises_none(terms: Make) -> None:
    down_s, work_s, _ = parts_s(terms(80.0))
    cut_s = down_s + 0.5 * work_s
    for job in (job_of(terms(80.0), deadline_s=cut_s), job_of(terms(80.0), horizon_s=cut_s)):
        assert list(alarms(job, OracleForecast(), RSU, down_s)) == []
        assert list(alarms(job, Wrong(1e9), RSU, down_s)) == []
        assert [a.steps for a in alarms(job, Wrong(0.0), RSU, down_s)] == list(range(6)), "none from the limit on"


def test_what_is_foreseen_of_the_upload_is_that_of_the_estimate(terms: Make) -> None:
    job = job_of(terms(80.0))
    down_s, work_s, up_s = parts_s(terms(80.0))
    assert compute_s(job.terms, job.assignment) == pytest.approx(work_s)
    assert upload_s(job.terms, job.assignment, 3.0) == pytest.approx(up_s)
    assert down_s > 0
