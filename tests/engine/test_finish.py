"""A period's training is done together when its rounds are over, and what fails there fails alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from iovsim.domain import (
    Adapter,
    Failure,
    Head,
    JobStatus,
    LossReason,
    RoundOutcome,
    RoundPlan,
    RoundView,
    TrainJob,
    Update,
    World,
)
from iovsim.policies.kinds import all_available
from iovsim.results import Run
from iovsim.testing import FakeTrainer, effective_update, tiny_world

if TYPE_CHECKING:
    from .conftest import Runner

Key = tuple[int, str, str]  # round, RSU, vehicle


class Logging(FakeTrainer):
    """Keeps the order in which jobs are submitted and asked for, as (what, round, RSU, vehicle)."""

    def __init__(self, failing: Mapping[str, LossReason] | None = None) -> None:
        super().__init__(failing or {})
        self.log: list[tuple[str, int, str, str]] = []
        self.began_with: dict[Key, Adapter] = {}

    def submit(self, job: TrainJob) -> int:
        self.log.append(("submit", job.round, job.rsu, job.vehicle))
        self.began_with[job.round, job.rsu, job.vehicle] = job.adapter
        return super().submit(job)

    def result(self, handle: int) -> Update | Failure:
        job = self.waiting[handle]
        self.log.append(("result", job.round, job.rsu, job.vehicle))
        return super().result(handle)

    @property
    def keys(self) -> list[Key]:
        return [(number, rsu, vehicle) for what, number, rsu, vehicle in self.log if what == "submit"]


def delivered(run: Run) -> set[Key]:
    """Jobs that were served to the end."""
    jobs = run.table("jobs")
    done = jobs[jobs["status"].isin(["delivered", "failed"])]
    return set(zip(done["round"], done["rsu"], done["vehicle"], strict=True))


def test_all_that_a_period_delivered_is_submitted_before_the_first_result_is_asked_for(
    run_world: Runner, world: World
) -> None:
    trainer = Logging()
    run, _ = run_world(world, all_available(), trainer=trainer)
    assert set(trainer.keys) == delivered(run)
    assert len(trainer.keys) < len(run.table("jobs")), "some were lost, and never submitted"
    log = trainer.log
    assert log == sorted(log, key=lambda e: (e[1], e[0] == "result", e[2], e[3])), "period, then RSU, then vehicle"
    both = [k for k in range(6) if len({rsu for number, rsu, _ in trainer.keys if number == k}) == 2]
    assert both, "periods in which both RSUs had something to train"


def test_nothing_of_a_period_begins_before_the_one_before_is_finished(run_world: Runner, world: World) -> None:
    class Diary:
        def __init__(self, trainer: Logging) -> None:
            self.entries: list[tuple[str, int]] = []
            self.trainer = trainer

        def plan(self, view: RoundView) -> RoundPlan:
            self.entries.append(("plan", view.round))
            assert self.trainer.waiting == {}
            return all_available().plan(view)

        def feedback(self, outcome: RoundOutcome) -> None:
            self.entries.append(("tell", outcome.round))

    # Rounds that may last until the very boundary, where the next ones begin, and so many jobs that some do.
    tight = replace(tiny_world(3, vehicles=60), round_deadline_s=world.round_period_s, merge_every_rounds=1)
    trainer = Logging()
    diary = Diary(trainer)
    run, _ = run_world(tight, diary, trainer=trainer)
    assert diary.entries == [(what, k) for k in range(6) for what in ("plan", "plan", "tell", "tell")]
    merges = run.table("merges")
    told = run.table("jobs").query("status == 'delivered'").groupby("round").size()
    assert merges["updates"].tolist() == [told.get(k, 0) for k in range(6)]
    jobs = run.table("jobs")
    assert (jobs["end_s"] == 20.0 * (jobs["round"] + 1)).any(), "a job lasts until the boundary"


def test_jobs_train_from_what_was_there_when_their_round_began(run_world: Runner, world: World) -> None:
    often = replace(world, merge_every_rounds=1)
    trainer = Logging()
    _, state = run_world(often, all_available(), trainer=trainer)
    heads: dict[int, set[bytes]] = {}
    for (number, _, _), adapter in trainer.began_with.items():
        heads.setdefault(number, set()).add(
            b"".join(a.tobytes() for k, a in adapter.tensors.items() if "lora" not in k)
        )
    assert {len(of_round) for of_round in heads.values()} == {1}, "all RSUs of a period begin with the merged head"
    assert len(set.union(*heads.values())) == len(heads), "and each period with another"
    assert state.merges == 6


def test_a_failed_job_is_told_with_its_reason_and_spent_its_energy_for_nothing(run_world: Runner, world: World) -> None:
    run, _ = run_world(world, all_available(), trainer=FakeTrainer({"v03": LossReason.MEMORY}))
    jobs, phases, energy, rounds = (run.table(t) for t in ("jobs", "phases", "energy", "rounds"))
    failed = jobs[jobs["status"] == "failed"]
    assert set(failed["vehicle"]) == {"v03"}
    assert set(failed["reason"]) == {"memory"}
    assert set(failed["message"]) == {"vehicle 'v03' was made to fail"}
    assert (jobs.loc[jobs["status"] != "failed", "message"] == "").all()
    assert failed[["loss_before", "loss_after", "fraction"]].isna().all(axis=None)
    assert failed["uplink_bits"].gt(0).all(), "what was sent was sent"
    assert set(failed["arrived_at"]) == {""}

    plain, _ = run_world(world, all_available())
    same = plain.table("jobs")
    assert jobs["energy_j"].tolist() == same["energy_j"].tolist(), "it costs what it had cost had it not failed"
    assert phases.equals(plain.table("phases")), "waiting included"
    nothing = jobs.loc[~jobs["status"].isin(["delivered"]), "job"]
    spent = phases[phases["job"].isin(nothing)]
    wasted_j = math.fsum([*spent["vehicle_j"], *spent["rsu_j"]])
    assert math.fsum(energy.loc[energy["cause"] == "wasted", "energy_j"]) == wasted_j
    assert math.fsum(energy["energy_j"]) == math.fsum([*phases["vehicle_j"], *phases["rsu_j"]])

    assert rounds["failed"].sum() == len(failed)
    assert rounds["lost"].sum() == plain.table("rounds")["lost"].sum() == jobs["status"].str.startswith("lost").sum()
    assert rounds["delivered"].sum() == (jobs["status"] == "delivered").sum() == run.table("merges")["updates"].sum()


def test_the_others_of_its_round_aggregate_as_if_it_had_not_been_there(run_world: Runner, world: World) -> None:
    class Without(FakeTrainer):
        """The failing vehicle's updates arrive, but weigh nothing."""

        def result(self, handle: int) -> Update | Failure:
            job = self.waiting[handle]
            found = super().result(handle)
            assert isinstance(found, Update)
            return replace(found, fraction=0.0) if job.vehicle == "v03" else found

    _, failed = run_world(world, all_available(), trainer=FakeTrainer({"v03": LossReason.DIVERGED}))
    _, weightless = run_world(world, all_available(), trainer=Without())
    _, plain = run_world(world, all_available())
    one, other, all_of_them = (
        np.concatenate([a.ravel() for a in effective_update(state.merged["signs"]).values()])
        for state in (failed, weightless, plain)
    )
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert np.abs(one - all_of_them).max() > 1e-3


