"""Segments to samples: on the grid, in order, on the line between the ends, whatever the batches."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.mobility.importers.records import SEGMENT
from iovsim.mobility.importers.segments import resampled
from tests.mobility.importers.tables import rows_of

Track = tuple[int, list[tuple[int, float]]]  # vehicle, (ms, x)


@st.composite
def tracks(draw: st.DrawFn) -> list[Track]:
    """Pieces of the ways of three vehicles; those of one vehicle do not meet."""
    found: list[Track] = []
    for vehicle in range(3):
        times = sorted(draw(st.sets(st.integers(-5_000, 400_000), min_size=2, max_size=12)))
        points = [(time, draw(st.floats(-100, 100))) for time in times]
        cut = draw(st.integers(0, len(points)))
        found += [(vehicle, part) for part in (points[:cut], points[cut:]) if len(part) > 1]
    return found


def segments(pieces: list[Track]) -> list[tuple[object, ...]]:
    return [
        (vehicle, a[0], b[0], a[1], -a[1], b[1], -b[1], 1.0, 3.0, 90.0, b is points[-1])
        for vehicle, points in pieces
        for a, b in pairwise(points)
    ]


@settings(deadline=None, max_examples=60)
@given(
    pieces=tracks(),
    step_ms=st.sampled_from([100, 1000, 7000]),
    cut=st.sampled_from([(None, None), (10_000, None), (None, 33_333), (-2_000, 90_000)]),
    batches=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_samples_equal_interpolation_of_each_piece(
    pieces: list[Track], step_ms: int, cut: tuple[int | None, int | None], batches: int, seed: int
) -> None:
    names = ["b", "a", "c"]
    table = np.array(segments(pieces), dtype=SEGMENT)
    parts = np.array_split(table[np.random.default_rng(seed).permutation(len(table))], batches)
    with tempfile.TemporaryDirectory() as folder:
        found = rows_of(resampled(parts, names, step_ms=step_ms, begin_ms=cut[0], end_ms=cut[1], folder=Path(folder)))
    low = -(10**9) if cut[0] is None else cut[0]
    high = 10**9 if cut[1] is None else cut[1]
    expected = {
        (grid / 1000, names[vehicle]): float(np.interp(grid, [time for time, _ in points], [x for _, x in points]))
        for vehicle, points in pieces
        for grid in range(-(-points[0][0] // step_ms) * step_ms, points[-1][0] + 1, step_ms)
        if low <= grid < high
    }
    assert [row[:2] for row in found] == sorted(expected)
    np.testing.assert_allclose([row[2] for row in found], [expected[row[:2]] for row in found], atol=1e-9)
    np.testing.assert_allclose([row[3] for row in found], [-expected[row[:2]] for row in found], atol=1e-9)


def test_speed_changes_linearly_and_a_vehicle_is_gone_after_its_last_segment(tmp_path: Path) -> None:
    table = np.array(
        [(0, 0, 2000, 0, 0, 8, 0, 1.0, 3.0, 90.0, False), (0, 2000, 3000, 8, 0, 8, 0, 0, 0, 90.0, True)], dtype=SEGMENT
    )
    rows = rows_of(resampled([table], ["a"], step_ms=1000, folder=tmp_path))
    assert rows == [
        (0.0, "a", 0.0, 0.0, 1.0, 90.0),
        (1.0, "a", 4.0, 0.0, 2.0, 90.0),
        (2.0, "a", 8.0, 0.0, 0.0, 90.0),
        (3.0, "a", 8.0, 0.0, 0.0, 90.0),
    ]


def test_a_long_silence_between_vehicles_takes_no_steps(tmp_path: Path) -> None:
    """Two vehicles a thousand years apart: what is empty must be jumped over."""
    far = 10**9 * 31_536
    table = np.array([(0, at, at + 1000, 0, 0, 1, 0, 1, 1, 0, True) for at in (0, far)], dtype=SEGMENT)
    assert len(rows_of(resampled([table], ["a"], step_ms=1000, folder=tmp_path))) == 4


@pytest.mark.parametrize("batches", [[], [np.empty(0, dtype=SEGMENT)]])
def test_nothing_comes_of_nothing(tmp_path: Path, batches: list[np.ndarray]) -> None:
    assert list(resampled(batches, [], step_ms=1000, folder=tmp_path)) == []
