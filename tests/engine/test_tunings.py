"""What is trained, kept and measured: tunings, local heads, evaluation schedules, and samples that come on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from iovsim.domain import (
    Adapter,
    Evaluation,
    Failure,
    Head,
    RoundOutcome,
    RoundPlan,
    RoundView,
    TrainJob,
    Tuning,
    Update,
    World,
)
from iovsim.energy import update_bits
from iovsim.learning.adapter import head_of
from iovsim.policies.kinds import all_available
from iovsim.testing import FakeTrainer

if TYPE_CHECKING:
    from .conftest import Runner


def test_without_adapters_every_rank_is_zero_and_the_bits_say_what_is_sent(run_world: Runner, world: World) -> None:
    charged = world.tasks[0].charged
    head_bits = charged.head_parameters * charged.parameter_bits
    for tuning, sent_bits in (
        (Tuning.HEAD, head_bits),
        (Tuning.FULL, charged.base_parameters * charged.parameter_bits + head_bits),
    ):
        run, state = run_world(world, all_available(), tuning=tuning)
        jobs = run.table("jobs")
        assert (jobs["rank"] == 0).all()
        got_down = jobs[jobs["status"] != "lost_downlink"]
        assert tuning is Tuning.FULL or len(got_down)
        np.testing.assert_allclose(got_down["downlink_bits"], sent_bits)
        assert state.merged["signs"].tuning is tuning


def test_heads_that_stay_in_their_vehicles_are_not_sent_and_come_back_to_their_owners(
    run_world: Runner, world: World
) -> None:
    class Watching(FakeTrainer):
        """Keeps every job that was submitted and every update that was asked for."""

        def __init__(self) -> None:
            super().__init__()
            self.jobs: list[TrainJob] = []
            self.trained: dict[tuple[str, int], Head] = {}

        def submit(self, job: TrainJob) -> int:
            self.jobs.append(job)
            return super().submit(job)

        def result(self, handle: int) -> Update | Failure:
            job = self.waiting[handle]
            update = super().result(handle)
            assert isinstance(update, Update)
            self.trained[job.vehicle, job.round] = head_of(update.adapter)
            return update

    trainer = Watching()
    local = replace(world, tasks=(replace(world.tasks[0], local_head=True),))
    saved: dict[str, Mapping[str, Head]] = {}
    run, state = run_world(
        local, all_available(), trainer=trainer, kept=lambda task, name, adapter, heads: saved.update({name: heads})
    )
    charged = world.tasks[0].charged
    delivered = run.table("jobs").query("status == 'delivered'")
    assert len(delivered) > 5
    head_bits = charged.head_parameters * charged.parameter_bits
    np.testing.assert_allclose(
        delivered["uplink_bits"], [update_bits(charged, rank) - head_bits for rank in delivered["rank"]]
    )

    first = head_of(state.initial["signs"])
    own: dict[str, Head] = {}
    returned = 0
    for job in trainer.jobs:
        expected = own.get(job.vehicle, first)
        returned += job.vehicle in own
        assert all(np.array_equal(job.adapter.tensors[k], a) for k, a in expected.items())
        if (job.vehicle, job.round) in trainer.trained:
            own[job.vehicle] = trainer.trained[job.vehicle, job.round]
    assert returned > 3, "some vehicles were served again"
    for name, array in head_of(state.merged["signs"]).items():
        np.testing.assert_allclose(array, first[name], atol=1e-6, err_msg="no head ever reached a server")
    assert saved["final"].keys() == own.keys()
    assert all(np.array_equal(a, own[v][k]) for v, head in saved["final"].items() for k, a in head.items())
    told = run.table("evaluations").query("scope == 'global'")["accuracy"]
    assert told.iloc[-1] != told.iloc[0], "what is told is the mean over the evaluated vehicles' heads"
    personal = run.table("evaluations").query("scope == 'vehicle'").set_index("subject")["accuracy"]
    assert personal.nunique() > 1, "each vehicle is evaluated with its own head"
    shared = run_world(world, all_available())[0].table("evaluations").query("scope == 'vehicle'")["accuracy"]
    assert shared.nunique() == 1, "federated heads are one"


def test_adapters_and_vehicles_are_kept_and_evaluated_as_often_as_asked(run_world: Runner, world: World) -> None:
    kept: list[tuple[str, str]] = []
    often = replace(
        world,
        evaluate_every_merges=3,
        evaluate_vehicles_every_merges=2,
        keep_adapters_every_merges=1,
        merge_every_rounds=1,
    )
    run, state = run_world(often, all_available(), kept=lambda task, name, adapter, heads: kept.append((task, name)))
    assert state.merges == 6
    assert kept == [*(("signs", f"merge-{n:04d}") for n in range(1, 6)), ("signs", "final")]
    found = run.table("evaluations").groupby("scope")["merge"].unique()
    assert sorted(found["global"]) == sorted(found["class"]) == [0, 3, 6]
    assert sorted(found["validation"]) == list(range(7)), "what policies see does not depend on what is reported"
    assert sorted(found["vehicle"]) == [2, 4, 6]


def test_policies_see_the_accuracy_on_validation_samples_only(run_world: Runner, world: World) -> None:
    class Apart(FakeTrainer):
        def evaluate(self, task: str, adapter: Adapter, heads: Sequence[Head] = ()) -> Evaluation:
            found = super().evaluate(task, adapter, heads)
            return replace(found, overall=replace(found.overall, accuracy=1.0))

    class Watching:
        seen: ClassVar[set[float]] = set()

        def plan(self, view: RoundView) -> RoundPlan:
            self.seen.update(t.accuracy for t in view.tasks)
            return all_available().plan(view)

        def feedback(self, outcome: RoundOutcome) -> None: ...

    run, _ = run_world(world, Watching(), trainer=Apart())
    rows = run.table("evaluations")
    assert (rows.query("scope == 'global'")["accuracy"] == 1.0).all()
    assert Watching.seen <= set(rows.query("scope == 'validation'")["accuracy"])
    assert len(Watching.seen) > 1


def test_a_vehicle_without_a_sample_yet_is_no_client(run_world: Runner, world: World) -> None:
    vehicle = world.vehicles["v00"]
    late = replace(vehicle.shards["signs"], seen_s=np.linspace(30.0, 200.0, 48))
    fleet = {**world.vehicles, "v00": replace(vehicle, shards={"signs": late})}
    jobs = run_world(replace(world, vehicles=fleet), all_available())[0].table("jobs").query("vehicle == 'v00'")
    assert len(jobs)
    assert jobs["start_s"].min() >= 30.0
    assert jobs["samples"].tolist() == [int((late.seen_s <= t).sum()) for t in jobs["start_s"]]
