"""SUMO's batteries: who has one, that no joule is lost, that what jobs take is missing, and what charging gives."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iovsim.domain import BatteryUse, Reroute, Rsu, StopAt
from iovsim.errors import ScenarioError
from iovsim.mobility.batteries import J_PER_WH, BatteryRule, LiveBatteries, _Book, _Flow
from iovsim.mobility.charging import ChargingPlace, check_places
from iovsim.mobility.contacts import extract
from iovsim.mobility.live import LiveTraffic, driven
from iovsim.mobility.sumo_config import sumo_command, sumo_environment
from iovsim.mobility.trace import Trace

NODES = """<nodes><node id="a" x="0" y="0"/><node id="b" x="700" y="0"/><node id="c" x="1200" y="200"/></nodes>"""
EDGES = """<edges><edge id="ab" from="a" to="b" speed="15"/><edge id="bc" from="b" to="c" speed="15"/></edges>"""
ROUTES = """<routes><vType id="diesel" emissionClass="HBEFA3/PC_D_EU4"/>
<vType id="bus" emissionClass="Energy/unknown" mass="10000"><param key="constantPowerIntake" value="3000"/></vType>
<route id="r" edges="ab bc"/>
<vehicle id="v0" route="r" depart="0"/><vehicle id="v1" route="r" type="diesel" depart="5"/>
<vehicle id="v2" route="r" type="bus" depart="12"/><vehicle id="v3" route="r" depart="40"/></routes>"""
CONFIG = (
    """<configuration><input><net-file value="n.net.xml"/><route-files value="n.rou.xml"/></input></configuration>"""
)
PLUG = ChargingPlace("plug", "ab", 0, 500.0, 600.0, 20e3, 0.9)
RSUS = (Rsu("rsu0", 600.0, -20.0, 5.0, 200.0, ()),)
PRINTED_J = 1e-9 * J_PER_WH
"""The last decimal of what SUMO says."""


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One road with a bend. Nobody is electric by type but the bus."""
    folder = tmp_path_factory.mktemp("road")
    for name, text in (("n.nod.xml", NODES), ("n.edg.xml", EDGES), ("n.rou.xml", ROUTES), ("n.sumocfg", CONFIG)):
        (folder / name).write_text(text)
    netconvert = Path(sumo_command()[0]).with_name("netconvert")
    command = [str(netconvert), "-n", "n.nod.xml", "-e", "n.edg.xml", "-o", "n.net.xml"]
    subprocess.run(command, cwd=folder, check=True, env=sumo_environment(), capture_output=True)
    return folder / "n.sumocfg"


@pytest.fixture
def opened(road: Path, tmp_path: Path) -> Iterator[Any]:
    """Opens live traffic with batteries for the length of the test."""
    with ExitStack() as stack:

        def go(rule: BatteryRule, places: tuple[ChargingPlace, ...] = (), **how: Any) -> LiveTraffic:
            given: dict[str, Any] = {
                "seed": 1,
                "start_s": 0.0,
                "end_s": 300.0,
                "step_s": 1.0,
                "coupling": "libsumo",
            } | how
            return stack.enter_context(
                driven(road, tmp_path, RSUS, hysteresis_m=5.0, gui=False, batteries=rule, places=places, **given)
            )

        yield go


def rule(share: float = 1.0, capacity_j: float = 1e7, initial: float = 0.5, **more: Any) -> BatteryRule:
    return BatteryRule(1, share, capacity_j, (initial, initial), more.pop("reserve", 0.1), **more)


def books(traffic: LiveTraffic) -> LiveBatteries:
    assert traffic.batteries is not None
    return traffic.batteries


def driven_to(
    traffic: LiveTraffic, *ends_s: float, jobs_j: Mapping[str, float] | None = None
) -> list[list[BatteryUse]]:
    """The books of the periods that end then; jobs take as much in each."""
    found = []
    for until_s in ends_s:
        traffic.advance(until_s)
        found.append(list(books(traffic).settle(until_s, jobs_j or {})))
    return found


def of(uses: list[list[BatteryUse]], vehicle: str) -> list[BatteryUse]:
    return [use for period in uses for use in period if use.vehicle == vehicle]


def rest_j(use: BatteryUse) -> float:
    """What the books of a period do not account for."""
    gained_j = use.recuperated_j + use.charged_j + use.unmet_j
    return use.before_j + gained_j - use.driving_j - use.jobs_j - use.surplus_j - use.after_j


