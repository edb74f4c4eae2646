"""A job that goes on to the next RSU arrives there in its period, or is lost on the way; nothing else of it changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from iovsim.domain import (
    ContactEnd,
    WayKind,
)
from iovsim.energy import waiting_j
from iovsim.mobility.forecast import OracleForecast
from tests.engine.places import (
    DEVICE,
    OnlyTheFirstRound,
    Stay,
    Wants,
    lengths_s,
    one,
    phases,
    place,
    rows,
)

if TYPE_CHECKING:
    from .conftest import Runner


def test_a_job_that_goes_on_to_the_next_rsu_is_the_one_that_had_stayed_bit_for_bit(run_world: Runner) -> None:
    moved, mover = one(run_world, [("v", "a", 0.0, 8.0), ("v", "b", 14.0, 40.0)], Wants(WayKind.NEXT_RSU))
    stayed, stayer = one(run_world, [("v", "a", 0.0, 40.0), ("u", "b", 30.0, 40.0)], None)
    (job,), (still,) = rows(moved, "jobs"), rows(stayed, "jobs")
    assert (job["status"], job["rsu"], job["arrived_at"]) == ("migrated", "a", "b")
    assert (job["fallback"], job["carrier"]) == ("next-rsu", "")
    one_job, other_job = mover.jobs["v"], stayer.jobs["v"]
    for field in ("task", "vehicle", "round", "rsu", "epochs", "recipe", "dropout", "seed", "steps", "carrier_samples"):
        assert getattr(one_job, field) == getattr(other_job, field), field
    assert np.array_equal(one_job.samples, other_job.samples)
    assert [job[k] for k in ("fraction", "loss_before", "loss_after")] == [
        still[k] for k in ("fraction", "loss_before", "loss_after")
    ]
    for table in ("evaluations",):
        same = [[r[k] for k in ("scope", "accuracy", "loss")] for r in rows(moved, table) if r["scope"] == "global"]
        assert same == [
            [r[k] for k in ("scope", "accuracy", "loss")] for r in rows(stayed, table) if r["scope"] == "global"
        ]
    assert phases(moved) == [
        ("downlink", "v", "a", True),
        ("compute", "v", "a", True),
        ("carrying", "v", "a", True),
        ("uplink", "v", "b", True),
    ]
    of_moved, of_stayed = rows(moved, "phases"), rows(stayed, "phases")
    assert of_moved[1]["end_s"] == of_stayed[1]["end_s"], "training is not interrupted"
    assert of_moved[2]["end_s"] == 14.0
    assert of_moved[2]["vehicle_j"] == pytest.approx(waiting_j(DEVICE, 14.0 - of_moved[1]["end_s"]))
    assert of_moved[3]["vehicle_j"] == pytest.approx(of_stayed[2]["vehicle_j"])


def test_what_arrives_elsewhere_counts_there_and_in_the_same_period(run_world: Runner) -> None:
    stays = [("v", "a", 0.0, 8.0), ("v", "b", 14.0, 40.0), ("u", "b", 0.0, 40.0)]
    run, _ = one(run_world, stays, Wants(WayKind.NEXT_RSU, only="v"), "u", "v")
    first = {r["rsu"]: r for r in rows(run, "rounds") if r["round"] == 0}
    assert [first[rsu]["delivered"] for rsu in "ab"] == [1, 1], "each RSU tells of its own jobs"
    assert [first[rsu]["from_others"] for rsu in "ab"] == [0, 1]
    own = {j["vehicle"]: j for j in rows(run, "jobs")}
    assert first["a"]["end_s"] == own["v"]["fallback_s"], "whom it gave the job has gone on"
    assert first["b"]["end_s"] == own["u"]["end_s"], "it does not wait for who may come"
    assert first["a"]["energy_j"] == pytest.approx(own["v"]["energy_j"])
    energy = run.table("energy")
    at_b = energy[(energy["vehicle"] == "v") & (energy["rsu"] == "b") & (energy["owner"] == "rsu")]
    assert at_b["energy_j"].sum() > 0, "its receiver's energy is its own"
    (merge,) = [m for m in rows(run, "merges") if m["updates"]]
    assert (merge["rsus"], merge["updates"]) == (1, 2), "both updates are in b's adapter"


def test_a_newcomer_sends_when_the_band_has_room(run_world: Runner) -> None:
    """Eight vehicles share the band of b until they have uploaded, and v has the whole band of a."""
    crowd = [f"u{i}" for i in range(8)]
    stays = [("v", "a", 0.0, 8.0), ("v", "b", 8.5, 40.0), *((u, "b", 0.0, 40.0) for u in crowd)]
    run, _ = one(run_world, stays, Wants(WayKind.NEXT_RSU, only="v"), "v", *crowd)
    jobs = {j["vehicle"]: j for j in rows(run, "jobs")}
    assert jobs["v"]["status"] == "migrated"
    up = {p["vehicle"]: p for p in rows(run, "phases") if p["phase"] == "uplink"}
    assert up["v"]["start_s"] == min(jobs[u]["end_s"] for u in crowd)
    eighth = up["u0"]["end_s"] - up["u0"]["start_s"]
    assert up["v"]["end_s"] - up["v"]["start_s"] == pytest.approx(eighth), "as narrow as those that are there"
    assert next(p for p in rows(run, "phases") if p["phase"] == "carrying")["end_s"] == up["v"]["start_s"]


@pytest.mark.parametrize(
    ("later", "end_s", "status", "reason", "ended_s"),
    [
        ([("v", "b", 19.0, 40.0)], 40.0, "lost_migration", "deadline", 18.0),
        ([("v", "c", 9.0, 40.0)], 40.0, "lost_migration", "deadline", 18.0),  # c does not host the task
        ([("v", "b", 17.99, 40.0)], 40.0, "lost_uplink", "deadline", 18.0),
        ([("v", "b", 14.0, 14.01)], 40.0, "lost_uplink", "contact", 14.01),
        ([("v", "b", 14.0, 40.0)], 9.0, "in_flight", "none", 9.0),
        ([("v", "b", 14.0, 40.0)], 13.5, "in_flight", "none", 13.5),
    ],
)
def test_each_way_to_be_lost_on_the_way(
    run_world: Runner, later: list[Stay], end_s: float, status: str, reason: str, ended_s: float
) -> None:
    class Always(OracleForecast):
        """Promises that the next RSU is near."""

        def next_rsu(self, *_: object) -> tuple[str, float]:
            return "b", 0.0

    world = place([("v", "a", 0.0, 8.0), *later], end_s=end_s)
    world = replace(world, rsus=tuple(replace(r, tasks=()) if r.rsu == "c" else r for r in world.rsus))
    run, _ = run_world(world, OnlyTheFirstRound("v"), Always(), fallback=Wants(WayKind.NEXT_RSU))
    (job,) = rows(run, "jobs")
    assert (job["status"], job["reason"], job["end_s"]) == (status, reason, ended_s)
    assert (job["fallback"], job["arrived_at"]) == ("next-rsu", "")
    assert set(run.table("energy")["cause"]) == {"wasted"}
    assert run.table("merges")["updates"].sum() == 0


def test_a_vehicle_that_parks_takes_its_job_with_it(run_world: Runner) -> None:
    class Always(OracleForecast):
        def next_rsu(self, *_: object) -> tuple[str, float]:
            return "a", 0.0

    world = place([("v", "a", 0.0, 8.0)], {"v": ContactEnd.VANISHED})
    run, _ = run_world(world, OnlyTheFirstRound("v"), Always(), fallback=Wants(WayKind.NEXT_RSU))
    (job,) = rows(run, "jobs")
    assert (job["status"], job["reason"], job["end_s"]) == ("lost_compute", "contact", 8.0)


def test_a_vehicle_may_come_back_to_where_it_was(run_world: Runner) -> None:
    run, _ = one(run_world, [("v", "a", 0.0, 8.0), ("v", "a", 14.0, 40.0)], Wants(WayKind.NEXT_RSU))
    (job,) = rows(run, "jobs")
    assert (job["status"], job["rsu"], job["arrived_at"]) == ("migrated", "a", "a")
    assert rows(run, "rounds")[0]["from_others"] == 0


def test_a_finished_update_may_go_on_too(run_world: Runner) -> None:
    """Training ends at about 11.6 s; of the rest of the contact there is too little for the upload."""
    done_s = rows(one(run_world, [("v", "a", 0.0, 40.0)], None)[0], "phases")[1]["end_s"]
    stays = [("v", "a", 0.0, done_s + 0.01), ("v", "b", done_s + 1.0, 40.0)]
    fallback = Wants(WayKind.NEXT_RSU, steps=30)
    run, _ = one(run_world, stays, fallback)
    assert rows(run, "jobs")[0]["status"] == "migrated"
    assert fallback.views[-1].steps == fallback.views[-1].planned_steps == 30
    assert fallback.views[-1].time_s == pytest.approx(done_s)
    assert lengths_s(run)[2] == pytest.approx(1.0)
