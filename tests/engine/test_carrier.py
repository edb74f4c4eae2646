"""A job handed over to another vehicle goes on there; both pay, and each does one thing at a time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from iovsim.domain import (
    Recipe,
    WayKind,
)
from iovsim.energy import TIERS, sidelink_j, update_bits
from iovsim.mobility.forecast import OracleForecast
from tests.engine.places import (
    DEVICE,
    OnlyTheFirstRound,
    Wants,
    one,
    phases,
    place,
    rows,
)

if TYPE_CHECKING:
    from .conftest import Runner


def test_a_carrier_finishes_on_its_own_samples_and_both_vehicles_pay(run_world: Runner) -> None:
    stays = [("v", "a", 0.0, 8.0), ("w", "a", 0.0, 40.0)]
    run, trainer = one(run_world, stays, Wants(WayKind.CARRIER, steps=10))
    world = place(stays)
    (job,) = rows(run, "jobs")
    assert (job["status"], job["fallback"], job["carrier"]) == ("migrated", "carrier", "w")
    assert (job["arrived_at"], job["fraction"]) == ("a", 1.0)
    trained = trainer.jobs["v"]
    assert trained.steps == 10
    assert trained.carrier_samples is not None
    assert np.array_equal(trained.carrier_samples, world.vehicles["w"].shards["signs"].train)
    assert phases(run) == [
        ("downlink", "v", "a", True),
        ("compute", "v", "a", False),
        ("sidelink", "v", "a", True),
        ("receiving", "w", "a", True),
        ("compute", "w", "a", True),
        ("uplink", "w", "a", True),
    ]
    _, before, sending, receiving, after, _ = rows(run, "phases")
    assert after["end_s"] - after["start_s"] == pytest.approx(2 * (before["end_s"] - before["start_s"]))
    bits = update_bits(world.tasks[0].charged, 2)
    assert sending["bits"] == receiving["bits"] == job["sidelink_bits"] == 3 * bits, "with both moments of AdamW"
    assert (sending["start_s"], sending["end_s"]) == (receiving["start_s"], receiving["end_s"])
    joules = sidelink_j(DEVICE, DEVICE, world.radio.vehicle_power_w, sending["end_s"] - sending["start_s"])
    assert (sending["vehicle_j"], receiving["vehicle_j"]) == pytest.approx(joules)
    assert sending["rsu_j"] == receiving["rsu_j"] == 0.0
    energy = run.table("energy")
    theirs = energy[energy["vehicle"] == "w"]
    assert theirs["energy_j"].sum() == pytest.approx(
        sum(p["vehicle_j"] + p["rsu_j"] for p in rows(run, "phases") if p["vehicle"] == "w")
    )
    assert job["energy_j"] == pytest.approx(energy["energy_j"].sum())


def test_a_finished_update_and_one_of_plain_sgd_are_sent_alone(run_world: Runner) -> None:
    done_s = rows(one(run_world, [("v", "a", 0.0, 40.0)], None)[0], "phases")[1]["end_s"]
    stays = [("v", "a", 0.0, done_s + 0.1), ("w", "a", 0.0, 40.0)]
    world = place(stays)
    bits = update_bits(world.tasks[0].charged, 2)
    world = replace(world, radio=replace(world.radio, sidelink_bandwidth_hz=200e6))
    run, _ = run_world(world, OnlyTheFirstRound("v"), OracleForecast(), fallback=Wants(WayKind.CARRIER, steps=30))
    (job,) = rows(run, "jobs")
    assert (job["status"], job["carrier"], job["sidelink_bits"]) == ("migrated", "w", bits)
    assert [p[0] for p in phases(run)] == ["downlink", "compute", "sidelink", "receiving", "uplink"]

    sgd = replace(world.tasks[0], recipe=Recipe(1e-3, 16, "sgd"))
    early = replace(place([("v", "a", 0.0, 8.0), ("w", "a", 0.0, 40.0)]), tasks=(sgd,))
    run, _ = run_world(early, OnlyTheFirstRound("v"), OracleForecast(), fallback=Wants(WayKind.CARRIER, steps=10))
    assert rows(run, "jobs")[0]["sidelink_bits"] == bits


def offered(fallback: Wants) -> list[set[str]]:
    return [{w.to for w in view.ways if w.kind is WayKind.CARRIER} for view in fallback.views]


def test_who_can_carry(run_world: Runner) -> None:
    others = ["able", "busy", "leaving", "small", "without"]
    stays = [("v", "a", 0.0, 8.0), ("elsewhere", "b", 0.0, 40.0), *((o, "a", 0.0, 40.0) for o in others)]
    stays = [(v, r, s, 9.0 if v == "leaving" else e) for v, r, s, e in stays]
    world = place(stays)
    changed = {
        "small": replace(world.vehicles["small"], device=TIERS["telematics"]),
        "without": replace(world.vehicles["without"], shards={}),
    }
    world = replace(world, vehicles={**world.vehicles, **changed}, evaluated_vehicles={"signs": ("v",)})
    world = replace(world, tasks=(replace(world.tasks[0], recipe=Recipe(1e-3, 16)),))
    fallback = Wants(WayKind.CARRIER, steps=99, only="v")
    run_world(world, OnlyTheFirstRound("v", "busy"), OracleForecast(), fallback=fallback)
    seen = offered(fallback)
    assert seen[0] == set(), "nothing is trained yet"
    assert set.union(*seen) == {"able"}
    late = [len(found) for found in seen].index(0, 1)
    view = fallback.views[late]
    assert view.residual_contact_s < 1.0, "in the end the link is too slow for what is left of the contact"

    local = replace(world, tasks=(replace(world.tasks[0], local_head=True),))
    fallback = Wants(WayKind.CARRIER, steps=99, only="v")
    run_world(local, OnlyTheFirstRound("v"), OracleForecast(), fallback=fallback)
    assert set.union(*offered(fallback)) == set(), "a head that stays where it is cannot be trained elsewhere"


def test_who_has_delivered_can_carry_and_waits_no_more(run_world: Runner) -> None:
    stays = [("v", "a", 0.0, 14.0), ("w", "a", 0.0, 40.0)]
    fallback = Wants(WayKind.CARRIER, steps=5, only="v")
    world = place(stays, epochs=4)
    quick = replace(world.vehicles["w"], device=TIERS["agx-orin"])
    slow = replace(world.vehicles["v"], device=replace(DEVICE, compute_flops=DEVICE.compute_flops / 4))
    world = replace(world, vehicles={"v": slow, "w": quick})
    run, state = run_world(world, OnlyTheFirstRound("v", "w"), OracleForecast(), fallback=fallback)
    jobs = {j["vehicle"]: j for j in rows(run, "jobs")}
    assert (jobs["v"]["status"], jobs["v"]["carrier"]) == ("migrated", "w")
    assert jobs["w"]["status"] == "delivered"
    assert jobs["w"]["end_s"] < jobs["v"]["fallback_s"]
    by_w = sorted((p["start_s"], p["end_s"], p["phase"]) for p in rows(run, "phases") if p["vehicle"] == "w")
    assert [name for *_, name in by_w] == ["downlink", "compute", "uplink", "waiting", "receiving", "compute", "uplink"]
    assert all(a[1] <= b[0] for a, b in pairwise(by_w)), "one thing at a time"
    assert by_w[3][1] == jobs["v"]["fallback_s"]
    assert state.busy == set()


def test_a_carrier_serves_one_job_at_a_time(run_world: Runner) -> None:
    stays = [("v", "a", 0.0, 10.0), ("x", "a", 0.0, 10.0), ("w", "a", 0.0, 40.0)]
    run, _ = one(run_world, stays, Wants(WayKind.CARRIER, steps=10), "v", "x")
    jobs = rows(run, "jobs")
    assert sorted(j["status"] for j in jobs) == ["abandoned", "migrated"]
    assert sorted(j["carrier"] for j in jobs) == ["", "w"]


@pytest.mark.parametrize(
    ("leaves_s", "status", "phase"),
    [(40.0, "lost_migration", "sidelink"), (9.0, "lost_compute", "compute"), (14.0, "lost_uplink", "uplink")],
)
def test_each_way_to_be_lost_with_a_carrier(run_world: Runner, leaves_s: float, status: str, phase: str) -> None:
    class Late(OracleForecast):
        """Foresees nothing but what v does."""

        def residual_s(self, contact: Any, rsu: Any, time_s: float) -> float:
            return super().residual_s(contact, rsu, time_s) if contact.vehicle == "v" else 1e9

    stays = [("v", "a", 0.0, 8.0), ("w", "a", 0.0, leaves_s)]
    world = place(stays)
    if phase == "sidelink":  # a link that is foreseen to be good, and fades
        world = replace(world, sidelinks=Fading(world.sidelinks))
    if phase == "uplink":  # so long an upload that it is cut for certain
        world = replace(world, radio=replace(world.radio, bandwidth_up_hz=2e6))
    fallback = Wants(WayKind.CARRIER, steps=10)
    run, _ = run_world(world, OnlyTheFirstRound("v"), Late(), fallback=fallback)
    (job,) = rows(run, "jobs")
    assert (job["status"], job["reason"], job["carrier"]) == (status, "contact", "w")
    assert phases(run)[-1 if phase != "sidelink" else -2][0] == phase
    assert set(run.table("energy")["cause"]) == {"wasted"}


class Fading:
    """A book whose links fade away."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def link(self, *contacts: Any) -> Any:
        link = self.inner.link(*contacts)
        return replace(link, fading=np.full(2, 1e-12))
