"""Map matching: on a road of our own, and against SUMO's truth with noise of receivers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from iovsim.errors import TraceError
from iovsim.mobility.importers.fcd import read_fcd
from iovsim.mobility.importers.gps import GpsOptions, read_gps
from iovsim.mobility.importers.matching import Matching
from iovsim.mobility.samples import Repairs
from tests.mobility.importers.tables import Row, rows_of, write_csv

pytest.importorskip("rtree", reason="sumolib's index of edges is not installed: iovsim[matching]")

NET = Path(__file__).parents[3] / "sumo_maps/portside/portside.net.xml.gz"

CORNER = """<net version="1.20">
<location netOffset="0,0" convBoundary="0,0,200,200" origBoundary="0,0,1,1" projParameter="!"/>
<edge id="in" from="a" to="b"><lane id="in_0" index="0" speed="14" length="190" shape="0,0 190,0"/></edge>
<edge id="out" from="b" to="c"><lane id="out_0" index="0" speed="14" length="190" shape="200,10 200,200"/></edge>
<junction id="a" type="dead_end" x="0" y="0" incLanes="" intLanes="" shape="0,0"/>
<junction id="b" type="priority" x="200" y="0" incLanes="in_0" intLanes="" shape="190,-2 190,2 198,10 202,10"/>
<junction id="c" type="dead_end" x="200" y="200" incLanes="out_0" intLanes="" shape="200,200"/>
<connection from="in" to="out" fromLane="0" toLane="0" dir="l" state="M"/></net>"""


def matched(path: Path, net: Path, matching: Matching | None) -> tuple[dict[tuple[float, str], Row], Repairs, str]:
    repairs, told = Repairs(), list[str]()
    options = GpsOptions(net=net, matching=matching, time_unit="s")
    rows = rows_of(read_gps(path, repairs, options, work=path.parent, told=told.append))
    return {row[:2]: row for row in rows}, repairs, told[-1]


def test_a_way_follows_the_corner_and_waits_at_the_light(tmp_path: Path) -> None:
    """Noise of 5 m beside the road; at the corner it waits for 20 s, and the receiver thinks that it moves."""
    net = tmp_path / "corner.net.xml"
    net.write_text(CORNER)
    points = [(0, 100, 5), (10, 190, -5), (15, 185, 4), (20, 189, -3), (30, 190, 3), (40, 205, 100)]
    path = write_csv(tmp_path / "f.csv", "time,x,y", points)
    rows, repairs, told = matched(path, net, Matching())
    assert not repairs.counts
    assert told.startswith("matched: 6 of 6 points, moved by")
    found = [rows[t, "f"][2:4] for t in (0, 10, 20, 30, 40)]
    np.testing.assert_allclose(found, [(100, 0), (190, 0), (190, 0), (190, 0), (200, 100)], atol=3)
    assert rows[5, "f"][2:6] == pytest.approx((145, 0, 9, 90))
    assert all(min(abs(row[3]), abs(row[2] - 200)) < 8 for row in rows.values()), "never across the block"
    straight = matched(path, net, None)[0]
    assert any(min(abs(row[3]), abs(row[2] - 200)) > 8 for row in straight.values())


def test_points_without_a_road_and_ways_that_there_are_not(tmp_path: Path) -> None:
    net = tmp_path / "corner.net.xml"
    net.write_text(CORNER)
    path = write_csv(
        tmp_path / "f.csv", "time,x,y", [(0, 100, 0), (5, 150, 0), (10, 150, 80), (15, 200, 50), (20, 200, 90)]
    )
    rows, repairs, _ = matched(path, net, Matching())
    assert repairs.counts == {"points without a road": 1}
    assert sorted(t for t, _ in rows) == [0, 1, 2, 3, 4, 5, 15, 16, 17, 18, 19, 20]
    wrong_way = write_csv(tmp_path / "g.csv", "time,x,y", [(0, 200, 150), (10, 200, 60), (20, 120, 0), (30, 60, 0)])
    rows, repairs, _ = matched(wrong_way, net, Matching())
    assert repairs.counts["straight legs"] > 0
    assert len(rows) == 31, "a way that is not found leaves the vehicle there"


@pytest.mark.parametrize(("every_s", "noise_m", "least_gain"), [(5, 5.0, 1.2), (15, 5.0, 1.5)])
def test_noise_is_mostly_undone(fcd: Path, tmp_path: Path, every_s: int, noise_m: float, least_gain: float) -> None:
    """SUMO's vehicles, thinned and with noise: matched, their median error is smaller, by a factor at least."""
    truth = {row[:2]: row for row in rows_of(read_fcd(fcd / "fcd.csv", Repairs()))}
    rng = np.random.default_rng(3)
    noisy = [
        (v, t, row[2] + rng.normal(0, noise_m), row[3] + rng.normal(0, noise_m))
        for (t, v), row in truth.items()
        if t % every_s == 0
    ]
    path = write_csv(tmp_path / "f.csv", "id,time,x,y", noisy)
    medians = []
    for matching in (None, Matching()):
        rows, _, told = matched(path, NET, matching)
        apart = [np.hypot(row[2] - truth[key][2], row[3] - truth[key][3]) for key, row in rows.items() if key in truth]
        assert len(apart) > 300
        medians.append(float(np.median(apart)))
    assert medians[0] > least_gain * medians[1]
    found, _, asked = told.removeprefix("matched: ").split()[:3]
    assert int(found) > 0.9 * int(asked)


def test_a_file_that_is_no_net(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "f.csv", "time,x,y", [(0, 0, 0), (10, 100, 0)])
    (tmp_path / "net.xml").write_text("<net")
    with pytest.raises(TraceError, match=r"net.xml: sumolib cannot read it as a net"):
        matched(path, tmp_path / "net.xml", Matching())
