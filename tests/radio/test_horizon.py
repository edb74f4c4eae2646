"""Horizons against robust geometry: on random and real cities, on lattices full of ties, and on broken outlines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.domain import FloatArray
from iovsim.mobility.roadmap import read_buildings
from iovsim.radio import Buildings
from iovsim.radio.horizon import CLEAR, HIDDEN, UNSURE, horizon

PAIRS = 100_000
Ends = tuple[FloatArray, FloatArray, FloatArray, FloatArray]

SQUARE = np.array([[10.0, -5.0], [20.0, -5.0], [20.0, 5.0], [10.0, 5.0]])


def by_geometry(buildings: Buildings, ends: Ends, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    with monkeypatch.context() as patch:
        patch.setattr("iovsim.radio.blockage.MANY", PAIRS + 1)
        return buildings.blocked(*ends)


def pairs(antennas: FloatArray, spread_m: float, rng: np.random.Generator) -> Ends:
    """Many points around every antenna, on a lattice of centimetres as in a trace; one stands under it."""
    at = antennas[np.arange(PAIRS) % len(antennas)]
    to = np.round(at + rng.uniform(-spread_m, spread_m, (PAIRS, 2)), 2)
    to[:1] = at[:1]
    return at[:, 0].copy(), at[:, 1].copy(), to[:, 0].copy(), to[:, 1].copy()


def random_city(rng: np.random.Generator, houses: int, side_m: float) -> list[FloatArray]:
    """Blocks, wedges and stars at all angles; one in ten stands across its neighbour, one in ten shares its wall."""
    outlines: list[FloatArray] = []
    for _ in range(houses):
        corners = int(rng.integers(3, 9))
        angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
        shape = rng.uniform(3.0, 20.0, (corners, 1)) * np.c_[np.cos(angle), np.sin(angle)]
        outlines.append(np.round(shape + rng.uniform(0, side_m, 2), 2))
        kind = rng.random()
        if kind < 0.1:
            outlines.append(outlines[-1] + np.round(rng.uniform(-8, 8, 2), 2))
        elif kind < 0.2:
            a, b = outlines[-1][:2]
            outlines.append(np.array([a, b, 2 * b - outlines[-1][-1]]))
    return outlines


def test_a_random_city_is_answered_as_by_geometry(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    buildings = Buildings(random_city(rng, 1500, 1000.0))
    ends = pairs(rng.uniform(100, 900, (40, 2)), 250.0, rng)
    found = buildings.blocked(*ends)
    expected = by_geometry(buildings, ends, monkeypatch)
    assert int((found != expected).sum()) == 0
    assert 0.2 < expected.mean() < 0.98


def test_luxembourg_is_answered_as_by_geometry(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outlines = read_buildings([shared / "scenarios/lust_luxembourg/lust.poly.xml.gz"])
    assert len(outlines) == 13_552
    rng = np.random.default_rng(6)
    corners = np.concatenate(outlines)
    antennas = corners[rng.choice(len(corners), 100)] + rng.uniform(-15.0, 15.0, (100, 2))  # in streets and in yards
    buildings = Buildings(outlines)
    ends = pairs(antennas, 250.0, rng)
    expected = by_geometry(buildings, ends, monkeypatch)
    assert int((buildings.blocked(*ends) != expected).sum()) == 0
    assert 0.2 < expected.mean() < 0.98


lattice = st.tuples(st.integers(-6, 6), st.integers(-6, 6))


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.lists(st.lists(lattice, min_size=3, max_size=6), min_size=1, max_size=6), lattice)
def test_ties_and_broken_outlines_are_answered_as_by_geometry(
    rings: list[list[tuple[int, int]]], at: tuple[int, int]
) -> None:
    """On a small lattice walls cross, coincide and point at the antenna, and rings cross themselves or have no area."""
    buildings = Buildings([np.array(ring, dtype=np.float64) for ring in rings])
    x_m, y_m = (grid.ravel() for grid in np.meshgrid(np.arange(-7.0, 7.5, 0.5), np.arange(-7.0, 7.5, 0.5)))
    ends = np.full(len(x_m), float(at[0])), np.full(len(x_m), float(at[1])), x_m, y_m
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("iovsim.radio.blockage.MANY", 1)
        found = buildings.blocked(*ends)
        np.testing.assert_array_equal(found, by_geometry(buildings, ends, monkeypatch))


def test_the_horizon_of_one_wall() -> None:
    seen = horizon(np.array([[10.0, 5.0]]), np.array([[10.0, -5.0]]))
    assert seen is not None
    x_m = np.array([5.0, 15.0, 10.0, -15.0, 9.0, 20.0])
    y_m = np.array([0.0, 0.0, 1.0, 1.0, 9.0, 10.0])
    # in front, behind, on the wall, at the back, beside, and exactly past its end
    assert seen.state(x_m, y_m).tolist() == [CLEAR, HIDDEN, UNSURE, CLEAR, CLEAR, UNSURE]


def test_a_wall_across_the_direction_in_which_angles_jump() -> None:
    seen = horizon(np.array([[-10.0, 5.0]]), np.array([[-10.0, -5.0]]))
    assert seen is not None
    assert seen.state(np.array([-20.0, -20.0, 20.0]), np.array([1.0, -1.0, 0.0])).tolist() == [HIDDEN, HIDDEN, CLEAR]


def test_nothing_around_hides_nothing() -> None:
    seen = horizon(np.zeros((0, 2)), np.zeros((0, 2)))
    assert seen is not None
    assert (seen.state(np.array([1.0, 0.0]), np.array([1.0, 0.0])) == CLEAR).all()


def test_an_antenna_on_a_wall_has_no_horizon() -> None:
    assert horizon(np.array([[0.01, -1.0]]), np.array([[0.01, 1.0]])) is None


def test_few_are_left_to_geometry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said to be unsure is rare, or the horizon would be no use."""
    rng = np.random.default_rng(5)
    outlines = random_city(rng, 1500, 1000.0)
    begin = np.concatenate([ring - 500.0 for ring in outlines])
    end = np.concatenate([np.roll(ring, -1, axis=0) - 500.0 for ring in outlines])
    seen = horizon(begin, end)
    assert seen is not None
    monkeypatch.setattr("iovsim.radio.horizon.PAIRS", 1000)
    in_parts = horizon(begin, end)
    assert in_parts is not None
    np.testing.assert_array_equal(in_parts.wall, seen.wall)
    state = seen.state(*rng.uniform(-250, 250, (2, PAIRS)))
    assert np.mean(state == UNSURE) < 0.002


