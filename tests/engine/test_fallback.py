"""A fallback is asked, and an early upload or giving up carried out, to the second, bit and joule."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from iovsim.domain import (
    Fallback,
    FallbackView,
    RoundPlan,
    RoundView,
    Way,
    WayKind,
    World,
)
from iovsim.errors import PolicyError
from iovsim.mobility.forecast import OracleForecast
from iovsim.policies.draft import draft
from tests.engine.places import (
    Keeping,
    OnlyTheFirstRound,
    Wants,
    one,
    phases,
    place,
    rows,
    work_s,
)

if TYPE_CHECKING:
    from .conftest import Runner


def test_the_setting_is_as_the_tests_suppose(run_world: Runner) -> None:
    run, _ = one(run_world, [("v", "a", 0.0, 40.0)], None)
    (job,) = rows(run, "jobs")
    assert (job["status"], job["arrived_at"], job["fallback"], job["carrier"]) == ("delivered", "a", "", "")
    assert math.isnan(job["fallback_s"])
    assert 11.0 < job["end_s"] < 13.0, "some 12 s, nearly all of it training in 30 steps"
    assert 11.0 < work_s(place([("v", "a", 0.0, 40.0)])) < 12.5


def test_an_early_upload_stops_at_a_step_and_counts_as_far_as_it_is(run_world: Runner) -> None:
    run, trainer = one(run_world, [("v", "a", 0.0, 8.0)], Wants(WayKind.UPLOAD, steps=15))
    (job,) = rows(run, "jobs")
    assert (job["status"], job["reason"], job["fallback"]) == ("delivered_early", "none", "upload")
    assert (job["fraction"], job["arrived_at"]) == (0.5, "a")
    assert trainer.jobs["v"].steps == 15
    assert trainer.jobs["v"].planned_steps == 30
    assert phases(run) == [("downlink", "v", "a", True), ("compute", "v", "a", False), ("uplink", "v", "a", True)]
    whole = rows(one(run_world, [("v", "a", 0.0, 40.0)], None)[0], "phases")
    half = rows(run, "phases")
    assert half[1]["end_s"] - half[1]["start_s"] == pytest.approx((whole[1]["end_s"] - whole[1]["start_s"]) / 2)
    assert half[1]["vehicle_j"] == pytest.approx(whole[1]["vehicle_j"] / 2)
    assert half[1]["end_s"] == job["fallback_s"]
    assert half[2]["bits"] == whole[2]["bits"], "an adapter is as large as ever"
    assert half[2]["end_s"] - half[2]["start_s"] == pytest.approx(whole[2]["end_s"] - whole[2]["start_s"])
    merge = next(m for m in rows(run, "merges") if m["updates"])
    assert (merge["updates"], merge["samples"]) == (1, 48)
    assert "wasted" not in set(run.table("energy")["cause"])


def test_an_update_weighs_its_samples_times_what_was_done(run_world: Runner) -> None:
    def merged(fallback: Fallback | None, stop_s: float) -> Any:
        world = place([("v", "a", 0.0, stop_s), ("w", "a", 0.0, 40.0)])
        _, state = run_world(world, OnlyTheFirstRound("v", "w"), OracleForecast(), fallback=fallback)
        return next(t for k, t in state.merged["signs"].tensors.items() if "lora" not in k)

    alone = [merged(None, 0.5), merged(None, 40.0)]  # w alone, both
    both = alone[1]
    v = 2 * both - alone[0]  # both is the plain mean of equal weights
    early = merged(Wants(WayKind.UPLOAD, steps=10), 8.0)
    np.testing.assert_allclose(early, (v / 3 + alone[0]) / (1 / 3 + 1), atol=1e-6)


def test_an_early_upload_is_not_to_be_had_before_the_first_step_or_without_the_time(run_world: Runner) -> None:
    fallback = Wants(WayKind.UPLOAD)
    run, _ = one(run_world, [("v", "a", 0.0, 8.0)], fallback)
    assert WayKind.UPLOAD not in {w.kind for w in fallback.views[0].ways}
    assert rows(run, "jobs")[0]["fraction"] == 1 / 30, "at the first chance"

    never = Wants(WayKind.UPLOAD, steps=99)
    run, _ = one(run_world, [("v", "a", 0.0, 8.0)], never)
    (job,) = rows(run, "jobs")
    assert (job["status"], job["end_s"]) == ("abandoned", 8.0)
    for view in never.views:
        fits = 0 < view.steps < 30 and view.upload_s <= view.residual_contact_s
        assert (WayKind.UPLOAD in {w.kind for w in view.ways}) == fits
    assert not all(v.upload_s <= v.residual_contact_s for v in never.views)


def test_an_early_upload_that_is_cut_is_lost_and_wasted(run_world: Runner) -> None:
    class Hasty(OracleForecast):
        """Promises a second more than there is."""

        def residual_s(self, contact: Any, rsu: Any, time_s: float) -> float:
            return super().residual_s(contact, rsu, time_s) + 1.0

    world = place([("v", "a", 0.0, 8.0)])
    narrow = replace(world, radio=replace(world.radio, bandwidth_up_hz=4e6))  # a second and more for the upload
    trainer, late = Keeping(), Wants(WayKind.UPLOAD, steps=19)
    run, _ = run_world(narrow, OnlyTheFirstRound("v"), Hasty(), trainer=trainer, fallback=late)
    (job,) = rows(run, "jobs")
    assert (job["status"], job["reason"], job["fallback"]) == ("lost_uplink", "contact", "upload")
    assert job["end_s"] == 8.0
    assert trainer.jobs == {}
    assert job["arrived_at"] == ""
    assert set(run.table("energy")["cause"]) == {"wasted"}


def test_who_gives_up_spends_no_more(run_world: Runner) -> None:
    run, trainer = one(run_world, [("v", "a", 0.0, 8.0)], Wants(WayKind.ABANDON, steps=10))
    (job,) = rows(run, "jobs")
    assert (job["status"], job["reason"], job["fallback"]) == ("abandoned", "contact", "abandon")
    assert job["end_s"] == job["fallback_s"] < 8.0
    assert [p[0] for p in phases(run)] == ["downlink", "compute"]
    assert trainer.jobs == {}
    assert set(run.table("energy")["cause"]) == {"wasted"}
    (first, *_) = rows(run, "rounds")
    assert (first["delivered"], first["lost"], first["end_s"]) == (0, 1, job["end_s"])


def test_a_fallback_that_always_goes_on_changes_nothing_but_the_name_of_the_loss(
    run_world: Runner, world: World
) -> None:
    from iovsim.policies.kinds import all_available

    world = replace(world, tasks=(replace(world.tasks[0], local_epochs=8),))
    plain, _ = run_world(world, all_available())
    gone_on, _ = run_world(world, all_available(), fallback=Wants(WayKind.ABANDON, steps=10**6))
    for table in ("phases", "merges", "evaluations", "rounds"):
        assert plain.table(table).equals(gone_on.table(table)), table
    one_jobs, other_jobs = plain.table("jobs"), gone_on.table("jobs")
    lost = one_jobs["status"] == "lost_compute"
    left = lost & (one_jobs["reason"] == "contact")
    assert left.any()
    assert (other_jobs.loc[left, "status"] == "abandoned").any()
    assert one_jobs.loc[~left, "status"].equals(other_jobs.loc[~left, "status"])


def test_what_a_fallback_is_told(run_world: Runner) -> None:
    stays = [("v", "a", 0.0, 8.0), ("v", "a", 9.0, 28.0), ("w", "a", 0.0, 40.0), ("v", "b", 29.0, 40.0)]

    class Everyone(OnlyTheFirstRound):
        def plan(self, view: RoundView) -> RoundPlan:
            return draft(view, [c for c in view.clients if c.vehicle in self.vehicles])

    fallback = Wants(WayKind.NEXT_RSU, only="v")
    world = place(stays, end_s=40.0)
    run, state = run_world(world, Everyone("v", "w"), OracleForecast(), fallback=fallback)
    first, second = fallback.views
    assert (first.round, first.rsu, first.task, first.vehicle) == (0, "a", "signs", "v")
    assert first.deadline_s == 18.0
    assert (first.best_loss, first.own_loss) == (None, None)
    assert first.steps == 0
    assert first.step_s == pytest.approx(work_s(world) / 30)
    assert first.residual_contact_s == 8.0 - first.time_s
    spent = [p for p in rows(run, "phases") if p["job"] == 0 and p["phase"] == "downlink"]
    assert first.spent_j == pytest.approx(sum(p["vehicle_j"] + p["rsu_j"] for p in spent))
    go_on, next_rsu, abandon = first.ways
    assert [w.kind for w in first.ways] == [WayKind.GO_ON, WayKind.NEXT_RSU, WayKind.ABANDON]
    whole_s = work_s(world) + first.upload_s
    assert go_on.takes_s == pytest.approx(whole_s)
    assert next_rsu.to == "a"
    assert next_rsu.takes_s == pytest.approx(whole_s), "it comes back before the training is over"
    assert next_rsu.energy_j == pytest.approx(go_on.energy_j)
    assert (abandon.energy_j, abandon.fraction) == (0.0, 0.0)
    jobs = [j for j in rows(run, "jobs") if j["round"] == 0]
    assert second.round == 1
    assert second.best_loss == min(j["loss_after"] for j in jobs)
    assert second.own_loss == next(j["loss_after"] for j in jobs if j["vehicle"] == "v")
    assert next(w for w in second.ways if w.kind is WayKind.NEXT_RSU).to == "b"
    assert state.best_loss["signs"] == min(j["loss_after"] for j in rows(run, "jobs") if j["round"] == 1)


class Broken:
    def choose(self, view: FallbackView) -> Way:
        raise ZeroDivisionError("oh")


class Inventive:
    def choose(self, view: FallbackView) -> Way:
        return Way(WayKind.CARRIER, "nobody")


@pytest.mark.parametrize(
    ("fallback", "message"),
    [
        (Broken(), r"RSU 'a', round 0, vehicle 'v', fallback Broken: choose\(\) failed in .*line \d+: ZeroDiv.*: oh; "),
        (Inventive(), r"vehicle 'v', fallback Inventive: choose\(\) returned Way.*it must return one of view\.ways\."),
    ],
)
def test_a_fallbacks_own_fault_is_told_with_its_place(run_world: Runner, fallback: Fallback, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        one(run_world, [("v", "a", 0.0, 8.0)], fallback)
