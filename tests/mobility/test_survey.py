"""Tables about a trace's traffic, counted again by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pytest

from iovsim.domain import Rsu
from iovsim.mobility.contacts import extract
from iovsim.mobility.survey import connectivity, density, first_positions
from iovsim.mobility.trace import Trace

Track = tuple[list[float], list[float], list[float]]
TRACKS: dict[str, Track] = {
    "v10": ([0.0, 1.0, 2.0, 3.0], [-5.0, 5.0, 15.0, 25.0], [1.0, 1.0, 1.0, 1.0]),
    "v2": ([2.0, 3.0], [100.0, 101.0], [-1.0, -1.0]),
    "a": ([150.0, 151.0], [5.0, 6.0], [5.0, 5.0]),
}


class MakeTrace(Protocol):
    def __call__(self, tracks: Mapping[str, Track]) -> Trace: ...


def test_connectivity(make_trace: MakeTrace) -> None:
    trace = make_trace(TRACKS)
    table = extract(trace, [Rsu("r", 0.0, 1.0, 6.0, 12.0, ())])
    frame = connectivity(trace, table)
    assert frame["time_s"].tolist() == [0, 1, 2, 3, 150, 151]
    assert frame["vehicles"].tolist() == [1, 1, 2, 2, 1, 1]
    assert frame["connected"].tolist() == [1, 1, 0, 0, 1, 0]  # v10 leaves at 1.7 s; at the horizon all end
    assert connectivity(trace, table, start_s=2, end_s=150)["time_s"].tolist() == [2, 3]


def test_density(make_trace: MakeTrace) -> None:
    frame = density(make_trace(TRACKS), 20.0)
    cells = {(x, y): s for x, y, s in frame.itertuples(index=False)}
    assert cells == {(-10.0, 10.0): 1.0, (10.0, 10.0): 4.0, (30.0, 10.0): 1.0, (110.0, -10.0): 2.0}
    with pytest.raises(ValueError, match="cell_m must be positive"):
        density(make_trace(TRACKS), 0.0)


def test_first_positions(make_trace: MakeTrace) -> None:
    frame = first_positions(make_trace(TRACKS))
    assert frame["vehicle"].tolist() == ["a", "v10", "v2"]
    np.testing.assert_array_equal(frame[["time_s", "x_m", "y_m"]], [[150, 5, 5], [0, -5, 1], [2, 100, -1]])
    later = first_positions(make_trace(TRACKS), start_s=1.0, end_s=100.0)
    assert later["vehicle"].tolist() == ["v10", "v2"]
    assert later["time_s"].tolist() == [1.0, 2.0]