def sumo_says_j(traffic: LiveTraffic, vehicle: str, name: str = "chargeLevel") -> float:
    return float(traffic._api.vehicle.getParameter(vehicle, f"device.battery.{name}")) * J_PER_WH


PERIODS = (20.0, 30.5, 47.0, 70.0, 110.0, 150.0, 299.0)


@pytest.mark.parametrize("step_s", [1.0, 0.5])
@pytest.mark.parametrize(
    "the_rule",
    [rule(), rule(capacity_j=2e5, initial=1.0), rule(capacity_j=2e5, initial=0.4)],
    ids=["", "full", "empty"],
)
def test_every_joule_is_in_the_books(opened: Any, the_rule: BatteryRule, step_s: float) -> None:
    traffic = opened(the_rule, (PLUG,), step_s=step_s)
    traffic.advance(9.0)
    books(traffic).settle(9.0, {})
    assert traffic.apply(StopAt("v0", "plug", 20.0)) == ""
    uses = driven_to(traffic, *PERIODS, jobs_j={"v0": 400.0, "v1": 90.0})
    assert {use.vehicle for period in uses for use in period} == {"v0", "v1", "v2", "v3"}
    for period in uses:
        for use in period:
            assert abs(rest_j(use)) < 200 * PRINTED_J
            others = (use.driving_j, use.recuperated_j, use.charged_j, use.unmet_j, use.surplus_j, use.jobs_j)
            assert min(others) >= 0.0
            assert 0.0 <= min(use.before_j, use.after_j) <= max(use.before_j, use.after_j) <= the_rule.capacity_j
    assert not books(traffic)._books  # all have left
    for vehicle in ("v0", "v1", "v2", "v3"):
        periods = of(uses, vehicle)
        assert [p.before_j for p in periods[1:]] == [p.after_j for p in periods[:-1]]
        assert sum(p.driving_j for p in periods) > 1e4
    charged_j = sum(use.charged_j for use in of(uses, "v0"))
    if the_rule.capacity_j == 1e7:  # else it came away full
        assert charged_j == pytest.approx(18e3 * 20, rel=2 * step_s / 20)


def test_the_books_agree_with_what_sumo_writes_itself(road: Path, tmp_path: Path) -> None:
    """SUMO's own battery-output, from a run of its program with the same devices, in its two decimals of a Wh."""
    output = tmp_path / "battery.xml"
    routes = tmp_path / "r.rou.xml"
    text = road.with_name("n.rou.xml").read_text()
    text = text.replace("HBEFA3/PC_D_EU4", "Energy/default").replace(
        "<vType ", '<vType id="DEFAULT_VEHTYPE" emissionClass="Energy/default"/><vType ', 1
    )
    battery = '<param key="has.battery.device" value="true"/>'
    battery += f'<param key="device.battery.capacity" value="{1e7 / J_PER_WH!r}"/>'
    routes.write_text(text.replace('depart="0"/>', f'depart="0">{battery}</vehicle>'))
    command = [
        *sumo_command(),
        "-n",
        str(road.with_name("n.net.xml")),
        "-r",
        str(routes),
        "--seed",
        "1",
        "--end",
        "200",
    ]
    command += ["--battery-output", str(output), "--battery-output.precision", "6", "--no-step-log", "true"]
    subprocess.run(command, check=True, env=sumo_environment(), capture_output=True)
    theirs = {
        float(step.get("time", "")): float(row.get("chargeLevel", row.get("actualBatteryCapacity", ""))) * J_PER_WH
        for step in ET.parse(output).getroot()
        for row in step
        if row.get("id") == "v0"
    }
    assert len(theirs) > 60
    with driven(
        road, tmp_path, RSUS, seed=1, start_s=0.0, end_s=200.0, step_s=1.0, hysteresis_m=5.0, coupling="libsumo",
        gui=False, batteries=rule(),
    ) as traffic:  # fmt: skip
        for until_s in (10.0, 33.0, 60.0):
            traffic.advance(until_s)
            (use,) = of([list(books(traffic).settle(until_s, {}))], "v0")
            assert use.after_j == pytest.approx(theirs[until_s], abs=2e-6 * J_PER_WH)


def until_gone(traffic: LiveTraffic, vehicle: str, job_w: float = 0.0) -> float:
    """When a vehicle leaves the road; meanwhile, jobs take so much of its battery, in periods of 5 s."""
    until_s = traffic.time_s
    while traffic.drive(vehicle) is not None:
        until_s += 5.0
        traffic.advance(until_s)
        books(traffic).settle(until_s, {vehicle: 5.0 * job_w})
    return traffic.time_s


