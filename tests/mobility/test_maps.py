"""Maps, RSU placement, and the town of Portside itself."""

from __future__ import annotations

import gzip
import importlib.util
import math
import xml.etree.ElementTree as ET
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from shapely import LineString, Polygon, STRtree

from iovsim.errors import ScenarioError
from iovsim.mobility.placement import Site, check_sites, place_rsus
from iovsim.mobility.roadmap import Junction, Location, RoadMap, location_of, read_buildings, read_map
from iovsim.mobility.sumo import SumoInputs, inputs, record
from iovsim.mobility.trace import Trace

ROOT = Path(__file__).parents[2]
PORTSIDE = ROOT / "sumo_maps" / "portside"
LUST_RED = ROOT / "../shared/scenarios/lust_red_district/lust_red.sumocfg"

NET = """<net><location convBoundary="0.00,-10.00,200.00,100.00"/>
<edge id=":b_0" function="internal"><lane id=":b_0_0" shape="0,0 1,1"/></edge>
<edge id="ab" from="a" to="b"><lane id="ab_0" shape="0,0 90,0"/></edge>
<edge id="ba" from="b" to="a"><lane id="ba_0" shape="90,3 0,3"/></edge>
<edge id="bc" from="b" to="c" shape="100,0,5 150,20,5 200,0,5"><lane id="bc_0" shape="1,1 2,2"/></edge>
<edge id="bd" from="b" to="d"><lane id="bd_0" shape="100,0 100,100"/></edge>
<junction id="d" type="priority" x="100.00" y="100.00"/><junction id="a" type="dead_end" x="0.00" y="0.00"/>
<junction id="b" type="traffic_light" x="100.00" y="0.00"/><junction id="c" type="priority" x="200.00" y="0.00"/>
<junction id=":b_0_0" type="internal" x="99.00" y="0.00"/></net>"""

POLYGONS = """<additional><poly id="1" type="building.yes" shape="0,0 10,0 10,10 0,10 0,0"/>
<poly id="2" type="building.no" shape="0,0 9,0 9,9"/><poly id="3" type="park" shape="0,0 9,0 9,9"/>
<shapes><poly id="4" type="building" shape="20,0 30,0 30,10.5"/></shapes></additional>"""


def files(folder: Path, net: str = NET, polygons: str = POLYGONS) -> SumoInputs:
    (folder / "net.xml.gz").write_bytes(gzip.compress(net.encode()))
    (folder / "poly.xml").write_text(polygons)
    return SumoInputs(folder / "x.sumocfg", folder / "net.xml.gz", (), (folder / "poly.xml",))


def test_read_map(tmp_path: Path) -> None:
    roadmap = read_map(files(tmp_path))
    assert roadmap.bounds == (0.0, -10.0, 200.0, 100.0)
    assert roadmap.junctions == (
        Junction("b", 100.0, 0.0, 3, signals=True),
        Junction("c", 200.0, 0.0, 1, signals=False),
        Junction("d", 100.0, 100.0, 1, signals=False),
    )
    assert [road.tolist() for road in roadmap.roads] == [
        [[0, 0], [90, 0]],
        [[90, 3], [0, 3]],
        [[100, 0], [150, 20], [200, 0]],
        [[100, 0], [100, 100]],
    ]
    assert [building.tolist() for building in roadmap.buildings] == [
        [[0, 0], [10, 0], [10, 10], [0, 10]],
        [[20, 0], [30, 0], [30, 10.5]],
    ]


def test_bad_maps(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"net\.xml\.gz: not a SUMO road network"):
        read_map(files(tmp_path, net="<routes/>"))
    with pytest.raises(ScenarioError, match=r"net\.xml\.gz: broken XML .*line 1"):
        read_map(files(tmp_path, net="<net><location"))
    with pytest.raises(ScenarioError, match="building '7' is given in degrees"):
        read_map(files(tmp_path, polygons='<a><poly id="7" type="building" geo="1" shape="11,49 11,50 12,50"/></a>'))
    with pytest.raises(ScenarioError, match="building '7' has 2 corners"):
        read_map(files(tmp_path, polygons='<a><poly id="7" type="building" shape="1,1 2,2"/></a>'))
    with pytest.raises(ScenarioError, match=r"shape '1,1 2,x' is not a list of x,y pairs"):
        read_map(files(tmp_path, polygons='<a><poly id="7" type="building" shape="1,1 2,x"/></a>'))


