"""Jobs draw from their vehicles' batteries: none begins at the reserve, and one that comes down to it is cut there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from iovsim.domain import Assignment, PhaseEnd, PhaseKind, RoundPlan, RoundView, WayKind
from iovsim.engine.supply import Supply
from iovsim.errors import PolicyError
from iovsim.mobility.forecast import OracleForecast
from iovsim.policies.kinds import all_available
from iovsim.results import Run
from tests.engine.places import Cells, OnlyTheFirstRound, Road, Stay, Wants, phases, place, rows

if TYPE_CHECKING:
    from .conftest import Runner

ALONE: list[Stay] = [("v", "a", 0.0, 40.0)]
HANDED_OVER: list[Stay] = [("v", "a", 0.0, 8.0), ("w", "a", 0.0, 40.0)]


def run(
    run_world: Runner, stays: list[Stay], charges_j: dict[str, float] | None, policy: Any = None, **how: Any
) -> Run:
    """Of `v`'s job in the first round, unless told; without charges there are no batteries."""
    road = Road(batteries=Cells(charges_j) if charges_j is not None else None)
    chosen = policy or OnlyTheFirstRound("v")
    return run_world(place(stays), chosen, OracleForecast(), traffic=road, **how)[0]


def vehicle_j(run: Run, vehicle: str = "v") -> float:
    energy = run.table("energy")
    return float(energy[(energy["owner"] == "vehicle") & (energy["vehicle"] == vehicle)]["energy_j"].sum())


def test_a_battery_with_enough_in_it_changes_nothing_but_its_books(run_world: Runner) -> None:
    plain, full = run(run_world, ALONE, None), run(run_world, ALONE, {"v": 1000.0})
    assert plain.table("batteries").empty
    for table in ("jobs", "phases", "energy", "rounds", "evaluations"):
        assert plain.table(table).equals(full.table(table))
    first, second = rows(full, "batteries")
    assert (first["time_s"], second["time_s"]) == (20.0, 40.0)
    parts_j = first["training_j"] + first["radio_j"] + first["waiting_j"]
    assert parts_j == pytest.approx(vehicle_j(full))
    assert first["after_j"] == pytest.approx(1000.0 - parts_j)
    assert second["before_j"] == second["after_j"] == first["after_j"]
    of_phase = full.table("phases").groupby("phase")["vehicle_j"].sum()
    assert first["training_j"] == pytest.approx(of_phase["compute"])
    assert first["radio_j"] == pytest.approx(of_phase["downlink"] + of_phase["uplink"])


@pytest.mark.parametrize(("spare_j", "status"), [(0.05, "lost_downlink"), (50.0, "lost_compute")])
def test_a_job_is_cut_where_the_battery_comes_down_to_its_reserve(
    run_world: Runner, spare_j: float, status: str
) -> None:
    cut = run(run_world, ALONE, {"v": 100.0 + spare_j})
    (job,) = rows(cut, "jobs")
    assert (job["status"], job["reason"]) == (status, "battery")
    assert vehicle_j(cut) == pytest.approx(spare_j)
    assert rows(cut, "phases")[-1]["completed"] is False
    whole = run(run_world, ALONE, {"v": 1000.0})
    assert job["end_s"] < rows(whole, "jobs")[0]["end_s"]
    assert [row["after_j"] for row in rows(cut, "batteries")] == pytest.approx([100.0, 100.0])
    assert set(cut.table("energy")["cause"]) == {"wasted"}


def test_the_last_joule_is_enough_and_one_less_is_not(run_world: Runner) -> None:
    job_j = sum(p["vehicle_j"] for p in rows(run(run_world, ALONE, {"v": 1000.0}), "phases") if p["phase"] != "waiting")
    for spare_j, status in ((job_j + 1e-6, "delivered"), (job_j - 1e-6, "lost_uplink")):
        (job,) = rows(run(run_world, ALONE, {"v": 100.0 + spare_j}), "jobs")
        assert job["status"] == status


def test_who_is_at_the_reserve_is_a_client_without_feasible_ranks(run_world: Runner) -> None:
    views: list[RoundView] = []

    class Looking(OnlyTheFirstRound):
        def plan(self, view: RoundView) -> RoundPlan:
            views.append(view)
            return super().plan(view)

    stays: list[Stay] = [(name, "a", 0.0, 40.0) for name in ("low", "none", "some")]
    found = run(run_world, stays, {"low": 100.0, "some": 300.0}, Looking("low", "none", "some"))
    clients = {client.vehicle: client for client in views[0].clients}
    assert clients["low"].feasible_ranks == {"signs": ()}
    assert clients["none"].battery is None
    assert clients["some"].battery is not None
    assert (clients["some"].battery.share, clients["some"].battery.spare_j) == (0.3, 200.0)
    assert set(found.table("jobs")["vehicle"]) == {"none", "some"}
    everybody = run(run_world, stays, {"low": 100.0, "some": 300.0}, all_available(2))
    assert set(everybody.table("jobs")["vehicle"]) == {"none", "some"}