def test_what_jobs_take_is_missing_when_the_vehicle_drives_on(opened: Any) -> None:
    idle, busy = opened(rule()), opened(rule(), coupling="traci")
    for traffic, job_j in ((idle, 0.0), (busy, 700.0)):
        uses = of(driven_to(traffic, 20.0, 40.0, jobs_j={"v0": job_j}), "v0")
        assert [use.jobs_j for use in uses] == [job_j, job_j]
    assert sumo_says_j(idle, "v0") - sumo_says_j(busy, "v0") == pytest.approx(1400.0, abs=2 * PRINTED_J)
    assert sumo_says_j(idle, "v1") == sumo_says_j(busy, "v1")  # the two couplings tell the same


def test_training_and_driving_compete_for_the_same_joules(opened: Any) -> None:
    """A vehicle that drives 80 s with a full battery gets less far the more of it jobs take, and is then towed."""
    tight = rule(capacity_j=3e5, initial=0.5, reserve=0.0)
    gone_s = [until_gone(opened(tight, coupling="traci"), "v0", job_w) for job_w in (0.0, 1000.0, 2000.0)]
    assert 60.0 > gone_s[0] > gone_s[1] + 3.0 > gone_s[2] + 6.0
    ample = opened(rule(), coupling="traci")
    assert until_gone(ample, "v0", 2000.0) > 80.0
    assert not ample.acted


def test_who_is_towed_vanishes_like_any_other_and_stands_in_the_trace(opened: Any, tmp_path: Path) -> None:
    traffic = opened(rule(capacity_j=2e5, initial=0.4))
    driven_to(traffic, 100.0, 200.0, 300.0)
    assert traffic.acted
    traffic.record(tmp_path / "trace.parquet", "test")
    trace = Trace(tmp_path / "trace.parquet")
    table = extract(trace, RSUS, start_s=0.0, end_s=300.0, hysteresis_m=5.0)
    traffic.contacts.check(table, "here")
    assert len(table) < 4  # the others do not get as far as the RSU


@pytest.mark.parametrize("step_s", [1.0, 0.5])
def test_devices_and_places_change_nobodys_driving(road: Path, tmp_path: Path, step_s: float) -> None:
    found = []
    for how in ({}, {"batteries": rule(0.5), "places": (PLUG,)}, {"batteries": rule(parameters={"mass": 75.0})}):
        with driven(
            road, tmp_path, RSUS, seed=1, start_s=0.0, end_s=200.0, step_s=step_s, hysteresis_m=5.0,
            coupling="libsumo", gui=False, **how,
        ) as traffic:  # fmt: skip
            traffic.advance(200.0)
            traffic.record(tmp_path / "trace.parquet", "test")
            assert not traffic.acted
        found.append((tmp_path / "trace.parquet").read_bytes())
    assert found[0] == found[1] == found[2]


def test_every_type_is_driven_by_electricity_and_keeps_what_it_says_of_itself(opened: Any) -> None:
    plain = driven_to(opened(rule()), 70.0)
    diesel, bus = of(plain, "v1")[0], of(plain, "v2")[0]
    assert diesel.driving_j > 0.5 * of(plain, "v0")[0].driving_j
    assert bus.driving_j > 4 * diesel.driving_j
    light = driven_to(opened(rule(parameters={"mass": 75.0, "constantPowerIntake": 0.0}), coupling="traci"), 70.0)
    assert 0 < of(light, "v1")[0].driving_j < 0.3 * diesel.driving_j
    assert of(light, "v2")[0].driving_j < 0.3 * diesel.driving_j  # what the scenario says goes before the type's own


@given(st.integers(0, 9), st.floats(0.0, 1.0), st.lists(st.text(max_size=3), unique=True, max_size=30))
def test_batteries_are_drawn_by_name(seed: int, share: float, names: list[str]) -> None:
    some = BatteryRule(seed, share, 1e6, (0.2, 0.7), 0.1)
    drawn = {name: some.initial_j(name) for name in names}
    assert drawn == {name: some.initial_j(name) for name in reversed(names)}
    more = BatteryRule(seed, 1.0, 1e6, (0.2, 0.7), 0.1)
    for name, initial_j in drawn.items():
        assert initial_j is None or initial_j == more.initial_j(name)  # a larger share takes more, and no others
        assert 2e5 <= float(more.initial_j(name) or 0.0) <= 7e5
    assert share > 0.0 or not any(drawn.values())


