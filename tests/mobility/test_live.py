"""SUMO beside the program: what is seen equals its recording, what is asked for is done, and what breaks is told."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec as find
from pathlib import Path
from typing import Any

import psutil
import pytest

from iovsim.domain import Drive, Reroute, Rsu, SetSpeed, StopAt, TrafficAction
from iovsim.errors import TraceError
from iovsim.mobility import coupling as couplings
from iovsim.mobility.contacts import extract
from iovsim.mobility.live import LiveTraffic, driven
from iovsim.mobility.sumo_config import sumo_command, sumo_environment
from iovsim.mobility.trace import Trace

NODES = """<nodes><node id="a" x="0" y="0"/><node id="b" x="400" y="0"/><node id="c" x="800" y="0"/>
<node id="d" x="400" y="300"/><node id="e" x="2000" y="0"/><node id="f" x="2400" y="0"/></nodes>"""
EDGES = """<edges><edge id="ab" from="a" to="b" speed="15"/><edge id="bc" from="b" to="c" speed="15"/>
<edge id="cb" from="c" to="b" speed="15"/><edge id="bd" from="b" to="d" speed="15"/>
<edge id="db" from="d" to="b" speed="15"/><edge id="ef" from="e" to="f" speed="15"/></edges>"""
ROUTES = """<routes><route id="r" edges="ab bc"/>
<vehicle id="v0" route="r" depart="0"/><vehicle id="v1" route="r" depart="4"/>
<vehicle id="later" route="r" depart="150"/></routes>"""
STATION = (
    """<additional><chargingStation id="plug" lane="bd_0" startPos="150" endPos="200" power="22000"/></additional>"""
)
CONFIG = """<configuration><input><net-file value="n.net.xml"/><route-files value="n.rou.xml"/>
<additional-files value="n.add.xml"/></input></configuration>"""

RSUS = (Rsu("rsu0", 401.0, -20.0, 5.0, 150.0, ()), Rsu("rsu1", 650.0, -20.0, 5.0, 150.0, ()))


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A road from west to east with a side road that has a charging station, and a road that leads nowhere."""
    folder = tmp_path_factory.mktemp("crossing")
    for name, text in (
        ("n.nod.xml", NODES), ("n.edg.xml", EDGES), ("n.rou.xml", ROUTES), ("n.add.xml", STATION),
        ("n.sumocfg", CONFIG),
    ):  # fmt: skip
        (folder / name).write_text(text)
    netconvert = Path(sumo_command()[0]).with_name("netconvert")
    command = [str(netconvert), "-n", "n.nod.xml", "-e", "n.edg.xml", "-o", "n.net.xml"]
    subprocess.run(command, cwd=folder, check=True, env=sumo_environment(), capture_output=True)
    return folder / "n.sumocfg"


