"""Clients that have only some blocks: what is sent, computed and held, trained, joined and merged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from iovsim.domain import Assignment, Estimate, RoundPlan, RoundView, TrainJob, Update, World
from iovsim.energy import TIERS, train_flops, train_s, training_memory_bits, update_bits, with_blocks
from iovsim.engine.course import compute, downlink, uplink
from iovsim.engine.terms import Terms
from iovsim.errors import PolicyError, ScenarioError
from iovsim.learning.aggregators.fedra import FedRa
from iovsim.policies import StagedPolicy
from iovsim.policies.draft import draft
from iovsim.policies.kinds import all_available
from iovsim.policies.random_blocks import RandomBlocks
from iovsim.policies.rank import FixedRank
from iovsim.policies.select import SelectAll
from iovsim.testing import FakeTrainer, tiny_views

if TYPE_CHECKING:
    from .conftest import Runner

HALF = {"orin-nano": 0.5, "orin-nx": 0.5, "agx-orin": 1.0, "telematics": 0.5}
FEDRA = StagedPolicy((SelectAll(), FixedRank(8, exact=True), RandomBlocks(HALF)))


def test_blocks_that_are_left_out_take_no_bits_and_no_time(terms: Callable[[float], Terms]) -> None:
    t = terms(1000.0)
    half = with_blocks(t.task.charged, 0.5)
    assignment = Assignment("v0", "signs", 8, 2, 2e6, 2e6, 0.2, 1000.0, blocks=(1,))
    down, up = (phase(t, assignment, 0.0, 1000.0) for phase in (downlink, uplink))
    assert down.bits == up.bits == update_bits(half, 8)
    trained = compute(t, assignment, 0.0, 1000.0)
    assert trained.end_s == train_s(t.device, train_flops(half, 8, 2 * len(t.samples)))
    whole = compute(t, replace(assignment, blocks=(0, 1)), 0.0, 1000.0)
    assert whole == compute(t, replace(assignment, blocks=None), 0.0, 1000.0)
    assert trained.end_s < 0.55 * whole.end_s


class Watching(FakeTrainer):
    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[TrainJob] = []

    def submit(self, job: TrainJob) -> int:
        self.jobs.append(job)
        return super().submit(job)


def test_clients_train_their_blocks_alone_and_layers_are_merged_over_those_who_had_them(
    run_world: Runner, world: World
) -> None:
    """One round and one merge, joined by hand from what every client gave."""
    trainer = Watching()
    world = replace(world, end_s=world.round_period_s)
    run, state = run_world(world, FEDRA, aggregator=FedRa(), trainer=trainer)
    charged = world.tasks[0].charged
    jobs = run.table("jobs").query("status == 'delivered'")
    part = np.where(jobs["tier"] == "agx-orin", 1.0, 0.5)
    np.testing.assert_allclose(jobs["uplink_bits"], [update_bits(with_blocks(charged, p), 8) for p in part])
    assert jobs["blocks_left_out"].tolist() == np.where(part < 1, 1, 0).tolist()
    left_out = {job.left_out for job in trainer.jobs}
    assert {("layers.0",), ("layers.1",), ()} == left_out

    gave: dict[str, list[Update]] = {}
    for job in tuple(trainer.jobs):
        assert not any(
            name.startswith(tuple(f"{b}." for b in job.left_out)) for name in job.adapter.tensors if job.left_out
        )
        update = trainer.result(trainer.submit(job))
        assert isinstance(update, Update)
        gave.setdefault(job.rsu, []).append(update)
    for name, merged in state.merged["signs"].tensors.items():
        means, weights = [], []
        for updates in gave.values():
            had = [(u.samples, u.adapter.tensors[name]) for u in updates if name in u.adapter.tensors]
            if had:
                means.append(sum(n * a for n, a in had) / sum(n for n, _ in had))
                weights.append(sum(u.samples for u in updates))
        expected = sum(w * m for w, m in zip(weights, means, strict=True)) / sum(weights)
        np.testing.assert_allclose(merged, expected, atol=1e-5, err_msg=name)


def test_who_has_the_memory_for_one_block_is_a_client(run_world: Runner, world: World) -> None:
    task = replace(world.tasks[0], ranks=(8,))
    one, two = (training_memory_bits(replace(task, charged=with_blocks(task.charged, part)), 8) for part in (0.5, 1.0))
    small = replace(TIERS["orin-nano"], memory_bits=(one + two) / 2, memory_share=1.0)
    tight = replace(world, tasks=(task,), vehicles={k: replace(v, device=small) for k, v in world.vehicles.items()})
    assert not len(run_world(tight, all_available())[0].table("jobs"))
    greedy = StagedPolicy((SelectAll(), FixedRank(8, exact=True), RandomBlocks({"orin-nano": 1.0})))
    trainer = Watching()
    assert len(run_world(tight, greedy, aggregator=FedRa(), trainer=trainer)[0].table("jobs"))
    assert {len(job.left_out) for job in trainer.jobs} == {1}, "it asks for both, and has room for one"
    with pytest.raises(PolicyError, match=r"rank 8 takes .* MB of memory, training may take .* MB here; lower"):
        run_world(tight, all_available(), aggregator=FedRa())


VIEW = next(v for v in tiny_views() if len(v.clients) > 3)


@pytest.mark.parametrize("blocks", [(), (1, 0), (0, 0), (2,), (-1,)])
def test_blocks_that_do_not_exist_are_refused(run_world: Runner, world: World, blocks: tuple[int, ...]) -> None:
    class Wrong:
        def plan(self, view: RoundView) -> RoundPlan:
            return RoundPlan({v: replace(a, blocks=blocks) for v, a in draft(view, view.clients).assignments.items()})

        def feedback(self, outcome: Any) -> None: ...

    with pytest.raises(PolicyError, match=r"allowed are None for all, or some of \[0, 1\], ascending"):
        run_world(world, Wrong())


def _of_all_blocks(view: RoundView) -> Callable[[Assignment], Estimate]:
    return lambda assignment: view.estimate(replace(assignment, blocks=None))


def test_the_matrix_is_random_and_its_rows_sum_to_the_depths() -> None:
    drawn = []
    for seed in range(3):
        for view in tiny_views(seed):
            if not view.clients:
                continue
            deep = replace(view, tasks=tuple(replace(t, blocks=6) for t in view.tasks))
            tiers = {c.vehicle: c.tier for c in view.clients}
            wide = replace(deep, estimate=_of_all_blocks(view))
            plan = RandomBlocks({**HALF, "orin-nano": 1e-3})(wide, draft(deep, deep.clients))
            for vehicle, assignment in plan.assignments.items():
                assert assignment.blocks is not None
                assert list(assignment.blocks) == sorted(set(assignment.blocks))
                assert set(assignment.blocks) <= set(range(6))
                assert len(assignment.blocks) == {"orin-nano": 1, "orin-nx": 3, "agx-orin": 6}[tiers[vehicle]]
                drawn += [assignment.blocks] if len(assignment.blocks) == 3 else []
    assert len(set(drawn)) > 8
    counts = np.bincount([b for blocks in drawn for b in blocks], minlength=6)
    assert counts.min() > 0.25 * counts.max(), "every block has its turn"


def test_what_cannot_be_left_out_is_said() -> None:
    stage = RandomBlocks(HALF)
    whole = replace(VIEW, tasks=tuple(replace(t, blocks=0) for t in VIEW.tasks))
    with pytest.raises(PolicyError, match="no block of task 'signs''s model can be left out"):
        stage(whole, draft(whole, whole.clients))
    with pytest.raises(PolicyError, match="the tier 'orin-nano' has none"):
        RandomBlocks({"orin-nx": 1.0, "agx-orin": 1.0})(VIEW, draft(VIEW, VIEW.clients))
    for wrong in ({}, {"orin-nx": 0.0}, {"orin-nx": 1.5}, {"orin-nx": True}):
        with pytest.raises(ScenarioError, match="give each device tier a number above 0 and at most 1"):
            RandomBlocks(wrong)