def test_the_share_is_a_share() -> None:
    some = BatteryRule(1, 0.3, 1e6, (0.5, 0.5), 0.1)
    assert np.mean([some.initial_j(f"v{i}") is not None for i in range(2000)]) == pytest.approx(0.3, abs=0.04)


@given(
    st.lists(st.floats(0.0, 1000.0), min_size=1, max_size=12), st.floats(0.0, 14.0), st.floats(0.0, 300.0),
    st.floats(0.0, 500.0),
)  # fmt: skip
def test_a_battery_lasts_until_a_brute_force_finds_its_reserve(
    charges_j: list[float], from_s: float, power_w: float, spent_j: float
) -> None:
    batteries = LiveBatteries(None, BatteryRule(1, 1.0, 1000.0, (0.5, 0.5), 0.1))
    times_s = [float(t) for t in range(len(charges_j))]
    batteries._books["v"] = _Book(times_s, charges_j, [_Flow()] * len(charges_j))
    fine_s = from_s + np.arange(0.0, 30.0, 1e-3)
    spare_j = np.interp(fine_s, times_s, charges_j) - spent_j - power_w * (fine_s - from_s) - 100.0
    (low,) = np.nonzero(spare_j <= 0.0)
    found_s = batteries.lasts_s("v", from_s=from_s, power_w=power_w, spent_j=spent_j)
    if len(low):
        assert from_s <= found_s <= fine_s[low[0]] + 1e-9
        assert found_s >= fine_s[low[0]] - 1e-3 - 1e-9
    else:
        assert found_s > fine_s[-1] or power_w < 1e-6 or abs(float(spare_j.min())) < 1e-6
    assert batteries.lasts_s("w", from_s=from_s, power_w=power_w, spent_j=spent_j) == np.inf


def test_a_vehicle_with_a_battery_can_be_sent_another_way(opened: Any) -> None:
    """Its type is its own by then, which SUMO's search for routes does not know, and may die of."""
    traffic = opened(rule(parameters={"mass": 900.0}), coupling="libsumo")
    traffic.advance(9.0)
    assert [traffic.apply(Reroute(vehicle, "bc")) for vehicle in ("v0", "v1")] == ["", ""]
    traffic.advance(64.0)
    assert traffic.drive("v1").edge == "bc"


def test_who_charges_stands_beside_the_road_and_holds_nobody_up(opened: Any) -> None:
    traffic = opened(rule(initial=0.2), (PLUG,))
    traffic.advance(9.0)
    assert list(traffic.stations) == ["plug"]
    assert traffic.stations["plug"].power_w == pytest.approx(18e3)
    assert traffic.apply(StopAt("v0", "plug", 60.0)) == ""
    assert traffic.drive("v0").station == "plug"
    assert traffic.drive("v1").station == ""
    traffic.advance(75.0)
    one, other = traffic.drive("v0"), traffic.drive("v1")
    assert (one.vx_mps, one.vy_mps, one.station) == (0.0, 0.0, "plug")
    assert other.x_m > one.x_m + 100.0
    traffic.advance(125.0)
    assert traffic.drive("v0").station == ""


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (
            ChargingPlace("p", "abx", 0, 0.0, None, 1e3, 0.9),
            r"'p': n\.net\.xml has no edge 'abx'; did you mean 'ab'\? Name an edge",
        ),
        (ChargingPlace("p", ":b_0", 0, 0.0, None, 1e3, 0.9), r"has no edge ':b_0'"),
        (ChargingPlace("p", "ab", 1, 0.0, None, 1e3, 0.9), r"edge 'ab' has no lane 1; allowed are 0 to 0\."),
        (
            ChargingPlace("p", "ab", 0, 90.0, 9e3, 1e3, 0.9),
            r"from start_m = 90 to end_m = 9000, its lane is 700 m long",
        ),
        (ChargingPlace("p", "ab", 0, 90.0, 90.5, 1e3, 0.9), r"at least 1 m long"),
    ],
)
def test_a_place_that_the_net_has_not_is_one_error(road: Path, place: ChargingPlace, message: str) -> None:
    check_places((PLUG,), road.with_name("n.net.xml"))
    with pytest.raises(ScenarioError, match=message):
        check_places((PLUG, place), road.with_name("n.net.xml"))
