"""A vehicle that would leave before its job is done is slowed down just enough, or sent back, and nobody else is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from iovsim.domain import Drive, Reroute, RoundView, SetSpeed, TrafficView
from iovsim.errors import ScenarioError
from iovsim.policies import StagedPolicy
from iovsim.policies.rank import FixedRank
from iovsim.policies.select import SelectAll
from iovsim.policies.stay_covered import StayCovered
from iovsim.testing.worlds import tiny_views, tiny_world

RSU = tiny_world().rsus[0]


def traffic_view(stay_s: float, *, speed_mps: float = 10.0, waited_s: float = 1.0) -> TrafficView:
    """The first tiny view, in which all clients are foreseen to stay `stay_s`, and drive."""
    view: RoundView = next(iter(tiny_views()))
    view = replace(view, clients=tuple(replace(c, residual_contact_s=stay_s) for c in view.clients))
    return TrafficView(
        time_s=view.start_s + waited_s,
        next_s=view.start_s + 20.0,
        round=view,
        plan=StagedPolicy((SelectAll(), FixedRank(8))).plan(view),
        rsu=RSU,
        drives={c.vehicle: Drive(c.vehicle, 0.0, 0.0, 0.0, -speed_mps, "road", 14.0) for c in view.clients},
        edges={RSU.rsu: "home"},
        stations={},
    )


def needs_s(view: TrafficView, vehicle: str) -> float:
    return view.round.estimate(view.plan.assignments[vehicle]).total_s


def test_who_stays_long_enough_is_left_alone() -> None:
    assert StayCovered(detour=True).act(traffic_view(300.0)) == []


def test_speed_falls_by_what_is_missing_and_until_the_job_is_done() -> None:
    view = traffic_view(300.0)
    vehicle = max(view.plan.assignments, key=lambda v: needs_s(view, v))
    need_s = needs_s(view, vehicle) / 0.8
    clients = tuple(
        replace(c, residual_contact_s=0.75 * need_s if c.vehicle == vehicle else 300.0) for c in view.round.clients
    )
    view = replace(view, round=replace(view.round, clients=clients), time_s=view.round.start_s + 0.1 * need_s)
    (action,) = StayCovered(least_share=0.1).act(view)
    assert isinstance(action, SetSpeed)
    assert action.vehicle == vehicle
    assert action.speed_mps == pytest.approx(10.0 * 0.65 / 0.9)
    deadline_s = view.plan.assignments[vehicle].deadline_s
    assert action.until_s == pytest.approx(min(view.round.start_s + need_s, deadline_s))


def test_too_slow_is_not_driven_but_turned_back_if_asked() -> None:
    view = traffic_view(1.5)
    assert StayCovered().act(view) == []
    actions = StayCovered(detour=True).act(view)
    assert actions
    assert set(actions) <= {Reroute(v, "home") for v in view.plan.assignments}


def test_only_vehicles_with_a_job_that_are_on_the_road_are_acted_on() -> None:
    view = traffic_view(1.5)
    acted = {action.vehicle for action in StayCovered(detour=True).act(view)}
    gone = min(acted)
    drives = {v: d for v, d in view.drives.items() if v != gone}
    assert {a.vehicle for a in StayCovered(detour=True).act(replace(view, drives=drives))} == acted - {gone}
    idle = replace(view, plan=replace(view.plan, assignments={}))
    assert StayCovered(detour=True).act(idle) == []


@pytest.mark.parametrize("wrong", [{"safety": 0.0}, {"safety": 1.1}, {"least_share": -0.1}])
def test_shares_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ScenarioError, match=r"must lie in \(0, 1\]"):
        StayCovered(**wrong)
