"""Cleaning: each rule on a track that breaks it, and what holds for any points whatever."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iovsim.mobility.importers.cleaning import Cleaning, joined, pieces, reach, within
from iovsim.mobility.importers.records import POINT, Records
from iovsim.mobility.samples import Repairs

RULES = Cleaning(max_speed_mps=50.0, gap_s=100.0)


def points(*rows: tuple[float, float], vehicle: int = 0, y: float = 0.0) -> Records:
    """Points of one vehicle: seconds and x."""
    return np.array([(vehicle, round(t * 1000), x, y, np.nan, np.nan) for t, x in rows], dtype=POINT)


def cleaned(table: Records, rules: Cleaning = RULES) -> tuple[list[list[tuple[float, float]]], dict[str, int]]:
    """The pieces as (seconds, x), and what was counted."""
    repairs = Repairs()
    kept, number = pieces(table, rules, repairs)
    found = [
        [(float(p["time_ms"]) / 1000, float(p["x"])) for p in kept[number == which]] for which in np.unique(number)
    ]
    return found, dict(repairs.counts)


def test_a_clean_track_stays_as_it_is() -> None:
    assert cleaned(points((0, 0), (10, 100), (20, 250))) == ([[(0, 0), (10, 100), (20, 250)]], {})


def test_time_backwards_is_sorted() -> None:
    assert cleaned(points((10, 100), (0, 0), (20, 250))) == (
        [[(0, 0), (10, 100), (20, 250)]],
        {"points out of order": 1},
    )


def test_the_first_point_of_a_time_counts() -> None:
    found, counts = cleaned(points((0, 0), (10, 100), (10, 100), (10, 90), (20, 200)))
    assert found == [[(0, 0), (10, 100), (20, 200)]]
    assert counts == {"duplicates": 1, "points elsewhere at the same time": 1}


def test_a_single_point_far_off_is_left_out() -> None:
    assert cleaned(points((0, 0), (10, 9000), (20, 200))) == ([[(0, 0), (20, 200)]], {"spikes": 1})
    assert cleaned(points((0, 9000), (10, 100), (20, 200)))[1] == {"spikes": 1}
    assert cleaned(points((0, 0), (10, 100), (20, 9000)))[1] == {"spikes": 1}


def test_a_vehicle_that_is_elsewhere_from_then_on_has_jumped() -> None:
    found, counts = cleaned(points((0, 0), (10, 100), (20, 9000), (30, 9100)))
    assert found == [[(0, 0), (10, 100)], [(20, 9000), (30, 9100)]]
    assert counts == {"jumps": 1}


def test_a_silence_parts_a_track() -> None:
    found, counts = cleaned(points((0, 0), (100, 10), (200.001, 20), (210, 30)))
    assert found == [[(0, 0), (100, 10)], [(200.001, 20), (210, 30)]]
    assert counts == {"gaps": 1}


def test_a_point_alone_is_left_out() -> None:
    assert cleaned(points((0, 0), (1000, 0), (1010, 1)))[1] == {"gaps": 1, "lone points": 1}


def test_parked_vehicles_vanish_where_it_is_asked() -> None:
    track = points((0, 0), (10, 100), (70, 102), (130, 101), (190, 100), (200, 200))
    rules = Cleaning(max_speed_mps=50, gap_s=100, parked="drop", still_mps=0.5, park_s=180)
    assert cleaned(track, rules) == ([[(0, 0), (10, 100)], [(190, 100), (200, 200)]], {"stays left out": 1})
    longer = Cleaning(max_speed_mps=50, gap_s=100, parked="drop", still_mps=0.5, park_s=181)
    assert len(cleaned(track, longer)[0]) == len(cleaned(track)[0]) == 1


def test_swapped_points_are_put_right_and_far_ones_left_out() -> None:
    box = reach(-37.06, -10.93, 200_000)
    table = np.array(
        [(0, 0, -37.05, -10.94, 0, 0), (0, 1, -10.94, -37.05, 0, 0), (0, 2, -35.0, -8.0, 0, 0)], dtype=POINT
    )
    repairs = Repairs()
    kept = within(table, box, True, repairs)
    assert kept["x"].tolist() == [-37.05, -37.05]
    assert kept["y"].tolist() == [-10.94, -10.94]
    assert repairs.counts == {"swapped points": 1, "points outside the box": 1}
    assert table["x"].tolist() == [-37.05, -10.94, -35.0], "the caller's points are not written into"


def test_the_reach_is_a_distance() -> None:
    west, south, east, north = reach(20.0, 60.0, 111_320.0)
    assert (south, north) == (59.0, 61.0)
    assert [west, east] == pytest.approx([18.0, 22.0]), "a degree of longitude is half as long at 60 N"


def test_segments_know_speed_and_direction() -> None:
    table = np.array(
        [
            (0, 0, 0, 0, np.nan, np.nan),
            (0, 1000, 0, 0, np.nan, np.nan),
            (0, 3000, -8, 0, np.nan, np.nan),
            (0, 4000, -8, 0, np.nan, np.nan),
            (1, 0, 0, 0, 5.0, 10.0),
            (1, 1000, 0, 3, 7.0, 20.0),
        ],
        dtype=POINT,
    )
    found = joined(table, np.array([0, 0, 0, 0, 1, 1]))
    assert found["speed0_mps"].tolist() == [0, 4, 0, 5]
    assert found["speed1_mps"].tolist() == [0, 4, 0, 7]
    assert found["angle_deg"].tolist() == [0, 270, 270, 10], "a standing vehicle looks where it came to stand"
    assert found["last"].tolist() == [False, False, True, True]


any_points = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2000), st.sampled_from([0.0, 30.0, 60.0, 5000.0, -800.0])), max_size=60
)


@given(any_points)
def test_pieces_keep_every_rule_and_every_point_is_accounted_for(
    rows: list[tuple[int, int, float]],
) -> None:
    table = np.array([(v, t * 1000, x, 0.0, np.nan, np.nan) for v, t, x in rows], dtype=POINT)
    repairs = Repairs()
    kept, number = pieces(table, RULES, repairs)
    segments = joined(kept, number)
    left_out = ("duplicates", "points elsewhere at the same time", "spikes", "lone points")
    assert len(kept) + sum(repairs.counts[what] for what in left_out) == len(rows)
    assert len(kept) == 0 or np.unique(number, return_counts=True)[1].min() >= 2
    duration_s = (segments["end_ms"] - segments["begin_ms"]) / 1000
    assert (duration_s > 0).all()
    assert (duration_s <= RULES.gap_s).all()
    assert (np.abs(segments["x1_m"] - segments["x0_m"]) <= RULES.max_speed_mps * duration_s).all()
    assert segments["last"].sum() == len(np.unique(number))
    assert {(p["vehicle"], p["time_ms"], p["x"]) for p in kept} <= {(p["vehicle"], p["time_ms"], p["x"]) for p in table}
