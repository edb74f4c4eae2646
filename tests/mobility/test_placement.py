"""Placements against values by hand, brute force and guarantees."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.domain import FloatArray, IntArray
from iovsim.errors import ScenarioError
from iovsim.mobility.placement import Site, Traffic, place_rsus, read_sites, traffic_of
from iovsim.mobility.placement.centrality import betweenness
from iovsim.mobility.placement.clusters import k_means, spread
from iovsim.mobility.placement.coverage import greedy
from iovsim.mobility.planes import plane_of
from iovsim.mobility.roadmap import Junction, RoadMap, Street
from iovsim.mobility.samples import Repairs

from .conftest import MakeTrace


def town(
    places: dict[str, tuple[float, float]], streets: Sequence[tuple[str, str, float]] = (), *, one_way: bool = False
) -> RoadMap:
    """A map of crossings, and of streets with their lengths, both ways unless told otherwise."""
    junctions = tuple(Junction(name, x, y, 4, signals=False) for name, (x, y) in sorted(places.items()))
    back = [] if one_way else [Street(end, begin, length) for begin, end, length in streets]
    x_m, y_m = zip(*places.values(), strict=True)
    bounds = (min(x_m) - 100.0, min(y_m) - 100.0, max(x_m) + 100.0, max(y_m) + 100.0)
    return RoadMap(bounds, (), junctions, (), (*(Street(*street) for street in streets), *back))


LINE = {name: (1000.0 * k, 0.0) for k, name in enumerate("abcd")}


def at(sites: tuple[Site, ...], roadmap: RoadMap) -> str:
    """The sites by the names of the junctions at which they stand."""
    names = {(j.x_m, j.y_m): j.junction for j in roadmap.junctions}
    return "".join(names[site.x_m, site.y_m] for site in sites)


def test_betweenness_by_hand() -> None:
    # On the line a-b-c-d, b is passed by the ways a-c, a-d and back: 4 of the 3 x 2 pairs of others.
    line = town(LINE, [("a", "b", 1.0), ("b", "c", 1.0), ("c", "d", 1.0)])
    assert betweenness(line) == pytest.approx({"a": 0.0, "b": 4 / 6, "c": 4 / 6, "d": 0.0})
    # Round a square each of two ways to the opposite corner counts half.
    ring = [("a", "b", 0.1), ("b", "c", 0.2), ("c", "d", 0.1), ("d", "a", 0.2)]
    assert betweenness(town(LINE, ring)) == pytest.approx(dict.fromkeys("abcd", 2 * 0.5 / 6))
    # Lengths decide: the way a-d by b and c is shorter than the direct one, and of two streets the shorter counts.
    longer = [("a", "b", 1.0), ("a", "b", 9.0), ("b", "c", 1.0), ("c", "d", 1.0), ("a", "d", 3.5)]
    assert betweenness(town(LINE, longer))["b"] == pytest.approx(4 / 6)
    # One way only, a-c and a-d pass b, and nothing comes back.
    assert betweenness(town(LINE, longer[:1] + longer[2:4], one_way=True))["b"] == pytest.approx(2 / 6)


def test_central_junctions_keep_their_distance() -> None:
    line = town(LINE, [("a", "b", 1.0), ("b", "c", 1.0), ("c", "d", 1.0)])
    assert at(place_rsus("centrality", line, range_m=250.0, count=3), line) == "bca"
    assert at(place_rsus("centrality", line, range_m=250.0, spacing_m=1500.0, count=2), line) == "bd"


def value(covers: list[IntArray], weight: FloatArray, chosen: tuple[int, ...] | list[int]) -> float:
    return float(weight[sorted({int(k) for one in chosen for k in covers[one]})].sum())


problems = st.integers(1, 4).flatmap(
    lambda count: st.tuples(
        st.just(count),
        st.lists(st.sets(st.integers(0, 11), max_size=6), min_size=4, max_size=8),
        st.lists(st.integers(0, 20), min_size=12, max_size=12),
    )
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(problems)
def test_greedy_keeps_its_guarantee_and_laziness_changes_nothing(
    problem: tuple[int, list[set[int]], list[int]],
) -> None:
    count, sets, weights = problem
    covers = [np.array(sorted(one), dtype=np.int64) for one in sets]
    weight = np.array(weights, dtype=np.float64)
    chosen = greedy(covers, weight, count, [(float(k), 0.0) for k in range(len(covers))])
    best = max(value(covers, weight, several) for several in combinations(range(len(covers)), count))
    assert value(covers, weight, chosen) >= (1.0 - (1.0 - 1.0 / count) ** count) * best - 1e-9
    eager: list[int] = []
    while len(eager) < count:
        gains = [value(covers, weight, [*eager, k]) - value(covers, weight, eager) for k in range(len(covers))]
        k = int(np.argmax(gains))
        if gains[k] <= 0:
            break
        eager.append(k)
    assert chosen == eager


def test_coverage_by_hand() -> None:
    # b reaches both busy cells of the middle, but c and a then add 3 s and 1 s alone.
    roadmap = town({"a": (0.0, 0.0), "b": (100.0, 0.0), "c": (300.0, 0.0)})
    traffic = Traffic(np.array([[-10.0, 0.0], [60.0, 0.0], [140.0, 0.0], [310.0, 0.0]]), np.array([1.0, 5.0, 5.0, 3.0]))
    assert at(place_rsus("coverage", roadmap, range_m=70.0, count=3, traffic=traffic), roadmap) == "bca"
    with pytest.raises(ScenarioError, match=r"with 1 RSUs at least 250 m apart no junction covers any more"):
        place_rsus("coverage", roadmap, range_m=70.0, count=2, spacing_m=250.0, traffic=traffic)


def test_sight_counts_only_what_no_building_hides() -> None:
    roadmap = town({"a": (0.0, 0.0), "b": (200.0, 0.0)})
    traffic = Traffic(np.array([[50.0, 0.0], [150.0, 0.0]]), np.array([9.0, 5.0]))

    def blocked(x0: FloatArray, y0: FloatArray, x1: FloatArray, y1: FloatArray) -> np.ndarray:
        return (np.minimum(x0, x1) < 25.0) & (np.maximum(x0, x1) > 25.0)  # a wall at x = 25, before a's traffic

    assert at(place_rsus("coverage", roadmap, range_m=60.0, count=1, traffic=traffic), roadmap) == "a"
    assert at(place_rsus("sight", roadmap, range_m=60.0, count=1, traffic=traffic, blocked=blocked), roadmap) == "b"
    with pytest.raises(ScenarioError, match="'sight' needs buildings"):
        place_rsus("sight", roadmap, range_m=60.0, count=1, traffic=traffic)


def test_k_means_weighs_time() -> None:
    points, weight = np.array([[0.0, 0.0], [4.0, 0.0], [100.0, 8.0]]), np.array([3.0, 1.0, 2.0])
    middles = k_means(points, weight, 2, np.random.default_rng(1))
    assert sorted(middles.tolist()) == [[1.0, 0.0], [100.0, 8.0]]
    assert spread(points, weight, middles) == pytest.approx(3 * 1.0 + 1 * 9.0)


def test_k_means_is_as_good_as_scikit_learn_s() -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    rng = np.random.default_rng(4)
    points, weight = rng.uniform(0.0, 1000.0, (400, 2)), rng.exponential(10.0, 400)
    theirs = cluster.KMeans(8, n_init=10, random_state=1).fit(points, sample_weight=weight).inertia_
    ours = min(spread(points, weight, k_means(points, weight, 8, np.random.default_rng(k))) for k in range(10))
    assert ours <= 1.02 * theirs


def test_clusters_get_the_nearest_free_junction_the_busiest_first() -> None:
    roadmap = town({"a": (0.0, 0.0), "b": (30.0, 0.0), "c": (1000.0, 0.0)})
    traffic = Traffic(np.array([[10.0, 0.0], [14.0, 0.0], [900.0, 0.0]]), np.array([1.0, 1.0, 5.0]))
    assert at(place_rsus("k-means", roadmap, range_m=1.0, count=2, traffic=traffic), roadmap) == "ca"
    near = Traffic(np.array([[10.0, 0.0], [16.0, 0.0]]), np.array([2.0, 1.0]))
    assert at(place_rsus("k-means", roadmap, range_m=1.0, count=2, traffic=near), roadmap) == "ab"
    with pytest.raises(ScenarioError, match=r"traffic is in 2 cells only, 3 RSUs are wanted"):
        place_rsus("k-means", roadmap, range_m=1.0, count=3, traffic=near)


def test_planning_needs_traffic_and_a_count() -> None:
    for kind in ("coverage", "sight", "k-means"):
        with pytest.raises(ScenarioError, match=f"{kind}' needs a count and traffic"):
            place_rsus(kind, town(LINE), range_m=1.0, count=1)


def test_traffic_is_where_vehicles_were_and_for_how_long(make_trace: MakeTrace) -> None:
    trace = make_trace(
        {"v": ([0.0, 1.0, 2.0, 3.0], [1.0, 5.0, 9.0, 30.0], [2.0] * 4), "w": ([2.0, 3.0], [-5.0, -6.0], [3.0, 4.0])}
    )
    traffic = traffic_of(trace, 7, start_s=0.0, end_s=3.0)  # without the last step
    by_place = {tuple(place): time for place, time in zip(traffic.place_m.tolist(), traffic.vehicle_s, strict=True)}
    assert by_place == {(5.0, 2.0): 3.0, (-5.0, 3.0): 1.0}
    with pytest.raises(ScenarioError, match="no vehicle drives from 50 s to 60 s"):
        traffic_of(trace, 7, start_s=50.0, end_s=60.0)


MAP = town({"a": (0.0, 0.0), "b": (1000.0, 1000.0)})


def by_thousands(lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
    return 1000.0 * lon, 1000.0 * lat


def test_a_table_in_metres(tmp_path: Path) -> None:
    file = tmp_path / "sites.csv"
    file.write_text("name,x_m,y_m,range_m\nnorth,10,20.5,\nsouth, 30,40,250\n")
    assert read_sites(file, MAP, None) == (Site("north", 10.0, 20.5), Site("south", 30.0, 40.0, 250.0))
    assert [site.rsu for site in read_sites(file, MAP, None, count=1)] == ["north"]
    with pytest.raises(ScenarioError, match="1 sites are on the map at least 500 m apart, 2 wanted"):
        read_sites(file, MAP, None, count=2, spacing_m=500.0)


def test_degrees_need_a_projection(tmp_path: Path) -> None:
    file = tmp_path / "sites.csv"
    file.write_text("lon,lat\n0.5,0.25\n")
    assert read_sites(file, MAP, by_thousands) == (Site("rsu_00", 500.0, 250.0),)
    with pytest.raises(ScenarioError, match=r"in degrees, but the map or trace says nothing of its projection"):
        read_sites(file, MAP, None)


def test_geojson_has_points(tmp_path: Path) -> None:
    file = tmp_path / "sites.geojson"
    point = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [0.5, 0.25, 9.0]}}
    file.write_text(
        json.dumps({"type": "FeatureCollection", "features": [point | {"properties": {"name": "mast", "height_m": 8}}]})
    )
    assert read_sites(file, MAP, by_thousands) == (Site("mast", 500.0, 250.0, None, 8.0),)
    line = {"type": "Feature", "properties": None, "geometry": {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}}
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [point, line]}))
    with pytest.raises(ScenarioError, match=r"sites.geojson, feature 1: its geometry is LineString"):
        read_sites(file, MAP, by_thousands)


CELLS = """radio,mcc,net,area,cell,unit,lon,lat,range,samples,changeable,created,updated,averageSignal
LTE,311,480,1,257,0,0.1,0.1,1000,5,1,0,0,0
LTE,311,480,1,513,0,0.7,0.9,1000,10,1,0,0,0
LTE,311,480,1,514,0,0.9,0.8,1000,30,1,0,0,0
LTE,311,480,1,769,0,80.0,0.9,1000,900,1,0,0,0
GSM,311,480,1,1025,0,0.2,0.1,1000,3,1,0,0,0
GSM,311,480,1,1026,0,0.3,0.1,1000,2,1,0,0,0
"""
"""Of LTE base stations 1, 2 (two cells), 3 (far off), and of GSM cells, whose identities say nothing of stations."""


def test_of_a_register_base_stations_on_the_map_count_those_with_most_samples_first(tmp_path: Path) -> None:
    """Base station 2 stands at the mean of its 40 measurements: 0.7 of 10 and 0.9 of 30 make 0.85."""
    file = tmp_path / "cells.csv"
    file.write_text(CELLS)
    counted = Repairs()
    sites = read_sites(file, MAP, by_thousands, counted=counted)
    assert [site.rsu for site in sites] == ["rsu_00", "rsu_01", "rsu_02", "rsu_03"]
    assert np.allclose(
        [(s.x_m, s.y_m) for s in sites], [(850.0, 825.0), (100.0, 100.0), (200.0, 100.0), (300.0, 100.0)]
    )
    assert counted.counts == {"cells joined to others of their base station": 1, "base stations outside the map": 1}
    few = Repairs()
    assert len(read_sites(file, MAP, by_thousands, count=2, spacing_m=300.0, counted=few)) == 2
    assert few.counts["base stations on the map and not taken"] == 2


def test_a_base_station_s_cells_may_have_no_measurements(tmp_path: Path) -> None:
    file = tmp_path / "cells.csv"
    file.write_text(CELLS.replace(",10,1,0", ",0,1,0"))
    site = read_sites(file, MAP, by_thousands, count=1)[0]
    assert np.allclose([site.x_m, site.y_m], [800.0, 850.0]), "the mean of the two cells"


@pytest.mark.parametrize("register", [False, True])
def test_exchanged_degrees_are_told(tmp_path: Path, register: bool) -> None:
    """On a map that reaches from (20, 0) to (40, 10) degrees, (5, 30) is no place, but (30, 5) is."""
    wide = RoadMap((20_000.0, 0.0, 40_000.0, 10_000.0), (), (), (), ())
    file = tmp_path / "sites.csv"
    file.write_text(CELLS.replace("0.1,0.1", "5.0,30.0") if register else "lon,lat\n5,30\n6,31\n")
    with pytest.raises(ScenarioError, match=r"sites.csv: no site lies on the map, but with longitude and latitude ex"):
        read_sites(file, wide, by_thousands)


def test_real_cell_sites_of_san_francisco(shared: Path) -> None:
    """60 of the base stations of 1,999 cells, at least 300 m apart, on a map of 6 x 6 km in UTM zone 10."""
    file = shared / "scenarios/cabspotting_sf_day/opencellid_verizon_lte_san_francisco.csv"
    pyproj = pytest.importorskip("pyproj")
    utm = pyproj.Proj("+proj=utm +zone=10 +datum=WGS84 +units=m")
    x_m, y_m = utm(-122.42, 37.77)
    bounds = (x_m - 3000.0, y_m - 3000.0, x_m + 3000.0, y_m + 3000.0)
    counted = Repairs()
    sites = read_sites(file, RoadMap(bounds, (), (), (), ()), utm, count=60, spacing_m=300.0, counted=counted)
    assert len(sites) == 60
    assert counted.counts["cells joined to others of their base station"] == 1999 - 549
    places = [(site.x_m, site.y_m) for site in sites]
    assert min(math.dist(p, q) for p, q in combinations(places, 2)) >= 300.0


def test_a_net_s_projection(tmp_path: Path) -> None:
    pytest.importorskip("pyproj")
    net = tmp_path / "net.xml"
    net.write_text(
        '<net><location netOffset="-285448.66,-5492398.13" projParameter="+proj=utm +zone=32 +ellps=WGS84"/></net>'
    )
    plane = plane_of(net)
    assert plane is not None
    # on the zone's central meridian east is 500 km, at the equator north is 0: by definition of UTM
    x_m, y_m = plane.metres(np.array([9.0]), np.array([0.0]))
    assert (x_m[0], y_m[0]) == pytest.approx((500000.0 - 285448.66, -5492398.13), abs=1e-6)
    net.write_text('<net><location netOffset="0,0" projParameter="!"/></net>')
    assert plane_of(net) is None


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("s.csv", "x_m,y_m\n1,2\n3,x\n", r"s.csv, line 3: y_m is 'x'; it must be a number"),
        ("s.csv", "x_m,y_m\n1,nan\n", r"line 2: y_m is 'nan'"),
        ("s.csv", "x_m,y_m\n1\n", r"line 2: y_m is None"),
        ("s.csv", "x_m,y_m\n", "holds no sites"),
        ("s.csv", "east,north\n1,2\n", "columns east, north; sites need x_m and y_m"),
        ("s.csv", "name,x_m,y_m\na,1,2\na,3,4\n", "two sites are named 'a'"),
        ("s.csv", "name,x_m,y_m\na,1,2\n,3,4\n,5,6\n", "two sites have no name, while others do"),
        ("s.csv", "x_m,y_m,range_m\n1,2,-5\n", r"line 2: range_m is -5; it must be above 0"),
        ("s.csv", "x_m,y_m\n1,99999\n", r"at \(1, 99999\) m lies outside the map"),
        ("s.csv", "lon,lat\n37.7,-122.4\n", r"line 2: longitude 37.7, latitude -122.4 is no place on Earth"),
        ("s.json", "[1, 2]", "not GeoJSON"),
        ("s.json", "{", "not GeoJSON"),
        ("s.txt", "", "whose name ends in '.csv', '.geojson' or '.json'"),
    ],
)
def test_bad_files_of_sites(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ScenarioError, match=message):
        read_sites(tmp_path / name, MAP, by_thousands)


def test_a_missing_file_of_sites(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"nowhere\.csv: no such file"):
        read_sites(tmp_path / "nowhere.csv", MAP, None)
