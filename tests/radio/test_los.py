"""The line-of-sight law, and buildings against exact geometry."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.errors import ScenarioError
from iovsim.radio import LOS, NLOS, NLOSV, Buildings
from iovsim.radio.los import los_states, p_los_highway, p_los_open, p_los_urban

SQUARE = np.array([[10.0, -5.0], [20.0, -5.0], [20.0, 5.0], [10.0, 5.0]])


def test_urban_law() -> None:
    # TR 37.885: 1.05 e^(-0.0114 d), cut at 1; 1.05 e^-1.14 = 0.33581, 1.05 e^-2.85 = 0.060738
    assert p_los_urban(np.array([0.0, 4.0, 100.0, 250.0])) == pytest.approx([1.0, 1.0, 0.335810, 0.060738], abs=2e-6)


def test_highway_law() -> None:
    # TR 37.885: at 100 m 0.021013 - 0.2 + 1.0193, at 475 m 0.474106 - 0.95 + 1.0193; beyond 0.54 - 0.001 (d - 475)
    found = p_los_highway(np.array([0.0, 100.0, 475.0, 575.0, 1015.0, 2000.0]))
    assert found == pytest.approx([1.0, 0.840313, 0.543406, 0.44, 0.0, 0.0], abs=2e-6)


def test_open_law() -> None:
    assert p_los_open(np.array([0.0, 1e4])) == pytest.approx([1.0, 1.0])


def test_shares_follow_the_law_and_buildings_overrule_it() -> None:
    n = 20_000
    normal = np.random.default_rng(1).standard_normal(n)
    blocked = np.zeros(n, dtype=np.bool_)
    blocked[: n // 2] = True
    states = los_states("urban", np.full(n, 100.0), normal, blocked)
    assert (states[: n // 2] == NLOS).all()
    # binomial with p = 0.3358: standard error 0.0047, four of them
    assert np.mean(states[n // 2 :] == LOS) == pytest.approx(0.3358, abs=0.019)
    assert set(np.unique(states[n // 2 :])) == {LOS, NLOSV}


def _blocked(buildings: Buildings, *segment: float) -> bool:
    x0, y0, x1, y1 = (np.array([value]) for value in segment)
    return bool(buildings.blocked(x0, y0, x1, y1)[0])


@pytest.mark.parametrize(
    ("segment", "blocked"),
    [
        ((0.0, 0.0, 30.0, 0.0), True),  # straight through
        ((0.0, 0.0, 15.0, 0.0), True),  # the vehicle is inside
        ((0.0, 0.0, 9.99, 0.0), False),  # stops short
        ((0.0, 5.0, 30.0, 5.0), True),  # grazes the wall
        ((0.0, 5.01, 30.0, 5.01), False),
        ((0.0, 0.0, 0.0, 0.0), False),  # vehicle under the RSU
        ((15.0, 0.0, 30.0, 0.0), False),  # the building carries the RSU
    ],
)
def test_one_square_building(segment: tuple[float, ...], blocked: bool) -> None:
    assert _blocked(Buildings([SQUARE]), *segment) is blocked


def test_only_the_building_that_carries_the_rsu_is_spared() -> None:
    buildings = Buildings([SQUARE, SQUARE + np.array([20.0, 0.0])])
    assert _blocked(buildings, 15.0, 0.0, 50.0, 0.0)
    assert not _blocked(buildings, 15.0, 0.0, 29.0, 0.0)


def _cross(o: tuple[int, int], a: tuple[int, int], b: tuple[int, int]) -> int:
    return (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])


def _meets_exactly(a: tuple[int, int], b: tuple[int, int], ring: list[tuple[int, int]]) -> bool:
    """Clips the segment against a convex counter-clockwise ring in rational numbers: does anything remain?"""
    low, high = Fraction(0), Fraction(1)
    for p, q in zip(ring, ring[1:] + ring[:1], strict=True):
        at_a, at_b = _cross(p, q, a), _cross(p, q, b)  # >= 0 is inside
        if at_a < 0 and at_b < 0:
            return False
        if at_a == at_b:
            continue
        root = Fraction(at_a, at_a - at_b)
        if at_b < at_a:
            high = min(high, root)
        else:
            low = max(low, root)
    return low <= high


points = st.tuples(st.integers(-60, 60), st.integers(-60, 60))


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.lists(st.tuples(points, st.integers(2, 15), st.integers(2, 15)), min_size=1, max_size=6), points, points)
def test_blocked_is_exact_on_random_diamonds(
    diamonds: list[tuple[tuple[int, int], int, int]], rsu: tuple[int, int], vehicle: tuple[int, int]
) -> None:
    rings = [[(x + w, y), (x, y + h), (x - w, y), (x, y - h)] for (x, y), w, h in diamonds]
    expected = any(_meets_exactly(rsu, vehicle, ring) and not _meets_exactly(rsu, rsu, ring) for ring in rings)
    buildings = Buildings([np.array(ring, dtype=np.float64) for ring in rings])
    assert _blocked(buildings, *map(float, (*rsu, *vehicle))) is expected


def test_many_segments_are_answered_in_order_whatever_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    buildings = Buildings([SQUARE + rng.uniform(-200.0, 200.0, 2) for _ in range(60)])
    ends = [rng.uniform(-200.0, 200.0, 500) for _ in range(4)]
    whole = buildings.blocked(*ends)
    monkeypatch.setattr("iovsim.radio.blockage.CHUNK", 7)
    assert (buildings.blocked(*ends) == whole).all()
    assert 0 < whole.sum() < len(whole)


def test_no_buildings_block_nothing() -> None:
    assert not _blocked(Buildings([]), 0.0, 0.0, 100.0, 0.0)


def test_a_ring_that_crosses_itself_still_blocks() -> None:
    bow = np.array([[10.0, -5.0], [20.0, 5.0], [20.0, -5.0], [10.0, 5.0]])
    assert _blocked(Buildings([bow]), 0.0, 0.0, 30.0, 0.0)


def test_bad_outlines_are_named() -> None:
    with pytest.raises(ScenarioError, match=r"building 1: an outline of shape \(2, 2\)"):
        Buildings([SQUARE, SQUARE[:2]])
    with pytest.raises(ScenarioError, match=r"building 0: .*not finite"):
        Buildings([SQUARE * np.nan])
