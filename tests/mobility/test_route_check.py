"""Route errors that SUMO was told to ignore are counted, and refused unless they are accepted."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from iovsim.errors import TraceError
from iovsim.mobility.map_summary import summarise
from iovsim.mobility.route_check import BrokenRoutes, broken_routes, refuse_ignored_routes
from iovsim.mobility.sumo import record
from iovsim.mobility.sumo_config import inputs
from iovsim.mobility.sumo_process import BROKEN
from iovsim.mobility.trace import Trace

GAP = 'edges="c2r2_c3r2 c6r6_c6r7"'
ROUTES = f"""<routes><vType id="bus" vClass="bus"/>
<vehicle id="a" depart="0"><route {GAP}/></vehicle>
<vehicle id="whole" depart="1"><route edges="c2r2_c3r2 c3r2_c4r2"/></vehicle>
<flow id="f" begin="2" end="12" number="5"><route {GAP}/></flow>
<trip id="t" depart="3" from="c2r2_c3r2" to="c6r6_c6r7"/></routes>"""


def config(folder: Path, routes: str = ROUTES, ignore: str = "true") -> Path:
    folder.mkdir(exist_ok=True)
    for file in ("portside.net.xml.gz", "portside.poly.xml.gz"):
        shutil.copy(Path(__file__).parents[2] / "sumo_maps" / "portside" / file, folder)
    (folder / "own.rou.xml").write_text(routes)
    (folder / "own.sumocfg").write_text(
        '<configuration><input><net-file value="portside.net.xml.gz"/><route-files value="own.rou.xml"/>'
        '<additional-files value="portside.poly.xml.gz"/></input><time><end value="60"/></time>'
        f'<processing><ignore-route-errors value="{ignore}"/></processing></configuration>'
    )
    return folder / "own.sumocfg"


def test_broken_routes_are_counted_by_vehicle(tmp_path: Path) -> None:
    found = inputs(config(tmp_path))
    assert found.ignores_route_errors
    broken = broken_routes(found)
    assert broken == BrokenRoutes(6, "Edge 'c2r2_c3r2' not connected to edge 'c6r6_c6r7' for vehicle 'a'")
    assert summarise(tmp_path / "own.sumocfg").broken == broken
    with pytest.raises(TraceError, match=r"sets ignore-route-errors, and the routes of 6 vehicles are broken \(Edge"):
        refuse_ignored_routes(found)


def test_a_road_that_is_not_there_is_a_broken_route_too(tmp_path: Path) -> None:
    found = inputs(config(tmp_path, ROUTES.replace("c6r6_c6r7", "nowhere", 1)))
    assert broken_routes(found).vehicles == 6


def test_a_road_closed_to_the_vehicles_class_is_a_broken_route_too(tmp_path: Path) -> None:
    routes = '<routes><vehicle id="a" depart="0"><route edges="c2r2_c3r2 c3r2_c4r2"/></vehicle></routes>'
    found = inputs(config(tmp_path, routes))
    assert broken_routes(found).vehicles == 0
    net, lane = gzip.decompress(found.net.read_bytes()), b'<lane id="c3r2_c4r2_'
    found.net.write_bytes(gzip.compress(net.replace(lane, lane.replace(b" ", b' disallow="passenger" '))))
    assert broken_routes(found) == BrokenRoutes(1, "Vehicle 'a' is not permitted on Edge 'c3r2_c4r2'")


@pytest.mark.parametrize(("routes", "ignore"), [(ROUTES, "false"), (ROUTES.replace(GAP, 'edges="c2r2_c3r2"'), "true")])
def test_whole_routes_and_those_that_sumo_checks_itself_pass(tmp_path: Path, routes: str, ignore: str) -> None:
    refuse_ignored_routes(inputs(config(tmp_path, routes, ignore)))


def test_a_gap_at_which_sumo_stops_is_one_error_that_counts_them_all(tmp_path: Path) -> None:
    with pytest.raises(
        TraceError, match=r"own\.sumocfg: the routes of 6 vehicles are broken \(Edge .*\).*--ignore-route-errors"
    ):
        record(config(tmp_path / "map", ignore="false"), seed=1, cache=tmp_path)
    assert not list((tmp_path / "traces").iterdir())


@pytest.mark.parametrize("mesoscopic", [False, True])
@pytest.mark.parametrize("ignore", ["false", "true"])
def test_accepted_gaps_are_counted(tmp_path: Path, ignore: str, mesoscopic: bool) -> None:
    sumocfg = config(tmp_path / "map", ROUTES.replace('number="5"', 'number="2"'), ignore)
    path = record(sumocfg, seed=1, ignore_route_errors=True, mesoscopic=mesoscopic, cache=tmp_path)
    counts = Trace(path).counts
    assert counts["vehicles inserted"] == 5
    assert counts[BROKEN] == 3  # SUMO itself finds a way for the trip


def test_unknown_roads_are_no_gap(tmp_path: Path) -> None:
    """SUMO takes them in no case."""
    sumocfg = config(tmp_path / "map", ROUTES.replace("c6r6_c6r7", "nowhere", 1), "false")
    for accepted in (False, True):
        with pytest.raises(TraceError, match=r"The edge 'nowhere' within the route for vehicle 'a' is not known"):
            record(sumocfg, seed=1, ignore_route_errors=accepted, cache=tmp_path)


def test_routes_that_cannot_be_read(tmp_path: Path) -> None:
    twice = ROUTES.replace("<vType", '<vType id="bus" vClass="bus"/><vType', 1)
    with pytest.raises(TraceError, match=r"its routes cannot be checked: .*'bus' occurs at least twice"):
        broken_routes(inputs(config(tmp_path, twice)))


def test_without_routes_none_is_broken(tmp_path: Path) -> None:
    sumocfg = config(tmp_path)
    sumocfg.write_text(sumocfg.read_text().replace('<route-files value="own.rou.xml"/>', ""))
    assert broken_routes(inputs(sumocfg)) == BrokenRoutes(0, "")
