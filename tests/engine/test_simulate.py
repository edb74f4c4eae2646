"""Whole runs on the tiny world: repeatable, equal in all that policies cannot change, with sums that agree."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from iovsim.domain import RoundOutcome, RoundPlan, RoundView, World
from iovsim.errors import PolicyError
from iovsim.mobility.forecast import OracleForecast
from iovsim.policies.kinds import POLICIES, all_available, random_selection, residual_contact_rank
from iovsim.results import Run
from iovsim.testing import FakeTrainer, effective_update, tiny_world

from .conftest import two_task_world

if TYPE_CHECKING:
    from .conftest import Runner


def rows(run: Run, table: str) -> list[dict[str, Any]]:
    return run.table(table).to_dict("records")  # type: ignore[return-value]


@pytest.mark.parametrize("name", POLICIES)
def test_the_same_run_twice_is_equal_bit_for_bit(run_world: Runner, name: str) -> None:
    first, one = run_world(tiny_world(1), POLICIES[name]())
    second, two = run_world(tiny_world(1), POLICIES[name]())
    assert first.fingerprint() == second.fingerprint()
    for key, tensor in one.merged["signs"].tensors.items():
        assert np.array_equal(tensor, two.merged["signs"].tensors[key])


def test_other_seeds_give_other_runs(run_world: Runner) -> None:
    first, _ = run_world(tiny_world(1), all_available())
    second, _ = run_world(tiny_world(2), all_available())
    assert first.fingerprint()["jobs"] != second.fingerprint()["jobs"]


def test_policies_of_a_seed_start_from_equal_weights(world: World) -> None:
    one = FakeTrainer().initial("signs", 8, 5)
    two = FakeTrainer().initial("signs", 8, 5)
    assert all(np.array_equal(one.tensors[k], two.tensors[k]) for k in one.tensors)


def test_the_energy_table_equals_the_sum_over_phases_exactly(run_world: Runner, world: World) -> None:
    run, _ = run_world(world, all_available())
    phases, energy, jobs, rounds = (run.table(t) for t in ("phases", "energy", "jobs", "rounds"))
    total_j = math.fsum([*phases["vehicle_j"], *phases["rsu_j"]])
    assert total_j > 0
    assert math.fsum(energy["energy_j"]) == total_j
    assert math.fsum(jobs["energy_j"]) == pytest.approx(total_j, rel=1e-14)
    assert math.fsum(rounds["energy_j"]) == pytest.approx(total_j, rel=1e-14)


def test_the_energy_table_has_both_ends_of_every_phase_in_turn(run_world: Runner, world: World) -> None:
    run, _ = run_world(world, all_available())
    phases, energy = run.table("phases"), run.table("energy")
    assert len(energy) == 2 * len(phases) > 0
    assert energy["energy_j"].tolist() == phases[["vehicle_j", "rsu_j"]].to_numpy().ravel().tolist()
    assert energy["owner"].tolist() == ["vehicle", "rsu"] * len(phases)
    assert energy["phase"].tolist() == phases["phase"].repeat(2).tolist()


def test_energy_of_jobs_that_never_arrived_is_wasted_and_no_other(run_world: Runner, world: World) -> None:
    run, _ = run_world(replace(world, end_s=101.5), all_available())
    jobs, phases = run.table("jobs"), run.table("phases")
    assert {"lost_uplink", "in_flight"} <= set(jobs["status"])
    lost = set(jobs.loc[jobs["status"] != "delivered", "job"])
    assert lost
    spent = phases[phases["job"].isin(lost)]
    wasted_j = math.fsum([*spent["vehicle_j"], *spent["rsu_j"]])
    energy = run.table("energy")
    assert math.fsum(energy.loc[energy["cause"] == "wasted", "energy_j"]) == wasted_j


def test_updates_of_lost_jobs_are_never_trained(run_world: Runner, world: World) -> None:
    trainer = FakeTrainer()
    run, _ = run_world(world, all_available(), trainer=trainer)
    jobs = run.table("jobs")
    assert trainer.submitted == (jobs["status"] == "delivered").sum() < len(jobs)
    assert trainer.waiting == {}, "what is submitted is asked for"
    assert (jobs["status"] == "lost_uplink").any()
    assert jobs.loc[jobs["status"] == "delivered", "loss_after"].notna().all()
    assert jobs.loc[jobs["status"] != "delivered", "loss_after"].isna().all()


def test_jobs_cut_by_the_horizon_are_in_flight(run_world: Runner, short_world: World) -> None:
    run, _ = run_world(short_world, all_available())
    jobs = run.table("jobs")
    open_jobs = jobs[jobs["status"] == "in_flight"]
    assert len(open_jobs)
    assert (open_jobs["end_s"] == short_world.end_s).all()
    assert (jobs["end_s"] <= short_world.end_s).all()
    energy = run.table("energy")
    assert energy["time_s"].max() <= short_world.end_s


def test_jobs_stay_within_contact_deadline_and_round(run_world: Runner, world: World) -> None:
    run, _ = run_world(world, all_available())
    contacts = {c.contact: c for c in world.contacts}
    for job in rows(run, "jobs"):
        assert contacts[job["contact"]].start_s <= job["start_s"]
        assert job["end_s"] <= contacts[job["contact"]].end_s
        assert job["end_s"] <= job["start_s"] + world.round_deadline_s
        assert job["start_s"] == world.start_s + job["round"] * world.round_period_s


def test_waiting_lasts_until_the_round_closes(run_world: Runner, world: World) -> None:
    run, _ = run_world(world, all_available())
    jobs = {j["job"]: j for j in rows(run, "jobs")}
    close_s = {(r["rsu"], r["round"]): r["end_s"] for r in rows(run, "rounds")}
    waiting = [p for p in rows(run, "phases") if p["phase"] == "waiting"]
    assert waiting
    contacts = {c.contact: c for c in world.contacts}
    for phase in waiting:
        job = jobs[phase["job"]]
        assert phase["start_s"] == job["end_s"]
        assert phase["end_s"] == min(close_s[job["rsu"], job["round"]], contacts[job["contact"]].end_s)


def test_merges_count_every_delivered_update_once(run_world: Runner, world: World) -> None:
    run, state = run_world(world, all_available())
    delivered = int((run.table("jobs")["status"] == "delivered").sum())
    assert delivered > 10
    assert int(run.table("merges")["updates"].sum()) == delivered
    for rsu in world.rsus:
        local = state.local[rsu.rsu, "signs"]
        assert local is state.merged["signs"], "after a merge every RSU goes on with the same adapter"


def test_only_the_oracle_knows_the_residual_contact(run_world: Runner, world: World) -> None:
    foreseen, _ = run_world(world, all_available(), OracleForecast())
    guessed, _ = run_world(world, all_available())
    ends_s = {c.contact: c.end_s for c in world.contacts}
    for run, exact in ((foreseen, True), (guessed, False)):
        jobs = run.table("jobs")
        true_s = jobs["contact"].map(ends_s) - jobs["start_s"]
        assert (jobs["forecast_residual_s"] == true_s).all() == exact


def test_fewer_jobs_are_lost_when_the_residual_contact_is_heeded(run_world: Runner) -> None:
    crowded = tiny_world(5, vehicles=30)
    naive, _ = run_world(crowded, all_available())
    careful, _ = run_world(crowded, residual_contact_rank(), OracleForecast())
    share = [r.table("jobs")["status"].str.startswith("lost").mean() for r in (naive, careful)]
    assert share[1] < share[0]


def test_feedback_reaches_the_policy_after_each_round(run_world: Runner, world: World) -> None:
    class Listener:
        def __init__(self) -> None:
            self.heard: list[RoundOutcome] = []

        def plan(self, view: RoundView) -> RoundPlan:
            return random_selection(clients=2).plan(view)

        def feedback(self, outcome: RoundOutcome) -> None:
            self.heard.append(outcome)

    policy = Listener()
    run_world(world, policy)
    assert len(policy.heard) == 6 * len(world.rsus)
    heard = [o for o in policy.heard if o.jobs]
    assert all(o.energy_j["signs"] == pytest.approx(sum(j.energy_j for j in o.jobs)) for o in heard)
    assert [o.start_s for o in policy.heard] == sorted(o.start_s for o in policy.heard)


def test_an_over_budget_plan_stops_the_run_where_the_scenario_refuses_it(run_world: Runner, world: World) -> None:
    strict = replace(world, refuse_over_budget=True, tasks=(replace(world.tasks[0], round_energy_j=1.0),))
    with pytest.raises(PolicyError, match=r"RSU 'rsu0', round 0, task 'signs': the plan is estimated"):
        run_world(strict, all_available())


def test_the_merged_adapter_moves(run_world: Runner, world: World) -> None:
    _, state = run_world(world, all_available())
    assert all(np.linalg.norm(update) > 0 for update in effective_update(state.merged["signs"]).values())


@pytest.mark.parametrize("name", POLICIES)
def test_two_tasks_share_the_band_and_keep_their_own_adapters_and_budgets(run_world: Runner, name: str) -> None:
    run, state = run_world(two_task_world(), POLICIES[name]())
    jobs, rounds = run.table("jobs"), run.table("rounds")
    assert set(jobs["task"]) == {"signs", "lights"}
    assert (jobs.groupby(["rsu", "round"])["bandwidth_up_hz"].sum() <= 20e6 * (1 + 1e-9)).all()
    assert rounds.groupby("task")["energy_budget_j"].unique().map(list).to_dict() == {
        "signs": [500.0],
        "lights": [100.0],
    }
    assert len(rounds) == 2 * 2 * 6, "a row for each task, RSU and round, also where nothing was planned"
    merged = {t: effective_update(a) for t, a in state.merged.items()}
    layer = next(iter(merged["signs"]))
    assert not np.array_equal(merged["signs"][layer], merged["lights"][layer])
    assert set(run.table("evaluations")["task"]) == {"signs", "lights"}


def test_a_city_without_vehicles_runs_to_its_end(run_world: Runner) -> None:
    run, _ = run_world(tiny_world(1, vehicles=0), all_available())
    assert len(run.table("jobs")) == 0
    assert len(run.table("rounds")) == 12
    assert len(run.table("energy")) == 0
    assert run.table("evaluations")["accuracy"].nunique() == 1


def test_a_horizon_shorter_than_a_merge_interval_still_ends_with_a_merge(run_world: Runner, world: World) -> None:
    run, _ = run_world(replace(world, merge_every_rounds=100), all_available())
    assert run.table("merges")["merge"].tolist() == [1]
    assert run.table("merges")["updates"].tolist() == [int((run.table("jobs")["status"] == "delivered").sum())]


def test_rounds_that_last_until_the_next_begins_are_merged_first(run_world: Runner, world: World) -> None:
    """With deadline = period, round k is over, and in the merge, before round k + 1 looks at the world."""
    tight = replace(
        world,
        round_deadline_s=world.round_period_s,
        merge_every_rounds=1,
        tasks=(replace(world.tasks[0], local_epochs=20),),
    )
    run, _ = run_world(tight, all_available())
    jobs = run.table("jobs")
    assert (jobs["end_s"] == jobs["start_s"] + world.round_period_s).any(), "some job was cut at the boundary itself"
    assert (run.table("rounds")["planned"] == run.table("rounds")["clients"]).all(), "nobody is busy at a boundary"
    delivered = jobs[jobs["status"] == "delivered"].groupby("round").size()
    merges = run.table("merges").set_index("merge")["updates"]
    assert all(merges[number + 1] == count for number, count in delivered.items())  # type: ignore[operator]


class Broken:
    def plan(self, view: RoundView) -> RoundPlan:
        raise ZeroDivisionError("oh")

    def feedback(self, outcome: RoundOutcome) -> None: ...


def test_a_policys_own_fault_is_told_with_its_place(run_world: Runner, world: World) -> None:
    with pytest.raises(
        PolicyError, match=r"policy Broken: plan\(\) failed in .*test_simulate.py, line \d+: ZeroDiv.*: oh"
    ):
        run_world(world, Broken())
