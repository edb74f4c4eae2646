"""Who is low takes no part, or goes to charge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from iovsim.domain import Battery, Drive, RoundView, Rsu, Station, StopAt, TrafficView
from iovsim.errors import ScenarioError
from iovsim.policies import StagedPolicy
from iovsim.policies.keep_charged import KeepCharged
from iovsim.policies.rank import FixedRank
from iovsim.policies.select import SelectAll
from iovsim.policies.stay_charged import StayCharged
from iovsim.testing import tiny_views

STATIONS = {"far": Station(900.0, 0.0, 1e3), "near": Station(-50.0, 0.0, 2e4)}


def view_of(charges_j: Mapping[str, float], reserve_j: float = 100.0) -> RoundView:
    """The first tiny view, in which some have batteries of 1 kJ."""
    view = next(iter(tiny_views()))
    batteries = {vehicle: Battery(charge_j, 1000.0, reserve_j) for vehicle, charge_j in charges_j.items()}
    return replace(view, clients=tuple(replace(c, battery=batteries.get(c.vehicle)) for c in view.clients))


def traffic_view(
    charges_j: Mapping[str, float], stations: Mapping[str, Station] = STATIONS, at: Mapping[str, str] | None = None
) -> TrafficView:
    view = view_of(charges_j)
    return TrafficView(
        time_s=view.start_s + 1.0,
        next_s=view.start_s + 20.0,
        round=view,
        plan=StagedPolicy((SelectAll(), FixedRank(8))).plan(view),
        rsu=Rsu(view.rsu, 0.0, 0.0, 5.0, 250.0, ("signs",)),
        drives={
            c.vehicle: Drive(c.vehicle, 0.0, 0.0, 10.0, 0.0, "road", 14.0, (at or {}).get(c.vehicle, ""))
            for c in view.clients
            if c.vehicle != "v05"  # which has left the road
        },
        edges={view.rsu: "home"},
        stations=stations,
    )


def kept(view: RoundView, least_share: float) -> set[str]:
    return set(StagedPolicy((SelectAll(), FixedRank(8), KeepCharged(least_share))).plan(view).assignments)


def test_who_is_low_or_cannot_spare_the_job_is_dropped() -> None:
    plain = view_of({})
    everybody = kept(plain, 1.0)
    assert {"v01", "v02", "v04", "v06"} <= everybody  # nobody has a battery
    plan = StagedPolicy((SelectAll(), FixedRank(8))).plan(plain)
    job_j = plain.estimate(plan.assignments["v04"]).energy_j
    view = view_of({"v01": 399.0, "v02": 400.0, "v04": 100.0 + 0.99 * job_j, "v07": 100.0 + 1.01 * job_j})
    assert everybody - kept(view, 0.4) == {"v01", "v04", "v07"}
    assert everybody - kept(view, 0.0) == {"v04"}


def test_dropping_shares_the_band_anew_and_keeping_all_changes_nothing() -> None:
    view = view_of({"v01": 150.0})
    plan = StagedPolicy((SelectAll(), FixedRank(8))).plan(view)
    assert KeepCharged(0.0)(view_of({}), plan) is plan
    fewer = KeepCharged(0.9)(view, plan)
    shares_hz = [a.bandwidth_up_hz for a in fewer.assignments.values()]
    assert sum(shares_hz) == pytest.approx(view.bandwidth_up_hz)


def test_who_is_low_goes_to_the_nearest_station_until_it_is_full() -> None:
    view = traffic_view({"v01": 190.0, "v02": 200.0, "v03": 100.0, "v04": 50.0, "v05": 10.0}, at={"v04": "far"})
    assert StayCharged(0.2, 0.8).act(view) == [StopAt("v01", "near", 610.0 / 2e4), StopAt("v03", "near", 700.0 / 2e4)]


def test_without_stations_or_batteries_nobody_is_sent_anywhere() -> None:
    assert StayCharged().act(traffic_view({"v01": 10.0}, stations={})) == []
    assert StayCharged().act(traffic_view({})) == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KeepCharged(1.5), r"least_share = 1\.5: must lie in \[0, 1\]"),
        (lambda: StayCharged(0.5, 0.5), r"low_share = 0\.5, full_share = 0\.5: they must lie"),
        (lambda: StayCharged(-0.1, 0.5), r"low_share = -0\.1"),
        (lambda: StayCharged(0.1, 1.5), r"full_share = 1\.5"),
    ],
)
def test_shares_that_are_none_are_refused(make: object, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        make()  # type: ignore[operator]
