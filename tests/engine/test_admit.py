"""Every rule of admission refuses exactly what breaks it, and says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from iovsim.domain import Assignment, RoundPlan, RoundView, World
from iovsim.engine.admit import admit
from iovsim.engine.observe import observe
from iovsim.engine.simulate import initial_state
from iovsim.engine.state import Method
from iovsim.errors import PolicyError
from iovsim.learning.aggregators.svd import SvdAggregator
from iovsim.mobility.forecast import HeadingForecast
from iovsim.policies.budget import KeepBudgets
from iovsim.policies.kinds import all_available
from iovsim.testing import FakeTrainer


@pytest.fixture
def view(world: World) -> RoundView:
    state = initial_state(world, FakeTrainer())
    state.busy.add("v01")
    method = Method(all_available(), SvdAggregator(), KeepBudgets(), HeadingForecast())
    return observe(world, method, state, world.rsus[0], 0, 0.0)[0]


def plan_with(view: RoundView, **changes: Any) -> RoundPlan:
    good = all_available().plan(view)
    first = good.assignments["v00"]
    return RoundPlan({**good.assignments, "v00": replace(first, **changes)})


def test_a_sound_plan_passes_with_its_estimate(view: RoundView) -> None:
    plan = all_available().plan(view)
    assert "v01" not in plan.assignments, "busy vehicles are left alone"
    estimated = admit(view, plan, refuse_over_budget=False)
    assert estimated["signs"] == pytest.approx(sum(view.estimate(a).energy_j for a in plan.assignments.values()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rank": 9}, r"vehicle 'v00': rank 9 does not fit; of the task's ranks its memory holds \[2, 4, 8\], and any"),
        ({"rank": 0}, r"vehicle 'v00': rank 0 does not fit"),
        ({"task": "lights"}, r"vehicle 'v00': has no data for task 'lights' here; its tasks are \['signs'\]"),
        ({"power_w": 0.0}, r"power_w = 0; allowed are \(0, 0.19"),
        ({"power_w": 9.0}, r"power_w = 9; allowed are"),
        ({"bandwidth_up_hz": 0.0}, r"bandwidth_up_hz = 0; it must be positive"),
        ({"bandwidth_up_hz": 19e6}, r"the plan's bandwidth_up_hz add up to .*, the band is 2e\+07"),
        ({"bandwidth_down_hz": 19e6}, r"the plan's bandwidth_down_hz add up to"),
        ({"local_epochs": 0}, r"local_epochs = 0; it must be at least 1"),
        ({"deadline_s": 0.0}, r"deadline_s = 0; allowed are \(0, 18\]"),
        ({"deadline_s": 18.5}, r"deadline_s = 18.5; allowed are \(0, 18\]"),
        ({"vehicle": "v02"}, r"vehicle 'v00': its assignment names the vehicle 'v02'"),
    ],
)
def test_an_impossible_assignment_is_refused(view: RoundView, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError, match=r"RSU 'rsu0', round 0.*" + message):
        admit(view, plan_with(view, **changes), refuse_over_budget=False)


@pytest.mark.parametrize(("vehicle", "message"), [("ghost", "not attached to this RSU"), ("v01", "busy")])
def test_absent_and_busy_vehicles_are_refused(view: RoundView, vehicle: str, message: str) -> None:
    assignment = Assignment(vehicle, "signs", 8, 1, 1e6, 1e6, 0.1, 18.0)
    with pytest.raises(PolicyError, match=f"vehicle '{vehicle}': {message}"):
        admit(view, RoundPlan({vehicle: assignment}), refuse_over_budget=False)


def test_a_plan_above_budget_is_refused_only_where_asked_for(view: RoundView) -> None:
    poor = replace(view, tasks=tuple(replace(t, energy_budget_j=1.0) for t in view.tasks))
    plan = all_available().plan(poor)
    assert admit(poor, plan, refuse_over_budget=False)["signs"] > 1.0
    with pytest.raises(PolicyError, match=r"task 'signs': the plan is estimated at .* J, the budget is 1 J"):
        admit(poor, plan, refuse_over_budget=True)