def test_a_vehicle_whose_training_failed_keeps_its_head_and_says_nothing_of_its_loss(
    run_world: Runner, world: World
) -> None:
    class Watching:
        def __init__(self) -> None:
            self.losses: set[str] = set()
            self.ends: list[JobStatus] = []

        def plan(self, view: RoundView) -> RoundPlan:
            self.losses |= {c.vehicle for c in view.clients if c.last_loss}
            return all_available().plan(view)

        def feedback(self, outcome: RoundOutcome) -> None:
            self.ends += [j.status for j in outcome.jobs if j.assignment.vehicle == "v03"]

    saved: dict[str, Mapping[str, Head]] = {}
    policy, trainer = Watching(), Logging({"v03": LossReason.DIVERGED})
    local = replace(world, tasks=(replace(world.tasks[0], local_head=True),))
    _, state = run_world(
        local, policy, trainer=trainer, kept=lambda task, name, adapter, heads: saved.update({name: heads})
    )
    assert policy.ends.count(JobStatus.FAILED) > 1
    assert "v03" not in policy.losses
    assert len(policy.losses) > 3
    assert "v03" not in saved["final"]
    first = state.head("v03", "signs")
    for (_, _, vehicle), adapter in trainer.began_with.items():
        if vehicle == "v03":
            assert all(np.array_equal(adapter.tensors[k], a) for k, a in first.items())


@pytest.mark.parametrize("reason", [LossReason.DIVERGED, LossReason.MEMORY])
def test_a_run_in_which_all_training_fails_completes_with_what_it_began_with(
    run_world: Runner, world: World, reason: LossReason
) -> None:
    run, state = run_world(world, all_available(), trainer=FakeTrainer(dict.fromkeys(world.vehicles, reason)))
    jobs = run.table("jobs")
    assert (jobs["status"] == "failed").sum() > 10
    assert not (jobs["status"] == "delivered").any()
    assert set(jobs.loc[jobs["status"] == "failed", "reason"]) == {reason}
    assert run.table("merges")["updates"].sum() == 0
    assert state.merged["signs"] is state.initial["signs"]
    assert set(run.table("energy")["cause"]) == {"wasted"}
    assert run.table("rounds")["loss_after"].isna().all()