def test_a_plan_for_who_is_at_the_reserve_is_refused(run_world: Runner) -> None:
    class Stubborn(OnlyTheFirstRound):
        def plan(self, view: RoundView) -> RoundPlan:
            given = Assignment("v", "signs", 2, 1, 1e6, 1e6, 0.1, view.deadline_s)
            return RoundPlan({"v": given})

    with pytest.raises(PolicyError, match=r"vehicle 'v': its battery holds 100 J, and jobs must leave .* 100 J; plan"):
        run(run_world, ALONE, {"v": 100.0}, Stubborn("v"))


def test_a_carrier_draws_from_its_own_battery(run_world: Runner) -> None:
    def handed_over(charge_j: float, *planned: str) -> Run:
        charges_j = {"v": 1000.0, "w": charge_j}
        policy = OnlyTheFirstRound(*(planned or ("v",)))
        return run(run_world, HANDED_OVER, charges_j, policy, fallback=Wants(WayKind.CARRIER, steps=10, only="v"))

    whole = handed_over(1000.0)
    assert [p[:2] for p in phases(whole)][2:5] == [("sidelink", "v"), ("receiving", "w"), ("compute", "w")]
    books = {row["vehicle"]: row for row in rows(whole, "batteries") if row["time_s"] == 20.0}
    for vehicle in ("v", "w"):
        assert 1000.0 - books[vehicle]["after_j"] == pytest.approx(vehicle_j(whole, vehicle))
    cut = handed_over(130.0)
    (job,) = rows(cut, "jobs")
    assert (job["status"], job["reason"]) == ("lost_compute", "battery")
    assert vehicle_j(cut, "w") == pytest.approx(30.0)
    low = handed_over(100.0)
    assert rows(low, "jobs")[0]["fallback"] != "carrier"


def test_what_a_carriers_own_job_took_counts_too() -> None:
    supply = Supply(Cells({"w": 200.0}), {"w": 40.0, "v": 500.0})
    received = PhaseEnd(PhaseKind.RECEIVING, 3.0, 5.0, True, 1.0, 10.0, 0.0, "w")
    training = PhaseEnd(PhaseKind.COMPUTE, 5.0, 15.0, True, 0.0, 100.0, 0.0, "w")
    assert supply.lasts_s("v", [received], [training]) == 10.0  # 50 J at 10 W
    assert supply.lasts_s("v", [], [replace(training, vehicle="")]) == np.inf  # v has no battery
    assert not supply.is_low("w", 3.0)
    assert Supply(Cells({"w": 200.0}), {"w": 100.0}).is_low("w", 3.0)


def test_nobody_is_asked_for_a_way_once_the_battery_is_at_its_reserve(run_world: Runner) -> None:
    stays: list[Stay] = [("v", "a", 0.0, 8.0)]
    asked, cut = Wants(WayKind.UPLOAD, steps=10**6), Wants(WayKind.UPLOAD, steps=10**6)
    run(run_world, stays, {"v": 1000.0}, fallback=asked)
    found = run(run_world, stays, {"v": 150.0}, fallback=cut)
    (job,) = rows(found, "jobs")
    assert (job["status"], job["reason"]) == ("lost_compute", "battery")
    assert 0 < len(cut.views) < len(asked.views)
    assert all(view.time_s <= job["end_s"] for view in cut.views)


def test_what_all_jobs_took_is_what_the_ledger_says_of_vehicles(run_world: Runner) -> None:
    stays: list[Stay] = [(f"v{i}", "a", 0.0, 15.0 + i) for i in range(6)]
    found = run(run_world, stays, {f"v{i}": 120.0 + 60.0 * i for i in range(6)}, all_available(2))
    batteries = found.table("batteries")
    jobs_j = batteries[["training_j", "radio_j", "waiting_j"]].sum(axis=1)
    for vehicle, taken_j in jobs_j.groupby(batteries["vehicle"]).sum().items():
        assert taken_j == pytest.approx(vehicle_j(found, str(vehicle)))
    assert np.allclose(batteries["before_j"] - jobs_j + batteries["unmet_j"], batteries["after_j"])
    assert "battery" in set(found.table("jobs")["reason"])