ROAD = '<edge id="ab" from="a" to="b"><lane id="ab_0" shape="0,0 90,0"/></edge>'


def house(x: float, y: float, size: float) -> str:
    corners = [(x, y), (x + size, y), (x + size, y + size)]
    return f'<a><poly id="7" type="building" shape="{" ".join(f"{a},{b}" for a, b in corners)}"/></a>'


@pytest.mark.parametrize(
    ("net", "polygons", "message"),
    [
        ('<net><location convBoundary="0,0,1,1"/></net>', POLYGONS, r"net\.xml\.gz: a net without roads"),
        (f"<net><location/>{ROAD}</net>", POLYGONS, r"its convBoundary='' is not four numbers"),
        (
            NET,
            house(691_000.0, 5_337_000.0, 10.0),
            r"none of the 1 buildings stands on the net, .* another frame of co",
        ),
        (NET, house(0.0, -160.0, 10.0), r"poly\.xml: none of the 1 buildings"),
        (NET, house(11.0, 49.5, 0.0001), r"half of the buildings are smaller than 0\.5 m, as in degrees; convert"),
        (NET, "PK\3\4", r"poly\.xml: a zip archive, and not XML; SUMO and iovsim read XML"),
        (NET, "\0\1\2", r"poly\.xml: binary data, and not XML"),
    ],
)
def test_nets_and_buildings_that_do_not_fit(tmp_path: Path, net: str, polygons: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        read_map(files(tmp_path, net, polygons))


def test_some_buildings_may_stand_far_outside(tmp_path: Path) -> None:
    far = '<poly id="9" type="building" shape="9000,0 9010,0 9010,10"/></shapes>'
    assert len(read_map(files(tmp_path, polygons=POLYGONS.replace("</shapes>", far))).buildings) == 3


def test_nets_may_be_written_in_two_byte_characters(tmp_path: Path) -> None:
    named = files(tmp_path)
    named.net.write_bytes(('<?xml version="1.0" encoding="UTF-16"?>' + NET).encode("utf-16"))
    assert len(read_map(named).roads) == 4


def test_a_place_is_told_in_degrees_where_the_net_gives_it() -> None:
    def of(attributes: str) -> Location:
        return location_of(ET.fromstring(f'<net><location convBoundary="0,0,9,9" {attributes}/></net>'), Path("n.xml"))

    utm = 'projParameter="+proj=utm +zone=32"'
    assert of(f'{utm} origBoundary="11.0,49.5,11.1,49.6"').degrees == (11.0, 49.5, 11.1, 49.6)
    assert of(f'{utm} origBoundary="-346.8,0,1817.6,2148.5"') == Location((0, 0, 9, 9), None, "+proj=utm +zone=32")
    assert of('projParameter="!" origBoundary="1,2,3,4"') == Location((0, 0, 9, 9), None, None)


@pytest.mark.skipif(not LUST_RED.is_file(), reason="the Luxembourg district is not beside this checkout")
def test_luxembourg_district_has_its_buildings() -> None:
    assert len(read_buildings(inputs(LUST_RED).additional)) == 1487


@pytest.fixture(scope="module")
def portside() -> RoadMap:
    return read_map(inputs(PORTSIDE / "portside.sumocfg"))


def test_junction_sites_keep_their_distance(portside: RoadMap) -> None:
    sites = place_rsus("junctions", portside, range_m=250.0, count=12)
    places = [(site.x_m, site.y_m) for site in sites]
    assert [site.rsu for site in sites] == [f"rsu_{k:02}" for k in range(12)]
    assert min(math.dist(p, q) for p in places for q in places if p != q) >= 250.0
    signals = {(j.x_m, j.y_m) for j in portside.junctions if j.signals}
    assert set(places) <= signals
    assert sites == place_rsus("junctions", portside, range_m=250.0, count=12)
    check_sites(sites, portside)


def test_grid_covers_the_map_without_gaps(portside: RoadMap) -> None:
    sites = place_rsus("grid", portside, range_m=300.0)
    x_min, y_min, x_max, y_max = portside.bounds
    x_m, y_m = (grid.ravel() for grid in np.meshgrid(np.linspace(x_min, x_max, 90), np.linspace(y_min, y_max, 90)))
    nearest_m = np.min([np.hypot(x_m - site.x_m, y_m - site.y_m) for site in sites], axis=0)
    assert nearest_m.max() <= 300.0
    check_sites(sites, portside)


@pytest.mark.parametrize("count", [1, 2, 7, 16, 23])
def test_grid_of_a_given_count(portside: RoadMap, count: int) -> None:
    sites = place_rsus("grid", portside, range_m=300.0, count=count)
    assert len({(site.x_m, site.y_m) for site in sites}) == count
    check_sites(sites, portside)


def test_grid_of_a_given_spacing(portside: RoadMap) -> None:
    every = place_rsus("grid", portside, range_m=300.0, spacing_m=500.0)
    assert len(every) == 16
    assert np.diff(sorted({site.x_m for site in every})) == pytest.approx([500.0] * 3)
    some = place_rsus("grid", portside, range_m=300.0, spacing_m=500.0, count=4)
    assert {(s.x_m, s.y_m) for s in some} < {(s.x_m, s.y_m) for s in every}


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (lambda m: place_rsus("gird", m, range_m=1.0), "'gird' is unknown; did you mean 'grid'"),
        (lambda m: place_rsus("grid", m, range_m=0.0), "range_m is 0"),
        (lambda m: place_rsus("grid", m, range_m=1.0, count=0), "count is 0; it must be above 0"),
        (lambda m: place_rsus("grid", m, range_m=1.0, count=99, spacing_m=500.0), "16 sites fit at 500 m, 99 wanted"),
        (lambda m: place_rsus("junctions", m, range_m=1500.0, count=9), r"only \d junctions lie at least 1500 m apart"),
        (lambda m: check_sites([Site("north", 5.0, 2500.0)], m), r"RSU 'north' at \(5, 2500\) m lies outside the map"),
    ],
)
def test_bad_placements(portside: RoadMap, place: Callable[[RoadMap], object], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        place(portside)


def test_buildings_leave_the_streets_free(portside: RoadMap) -> None:
    net = ET.fromstring(gzip.decompress((PORTSIDE / "portside.net.xml.gz").read_bytes()))
    buildings = [Polygon(outline) for outline in portside.buildings]
    assert 500 < len(buildings) < 2000
    assert all(building.is_valid and building.area > 100.0 for building in buildings)
    tree = STRtree(buildings)
    assert tree.query(buildings, predicate="overlaps").size == 0
    lanes = [
        LineString([[float(part) for part in point.split(",")[:2]] for point in lane.get("shape", "").split()])
        for lane in net.iter("lane")
    ]
    assert min(buildings[tree.nearest(lane)].distance(lane) for lane in lanes) > 7.9


def test_traffic_of_portside(tmp_path: Path) -> None:
    """Over 200 vehicles from about 200 s on, on and off at the right places, and moving."""
    trace = Trace(record(PORTSIDE / "portside.sumocfg", seed=11, end_s=260, cache=tmp_path))
    counts = [rows.stop - rows.start for w in trace.windows(begin_s=220.0) for _, rows in w.steps()]
    assert 190 < min(counts) <= max(counts) < 400
    assert trace.summary().mean_speed_mps > 6.0
    x_min, y_min, x_max, y_max = read_map(inputs(PORTSIDE / "portside.sumocfg")).bounds
    for window in trace.windows():
        assert (window.x_m > x_min - 5).all()
        assert (window.x_m < x_max + 5).all()
        assert (window.y_m > y_min - 5).all()
        assert (window.y_m < y_max + 5).all()


@pytest.mark.skipif(
    (version("eclipse-sumo"), version("shapely"), version("numpy")) != ("1.28.0", "2.2.0", "2.4.6"),
    reason="Portside was built with SUMO 1.28.0, shapely 2.2.0 and numpy 2.4.6; others may round otherwise",
)
def test_portside_is_what_its_script_builds(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("portside_build", PORTSIDE / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    build.main(tmp_path)
    for name in ("portside.net.xml.gz", "portside.poly.xml.gz", "portside.rou.xml.gz"):
        assert (tmp_path / name).read_bytes() == (PORTSIDE / name).read_bytes(), name