@pytest.mark.parametrize(
    ("antenna", "blocked"),
    [
        ((15.0, 0.0), False),  # in the building
        ((10.0, 0.0), False),  # on its wall
        ((10.0, -5.0), False),  # on its corner
        ((9.99, 0.0), True),  # before it, too near for a horizon
        ((0.0, 0.0), True),
    ],
)
def test_only_an_antenna_on_or_in_a_building_looks_through_it(antenna: tuple[float, float], blocked: bool) -> None:
    x0_m, y0_m = (np.full(PAIRS, value) for value in antenna)
    x1_m, y1_m = np.full(PAIRS, 30.0), np.linspace(-4.0, 4.0, PAIRS)
    assert (Buildings([SQUARE]).blocked(x0_m, y0_m, x1_m, y1_m) == blocked).all()


def test_a_point_farther_than_all_before_sees_farther() -> None:
    buildings = Buildings([SQUARE + np.array([500.0, 0.0])])
    at, y_m = np.zeros(1000), np.linspace(-10.0, 10.0, 1000)
    assert not buildings.blocked(at, at, np.full(1000, 5.0), y_m).any()
    far = buildings.blocked(at, at, np.full(1000, 1020.0), y_m)
    assert (far == (np.abs(y_m) <= 10.0)).all()  # the near wall, 510 m away, is 10 m wide: 10 m at twice the distance
    assert not buildings.blocked(at, at, np.full(1000, 1020.0), y_m + 21.0).any()
