"""A job ends where its first unfinished phase is cut, and says what cut it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import simpy

from iovsim.domain import Assignment, JobStatus, LossReason, Recipe, TrainJob
from iovsim.engine.course import FEDERATED_COURSE
from iovsim.engine.job import Job, Served, serve
from iovsim.engine.terms import Terms
from iovsim.testing import FakeTrainer

Make = Callable[[float], Terms]


TRAINING = TrainJob(
    "signs", "v0", 0, "rsu0", FakeTrainer().initial("signs", 8, 0), np.arange(8), 1, Recipe(1e-3, 8), 0.0, seed=0
)


def served(terms: Terms, *, deadline_s: float = 90.0, horizon_s: float = 100.0) -> Served:
    env = simpy.Environment()
    assignment = Assignment("v0", "signs", 8, 1, 2e6, 2e6, 0.2, deadline_s)
    job = Job(terms, assignment, TRAINING, 0.0, horizon_s)
    process = env.process(serve(env, job, FEDERATED_COURSE))
    env.run()
    assert isinstance(process.value, Served)
    return process.value


def test_a_job_with_time_is_delivered(terms: Make) -> None:
    job = served(terms(80.0))
    assert job.end.status is JobStatus.DELIVERED
    assert job.end.reason is LossReason.NONE
    assert job.training is TRAINING
    assert [p.completed for p in job.end.phases] == [True, True, True]
    assert all(a.end_s == b.start_s for a, b in zip(job.end.phases, job.end.phases[1:], strict=False))
    assert job.end.end_s == job.end.phases[-1].end_s


@pytest.mark.parametrize(
    ("phase", "status"),
    [(0, JobStatus.LOST_DOWNLINK), (1, JobStatus.LOST_COMPUTE), (2, JobStatus.LOST_UPLINK)],
)
@pytest.mark.parametrize("reason", [LossReason.CONTACT, LossReason.DEADLINE, LossReason.NONE])
def test_a_job_cut_in_a_phase_is_lost_there(terms: Make, phase: int, status: JobStatus, reason: LossReason) -> None:
    whole = served(terms(80.0)).end.phases
    cut_s = (whole[phase].start_s + whole[phase].end_s) / 2
    match reason:
        case LossReason.CONTACT:
            job = served(terms(cut_s))
        case LossReason.DEADLINE:
            job = served(terms(80.0), deadline_s=cut_s)
        case _:
            job, status = served(terms(80.0), horizon_s=cut_s), JobStatus.IN_FLIGHT
    assert job.end.status is status
    assert job.end.reason is reason
    assert job.end.end_s == pytest.approx(cut_s)
    assert len(job.end.phases) == phase + 1


def test_a_job_that_ends_at_the_deadline_counts(terms: Make) -> None:
    end_s = served(terms(80.0)).end.end_s
    assert served(terms(80.0), deadline_s=end_s).end.status is JobStatus.DELIVERED
