"""What RSUs are worth, by hand and against points along the roads."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.results import reach


def rsus(*circles: tuple[float, float, float]) -> pd.DataFrame:
    return pd.DataFrame(circles, columns=["x_m", "y_m", "range_m"], dtype=np.float64)


def roads(*lines: list[tuple[float, float]], kind: str = "road") -> pd.DataFrame:
    rows = [(kind, shape, k, *point) for shape, line in enumerate(lines) for k, point in enumerate(line)]
    return pd.DataFrame(rows, columns=["kind", "shape", "point", "x_m", "y_m"])


STREET = [(0.0, 0.0), (100.0, 0.0)]


@pytest.mark.parametrize(
    ("circles", "share"),
    [
        ([], 0.0),
        ([(50.0, 0.0, 30.0)], 0.6),
        ([(50.0, 0.0, 30.0), (50.0, 0.0, 30.0)], 0.6),
        ([(0.0, 0.0, 30.0), (20.0, 0.0, 30.0)], 0.5),
        ([(0.0, 0.0, 30.0), (100.0, 0.0, 10.0)], 0.4),
        ([(50.0, 3.0, 5.0)], 0.08),  # a chord of the circle: 2 sqrt(25 - 9)
        ([(50.0, 5.0, 5.0)], 0.0),  # touches it
        ([(50.0, 0.0, 500.0)], 1.0),
    ],
)
def test_one_street(circles: list[tuple[float, float, float]], share: float) -> None:
    assert reach.covered_road_share(rsus(*circles), roads(STREET)) == pytest.approx(share)


def test_streets_count_by_length_and_buildings_not_at_all() -> None:
    bent = [(0.0, 100.0), (0.0, 200.0), (0.0, 200.0), (200.0, 200.0)]
    shapes = pd.concat([roads(STREET, bent), roads([(0.0, 0.0), (9.0, 9.0), (0.0, 9.0)], kind="building")])
    # 50 m of the first, 50 m of the second's first piece; 400 m of road in all
    assert reach.covered_road_share(rsus((0.0, 0.0, 50.0), (0.0, 100.0, 50.0)), shapes) == pytest.approx(100 / 400)
    assert reach.covered_road_share(rsus((0.0, 0.0, 50.0)), roads(kind="building")) is None


points = st.tuples(st.floats(-50, 50), st.floats(-50, 50))


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    st.lists(st.lists(points, min_size=2, max_size=4), min_size=1, max_size=4),
    st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50), st.floats(1, 40)), max_size=5),
)
def test_the_covered_share_is_that_of_points_along_the_roads(
    lines: list[list[tuple[float, float]]], circles: list[tuple[float, float, float]]
) -> None:
    inside, total = 0.0, 0.0
    part = (np.arange(2000) + 0.5) / 2000
    for line in lines:
        for (x0, y0), (x1, y1) in pairwise(line):
            length = np.hypot(x1 - x0, y1 - y0)
            x, y = x0 + part * (x1 - x0), y0 + part * (y1 - y0)
            covered = np.zeros(len(part), dtype=np.bool_)
            for cx, cy, radius in circles:
                covered |= np.hypot(x - cx, y - cy) <= radius
            inside, total = inside + length * covered.mean(), total + length
    found = reach.covered_road_share(rsus(*circles), roads(*lines))
    if found is None:
        assert total == 0
    elif total > 1e-6:
        assert found == pytest.approx(inside / total, abs=0.01)


CONTACTS = pd.DataFrame(
    {
        "start_s": [0.0, 10.0, 20.0],
        "end_s": [10.0, 30.0, 26.0],
        "end": ["handover", "horizon", "range"],
        "nlos_share": [0.5, 0.0, 1.0],
    }
)
CONNECTIVITY = pd.DataFrame({"time_s": [0.0, 0.5, 1.0], "vehicles": [20, 30, 50], "connected": [5, 10, 35]})


def test_time_on_the_road_and_in_contact() -> None:
    # 100 samples of half a second
    assert reach.vehicle_h(CONNECTIVITY) == pytest.approx(50.0 / 3600)
    assert reach.connected_share(CONNECTIVITY) == pytest.approx(0.5)
    assert reach.contact_s(CONTACTS) == pytest.approx(12.0)
    assert reach.seen_share(CONTACTS, CONNECTIVITY) == pytest.approx((5 + 20 + 0) / 50.0)
    assert reach.handovers_per_vehicle_h(CONTACTS, CONNECTIVITY) == pytest.approx(3600 / 50.0)


def test_nothing_to_measure() -> None:
    nothing = CONNECTIVITY[:0]
    assert reach.connected_share(nothing) is None
    assert reach.contact_s(CONTACTS[:0]) is None
    assert reach.seen_share(CONTACTS, nothing) is None
    assert reach.handovers_per_vehicle_h(CONTACTS, nothing) is None
