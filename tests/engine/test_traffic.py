"""What a method does to traffic when rounds begin: asked in order, checked, done, recorded; then traffic drives on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from iovsim.domain import (
    Reroute,
    SetSpeed,
    StopAt,
    TrafficAction,
    TrafficRule,
    TrafficView,
    World,
)
from iovsim.engine import Method, Setting, simulate
from iovsim.engine.traffic import admit_action
from iovsim.errors import PolicyError
from iovsim.learning.aggregators.svd import SvdAggregator
from iovsim.mobility.forecast import HeadingForecast
from iovsim.policies.budget import KeepBudgets
from iovsim.policies.kinds import all_available
from iovsim.results import Manifest, PolicyRecord, Run, RunFolder, open_run
from iovsim.testing import FakeTrainer
from tests.engine.places import Road


@dataclass
class Acting:
    """Does to each client what `acts` gives for it, in the first round."""

    acts: Callable[[str], list[Any]]
    asked: list[TrafficView] = field(default_factory=list)

    def act(self, view: TrafficView) -> list[Any]:
        self.asked.append(view)
        return [a for c in view.round.clients if view.round.round == 0 for a in self.acts(c.vehicle)]


def run(world: World, rule: TrafficRule | None, road: Road | None, folder: Path) -> Run:
    method = Method(all_available(), SvdAggregator(), KeepBudgets(), HeadingForecast(), traffic=rule)
    manifest = Manifest(
        world=world.name,
        world_hash=world.hash,
        seed=world.seed,
        policy=PolicyRecord(name="p", kind="p", forecast="heading", parameters={}),
        scenario={},
        charge_as={},
    )
    with RunFolder.create(folder, manifest) as made:
        setting = Setting(world, method, FakeTrainer(), made.recorder, lambda *_: None, road)
        simulate(setting, lambda done: None)
    return open_run(folder)


def test_traffic_is_driven_from_period_to_period_once_all_have_acted(world: World, tmp_path: Path) -> None:
    road, rule = Road(), Acting(lambda vehicle: [SetSpeed(vehicle, 5.0, 9.0)])
    run(world, rule, road, tmp_path / "run")
    first = road.told.index(20.0)
    assert [action.vehicle for action in road.told[:first]] == sorted(world.vehicles)  # type: ignore[union-attr]
    assert road.told[first:] == [20.0, 40.0, 60.0, 80.0, 100.0, 120.0]
    views = [view for view in rule.asked if view.rsu.rsu == "rsu0"]
    assert [(v.time_s, v.next_s) for v in views] == [(20.0 * k + 1.0, 20.0 * k + 20.0) for k in range(6)]
    assert all(view.edges == road.edges and view.plan.assignments.keys() <= view.drives.keys() for view in views)


def test_every_action_is_recorded_with_what_came_of_it(world: World, tmp_path: Path) -> None:
    def acts(vehicle: str) -> list[TrafficAction]:
        every: dict[str, list[TrafficAction]] = {
            "v00": [SetSpeed("v00", 5.0, 9.0)],
            "v01": [Reroute("v01", "b"), Reroute("v01", "closed")],
            "v02": [StopAt("v02", "plug", 30.0)],
            "v03": [Reroute("v03", "b")],
        }
        return every.get(vehicle, [])

    road = Road(gone={"v03"})
    actions = run(world, Acting(acts), road, tmp_path / "run").table("actions")
    shown = actions[["vehicle", "action", "place", "speed_mps", "until_s", "stay_s", "done", "message"]].astype(object)
    nothing = float("nan")
    expected = [
        ["v00", "speed", "", 5.0, 9.0, nothing, True, ""],
        ["v01", "reroute", "b", nothing, nothing, nothing, True, ""],
        ["v01", "reroute", "closed", nothing, nothing, nothing, False, "no route"],
        ["v02", "stop", "plug", nothing, nothing, 30.0, True, ""],
        ["v03", "reroute", "b", nothing, nothing, nothing, False, "has left the road"],
    ]
    assert str(shown.to_numpy().tolist()) == str(expected)
    assert (set(actions["time_s"]), set(actions["rsu"]), set(actions["round"])) == ({1.0}, {"rsu0"}, {0})
    assert Reroute("v03", "b") not in road.told


def test_without_live_traffic_nobody_is_asked(world: World, tmp_path: Path) -> None:
    rule = Acting(lambda vehicle: [SetSpeed(vehicle, 5.0, 9.0)])
    assert run(world, rule, None, tmp_path / "run").table("actions").empty
    assert not rule.asked


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (SetSpeed("nobody", 1.0, 9.0), r"vehicle 'nobody' is not attached to this RSU.*[Aa]llowed: 'v00'"),
        (SetSpeed("v00", -1.0, 9.0), r"vehicle 'v00': speed_mps = -1; it must be finite and at least 0\."),
        (SetSpeed("v00", float("nan"), 9.0), r"speed_mps = nan"),
        (SetSpeed("v00", 1.0, 1.0), r"until_s = 1; it must be finite and after 1\."),
        (SetSpeed("v00", 1.0, float("inf")), r"until_s = inf"),
        (Reroute("v00", "c"), r"the road network has no edge 'c'; view\.edges has those of the RSUs\."),
        (StopAt("v00", "plog", 1.0), r"the map has no charging station 'plog'; did you mean 'plug'\?"),
        (StopAt("v00", "plug", 0.0), r"stay_s = 0; it must be finite and positive\."),
        ("v00", r"act\(\) gave 'v00'; allowed are Reroute, SetSpeed and StopAt\."),
    ],
)
def test_what_can_never_be_done_is_one_error(world: World, tmp_path: Path, action: Any, message: str) -> None:
    rule = Acting(lambda vehicle: [action] if vehicle == "v00" else [])
    with pytest.raises(PolicyError, match=rf"RSU 'rsu0', round 0, traffic rule Acting.*{message}"):
        run(world, rule, Road(), tmp_path / "run")


def test_a_fault_in_a_rule_names_its_line(world: World, tmp_path: Path) -> None:
    rule = Acting(lambda vehicle: [1 / 0])
    with pytest.raises(PolicyError, match=r"act\(\) failed in .*test_traffic\.py, line \d+: ZeroDivisionError"):
        run(world, rule, Road(), tmp_path / "run")


def test_numbers_at_the_limits_pass(world: World, tmp_path: Path) -> None:
    rule = Acting(lambda vehicle: [])
    run(world, rule, Road(), tmp_path / "run")
    for action in (SetSpeed("v00", 0.0, 1.1), StopAt("v00", "plug", 0.1), Reroute("v00", "closed")):
        admit_action("here", rule.asked[0], Road().has_edge, action)