@pytest.fixture(params=["libsumo", "traci"])
def coupling(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One that nobody sees; to be asked for before what is shown on it."""
    if shutil.which("Xvfb") is None:
        pytest.skip("there is no Xvfb, and so no screen")
    read, write = os.pipe()
    with subprocess.Popen(["Xvfb", "-displayfd", str(write)], pass_fds=[write], stderr=subprocess.DEVNULL) as process:
        os.close(write)
        with os.fdopen(read) as told:
            monkeypatch.setenv("DISPLAY", f":{told.readline().strip()}")
        yield
        process.terminate()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    """Opens live traffic of a configuration for the length of the test."""
    with ExitStack() as stack:

        def go(sumocfg: Path, coupling: str = "libsumo", **options: Any) -> LiveTraffic:
            given: dict[str, Any] = {"seed": 1, "start_s": 0.0, "end_s": 200.0, "step_s": 1.0, "gui": False} | options
            return stack.enter_context(driven(sumocfg, tmp_path, RSUS, hysteresis_m=5.0, coupling=coupling, **given))

        yield go


def seen(traffic: LiveTraffic, vehicle: str) -> Drive:
    found = traffic.drive(vehicle)
    assert found is not None
    return found


def until_gone(traffic: LiveTraffic, vehicle: str) -> tuple[float, set[str], float]:
    """When a vehicle leaves the road, the edges that it is seen on every second, and the seconds that it stands."""
    edges, stood_s = set(), 0.0
    while (drive := traffic.drive(vehicle)) is not None:
        edges.add(drive.edge)
        stood_s += drive.vx_mps == drive.vy_mps == 0.0
        traffic.advance(traffic.time_s)
    return traffic.time_s, edges, stood_s


def acted(traffic: LiveTraffic, *actions: TrafficAction) -> list[str]:
    traffic.advance(9.0)
    return [traffic.apply(action) for action in actions]


@pytest.mark.parametrize(("start_s", "end_s", "step_s"), [(0.0, 200.0, 1.0), (12.3, 90.4, 0.5)])
def test_contacts_are_those_of_the_recording_that_sumo_makes_meanwhile(
    crossing: Path, tmp_path: Path, coupling: str, start_s: float, end_s: float, step_s: float
) -> None:
    trace = tmp_path / "trace.parquet"
    with driven(
        crossing, tmp_path, RSUS, seed=1, start_s=start_s, end_s=end_s, step_s=step_s, hysteresis_m=5.0,
        coupling=coupling, gui=False,
    ) as traffic:  # fmt: skip
        for until_s in (start_s + 20.0, start_s + 50.0, end_s):  # the road is empty for a while, in the middle of one
            traffic.advance(until_s)
        traffic.record(trace, "test")
    table = extract(Trace(trace), RSUS, start_s=start_s, end_s=end_s, hysteresis_m=5.0)
    assert len(table) > 3
    traffic.contacts.check(table, "here")


def test_what_is_asked_of_a_vehicle_is_what_it_does(crossing: Path, coupling: str, opened: Any) -> None:
    traffic = opened(crossing, coupling)
    assert traffic.edges == {"rsu0": "bc", "rsu1": "bc"}  # the first stands at the junction
    (plug,) = traffic.stations.values()
    assert (list(traffic.stations), plug.power_w) == (["plug"], 22e3 * 0.95)
    assert (plug.x_m, plug.y_m) == (pytest.approx(401.6), pytest.approx(182.2, abs=10.0))
    assert traffic.has_edge("ef")
    assert not traffic.has_edge("nowhere")
    assert not any(traffic.has_edge(edge) for edge in (":b_0", ":b_1"))  # inside of junctions nobody can be sent to
    assert acted(traffic, SetSpeed("v0", 4.0, 30.0), StopAt("v1", "plug", 60.0)) == ["", ""]
    drive = seen(traffic, "v0")
    assert drive.edge == "ab"
    assert drive.y_m == pytest.approx(-1.6, abs=0.01)
    assert 13.0 < drive.allowed_mps < 17.0
    assert drive.vx_mps > 10.0
    while traffic.time_s < 30.0:
        traffic.advance(traffic.time_s)
        assert traffic.time_s < 13.0 or seen(traffic, "v0").vx_mps == pytest.approx(4.0)
    traffic.advance(34.0)
    assert seen(traffic, "v0").vx_mps > 10.0
    gone_s, edges, _ = until_gone(traffic, "v0")
    assert "bc" in edges
    assert gone_s > 60.0  # 800 m at 15 m/s take 54 s
    gone_s, edges, stood_s = until_gone(traffic, "v1")  # which stands there by now
    assert {"bd", "db", "bc"} <= edges
    assert 30.0 <= stood_s < 60.0
    assert gone_s > 85.0 + 60.0


def test_a_detour_is_driven_and_costs_time(crossing: Path, coupling: str, opened: Any) -> None:
    traffic = opened(crossing, coupling)
    assert acted(traffic, Reroute("v0", "bd")) == [""]
    gone_s, edges, _ = until_gone(traffic, "v0")
    assert {"bd", "db", "bc"} <= edges
    assert gone_s > 85.0  # 600 m more


def test_what_cannot_be_done_is_said_and_changes_nothing(crossing: Path, coupling: str, opened: Any) -> None:
    traffic = opened(crossing, coupling)
    assert acted(traffic, Reroute("v0", "ef")) == ["no route leads from 'ab' by 'ef' to 'bc'"]
    gone_s, edges, _ = until_gone(traffic, "v0")
    assert {e for e in edges if not e.startswith(":")} <= {"ab", "bc"}
    assert gone_s < 70.0
    assert traffic.drive("v0") is None
    assert traffic.drive("nobody") is None


def test_a_sumo_that_is_killed_is_one_error(crossing: Path, tmp_path: Path) -> None:
    def sumos() -> list[psutil.Process]:
        return [process for process in psutil.Process().children() if process.name() == "sumo"]

    def drive_on() -> None:
        with driven(
            crossing, tmp_path, RSUS, seed=1, start_s=0.0, end_s=200.0, step_s=1.0,
            hysteresis_m=5.0, coupling="traci", gui=False,
        ) as traffic:  # fmt: skip
            traffic.advance(20.0)
            (process,) = sumos()
            os.kill(process.pid, signal.SIGKILL)
            traffic.advance(60.0)

    with pytest.raises(
        TraceError, match=r"n.sumocfg: SUMO broke the live run off: .*; put that right, or run it again\.$"
    ):
        drive_on()
    assert not sumos()


def test_a_window_without_a_screen_is_one_error(crossing: Path, opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":9999")
    with pytest.raises(
        TraceError, match=r"a window needs a screen: set DISPLAY to one, use xvfb-run, or set mobility"
    ) as e:
        opened(crossing, "traci", gui=True)
    assert ":9999" in str(e.value)


def test_a_window_shows_the_same_traffic(crossing: Path, screen: None, opened: Any) -> None:
    shown, hidden = opened(crossing, "traci", gui=True), opened(crossing)
    for traffic in (shown, hidden):
        traffic.advance(40.0)
    assert seen(shown, "v1") == seen(hidden, "v1")


def test_a_second_simulation_in_one_process_is_refused(crossing: Path, opened: Any) -> None:
    opened(crossing)
    with pytest.raises(TraceError, match=r"libsumo steps another simulation in this process.*'traci'"):
        opened(crossing)
    opened(crossing, "traci").advance(20.0)


def test_a_program_of_another_version_than_libsumo_is_refused(
    crossing: Path, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couplings, "version", lambda name: "1.0")
    with pytest.raises(TraceError, match=r"SUMO's program is version 1\.0, libsumo .*pip install eclipse-sumo=="):
        opened(crossing, "traci")


def test_without_libsumo_live_runs_are_refused(crossing: Path, opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "libsumo" else find(name))
    with pytest.raises(TraceError, match=r"libsumo is not installed; run: pip install libsumo"):
        opened(crossing)


def test_queues_cannot_be_driven_live(crossing: Path, opened: Any) -> None:
    own = crossing.with_name("meso.sumocfg")
    own.write_text(crossing.read_text().replace("</input>", "</input><mesosim value='true'/>"))
    with pytest.raises(TraceError, match=r"meso\.sumocfg: sets mesosim, .*; set mobility\.mesoscopic = false"):
        opened(own)
    opened(own, mesoscopic=False).advance(20.0)


def test_what_sumo_refuses_at_its_start_is_told_in_its_words(crossing: Path, coupling: str, opened: Any) -> None:
    routes = crossing.with_name("n.rou.xml")
    whole = routes.read_text()
    routes.write_text(whole.replace('edges="ab bc"', 'edges="ab gone"'))
    try:
        with pytest.raises(TraceError, match="gone"):
            opened(crossing, coupling)
    finally:
        routes.write_text(whole)


def test_importing_libsumo_says_nothing() -> None:
    code = "from iovsim.mobility.coupling import _libsumo; _libsumo()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
