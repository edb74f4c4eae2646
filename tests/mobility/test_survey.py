"""Tables about a trace's traffic, counted again by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pytest

from iovsim.domain import Rsu
from iovsim.mobility.contacts import extract
from iovsim.mobility.survey import connectivity, density, district_stays
from iovsim.mobility.trace import Trace
from iovsim.rng import stream

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


BOUNDS = (0.0, 0.0, 20.0, 40.0)


def test_stays_begin_and_end_with_the_district(make_trace: MakeTrace) -> None:
    tracks: dict[str, Track] = {
        "v10": ([0.0, 1.0, 2.0, 3.0, 4.0], [1.0, 9.9, 10.0, 10.0, 9.0], [5.0, 5.0, 5.0, 20.0, 25.0]),
        "beyond": ([1.0, 2.0], [-7.0, 400.0], [-1.0, 41.0]),
        "a": ([4.0], [1.0], [39.0]),
        "lost": ([0.0, 4.0], [1.0, 1.0], [5.0, 5.0]),  # not in the trace between
        "lost2": ([0.0, 4.0], [1.0, 11.0], [5.0, 5.0]),
    }
    stays = district_stays(make_trace(tracks), BOUNDS, 2)
    assert list(stays.columns) == ["vehicle", "district", "start_s", "end_s"]
    assert list(stays.itertuples(index=False, name=None)) == [
        ("a", 2, 4.0, 4.0),
        ("beyond", 0, 1.0, 2.0),
        ("beyond", 3, 2.0, 2.0),
        ("lost", 0, 0.0, 4.0),
        ("lost2", 0, 0.0, 4.0),
        ("lost2", 1, 4.0, 4.0),
        ("v10", 0, 0.0, 2.0),
        ("v10", 1, 2.0, 3.0),
        ("v10", 3, 3.0, 4.0),
        ("v10", 2, 4.0, 4.0),
    ]


@pytest.mark.parametrize("per_side", [1, 3])
def test_stays_are_those_of_a_walk_through_every_sample(make_trace: MakeTrace, per_side: int) -> None:
    rng = stream(0, "walks")
    tracks: dict[str, Track] = {}
    for k in range(12):
        time_s = np.arange(rng.integers(60), rng.integers(61, 300), 1.0)  # windows of a trace last 60 s
        x_m, y_m = (np.cumsum(rng.normal(0, 1, len(time_s))) + rng.uniform(0, 20) for _ in range(2))
        tracks[f"v{k}"] = (time_s.tolist(), x_m.tolist(), y_m.tolist())
    expected = []
    for vehicle, track in sorted(tracks.items()):
        stay: list[float] = []
        for time_s_, x, y in zip(*track, strict=True):
            column, row = (min(max(int(part * per_side), 0), per_side - 1) for part in (x / 20, y / 40))
            if not stay or stay[0] != row * per_side + column:
                if stay:
                    expected.append((vehicle, stay[0], stay[1], time_s_))
                stay = [row * per_side + column, time_s_]
        expected.append((vehicle, stay[0], stay[1], track[0][-1]))
    found = list(district_stays(make_trace(tracks), BOUNDS, per_side).itertuples(index=False, name=None))
    assert found == expected
    assert len(found) > 40 or per_side == 1


def test_stays_of_a_part_of_the_trace(make_trace: MakeTrace) -> None:
    trace = make_trace(TRACKS)
    later = district_stays(trace, BOUNDS, 2, start_s=1.0, end_s=100.0)
    assert list(later.itertuples(index=False, name=None)) == [
        ("v10", 0, 1.0, 2.0),
        ("v10", 1, 2.0, 3.0),
        ("v2", 1, 2.0, 3.0),
    ]
    none = district_stays(trace, BOUNDS, 2, start_s=50.0, end_s=100.0)
    assert none.empty
    assert list(none.columns) == list(later.columns)


@pytest.mark.parametrize(("bounds", "per_side"), [(BOUNDS, 0), ((0.0, 0.0, 0.0, 40.0), 2), ((0.0, 40.0, 20.0, 0.0), 2)])
def test_stays_need_districts(make_trace: MakeTrace, bounds: tuple[float, float, float, float], per_side: int) -> None:
    with pytest.raises(ValueError, match="per_side must be at least 1 and bounds must span an area"):
        district_stays(make_trace(TRACKS), bounds, per_side)
