"""What methods for mixed ranks ask of the engine: stacked factors that go down, and ranks that clients give up."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from iovsim.domain import Failure, TrainJob, Update, World
from iovsim.energy import stack_bits, update_bits
from iovsim.learning.aggregators.flora import Flora
from iovsim.learning.aggregators.hetlora import HetLora
from iovsim.learning.pruning import kept_rank
from iovsim.policies import StagedPolicy
from iovsim.policies.kept_rank import KeptRank
from iovsim.policies.kinds import all_available
from iovsim.policies.rank import FixedRank, TierRank
from iovsim.policies.select import SelectAll
from iovsim.testing import FakeTrainer, effective_update

if TYPE_CHECKING:
    from .conftest import Runner

BY_TIER = StagedPolicy((SelectAll(), TierRank({"orin-nano": 2, "orin-nx": 4, "agx-orin": 8})))


class Watching(FakeTrainer):
    """Keeps every job that was submitted."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[TrainJob] = []

    def submit(self, job: TrainJob) -> int:
        self.jobs.append(job)
        return super().submit(job)


@pytest.mark.parametrize("local_head", [False, True])
def test_a_vehicle_downloads_the_stacks_that_it_has_not_got(run_world: Runner, world: World, local_head: bool) -> None:
    """Counted anew from the table of jobs: who delivered which rank where, and when merges were."""
    world = replace(world, tasks=(replace(world.tasks[0], local_head=local_head),))
    run, _ = run_world(world, BY_TIER, aggregator=Flora())
    jobs, charged = run.table("jobs"), world.tasks[0].charged
    merged, here, fetched = 0, defaultdict[str, int](int), dict[str, int]()
    stacked, behind = set(), 0
    for number, of_round in jobs.groupby("round"):
        if number and number % world.merge_every_rounds == 0:  # type: ignore[operator]
            merged, here = merged + sum(here.values()), defaultdict[str, int](int)
        for site, rows in of_round.groupby("rsu"):
            rsu = str(site)
            before = here[rsu]
            for row in rows.itertuples():
                ranks = merged - fetched.get(str(row.vehicle), 0) + before
                bits = stack_bits(charged, ranks, local_head=local_head)
                assert row.downlink_bits == pytest.approx(bits) or row.status == "lost_downlink"
                stacked.add(ranks)
                if row.status != "lost_downlink":
                    behind += fetched.get(str(row.vehicle), 0) > 0
                    fetched[str(row.vehicle)] = merged
                if row.status == "delivered":
                    here[rsu] += int(row.rank)  # type: ignore[arg-type]
                    sent = update_bits(charged, int(row.rank), local_head=local_head)  # type: ignore[arg-type]
                    assert row.uplink_bits == pytest.approx(sent)
    assert 0 in stacked
    assert max(stacked) > 20
    assert behind > 2, "some came again after a merge"


def test_a_layer_never_takes_more_than_its_dense_product(world: World) -> None:
    charged = world.tasks[0].charged
    dense = sum(inputs * outputs for inputs, outputs in charged.widths)
    assert stack_bits(charged, 10**6, local_head=True) == dense * charged.parameter_bits
    assert stack_bits(charged, 8) == update_bits(charged, 8)


def test_stacked_updates_are_added_to_what_they_were_trained_beside(run_world: Runner, world: World) -> None:
    trainer = Watching()
    alone = replace(world, rsus=world.rsus[:1], merge_every_rounds=1)
    run, state = run_world(alone, BY_TIER, aggregator=Flora(), trainer=trainer)
    first = [job for job in trainer.jobs if job.round == 0]
    later = [job for job in trainer.jobs if job.round > 0]
    assert first
    assert later
    assert all(job.base is None for job in first)
    for job in later:
        assert job.base is not None
        assert not any(update.any() for update in effective_update(job.adapter).values()), "all begin with B = 0"
    last = max(job.round for job in later)
    told = [job for job in later if job.round == last]
    weights = np.array([len(job.samples) for job in told]) / sum(len(job.samples) for job in told)
    assert told[0].base is not None
    expected = effective_update(told[0].base)
    for weight, job in zip(weights, told, strict=True):
        update = trainer.result(trainer.submit(job))
        assert isinstance(update, Update)
        for layer, own in effective_update(update.adapter).items():
            expected[layer] = expected[layer] + weight * own
    for layer, found in effective_update(state.merged["signs"]).items():
        np.testing.assert_allclose(found, expected[layer], atol=1e-5)
    assert set(run.table("merges")["stable_rank"]) != {0.0}


def test_methods_that_do_not_stack_charge_the_same_down_and_up(run_world: Runner, world: World) -> None:
    jobs = run_world(world, all_available())[0].table("jobs").query("status == 'delivered'")
    np.testing.assert_allclose(jobs["downlink_bits"], jobs["uplink_bits"])


class Shrinking(FakeTrainer):
    """Every client gives up what it may."""

    def result(self, handle: int) -> Update | Failure:
        pruning, update = self.waiting[handle].pruning, super().result(handle)
        assert pruning is not None
        assert isinstance(update, Update)
        keep = kept_rank(update.adapter.rank, pruning)
        tensors = {
            k: v[:keep] if ".lora_A" in k else v[:, :keep] if ".lora_B" in k else v
            for k, v in update.adapter.tensors.items()
        }
        return replace(update, adapter=replace(update.adapter, rank=keep, tensors=tensors))


def test_a_vehicle_goes_on_with_the_rank_that_it_has_kept(run_world: Runner, world: World) -> None:
    stages = StagedPolicy((SelectAll(), FixedRank(8), KeptRank()))
    jobs = run_world(world, stages, aggregator=HetLora(keep=0.75), trainer=Shrinking())[0].table("jobs")
    charged = world.tasks[0].charged
    seen = set()
    for _, rows in jobs.sort_values("start_s").groupby("vehicle"):
        rank = 8
        for row in rows.itertuples():
            assert row.rank == rank
            seen.add(rank)
            if row.status == "delivered":
                assert row.uplink_bits == pytest.approx(update_bits(charged, rank))
                rank = kept_rank(rank, HetLora(keep=0.75).pruning)  # type: ignore[arg-type]
    assert {8, 6, 4} <= seen, "ranks between the task's own are trained too"
