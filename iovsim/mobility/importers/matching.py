"""Points are moved onto the roads of a SUMO net, and ways between them follow the roads; by sumolib's map matching.

`sumolib.route.mapTrace` finds the connected edges whose distances to the points and detours are least,
https://sumo.dlr.de/docs/Tools/Sumolib.html. A receiver's noise at a red light would send it around the block; so
points that have hardly moved are held back from it, as in Newson and Krumm, "Hidden Markov Map Matching Through Noise
and Sparseness", ACM GIS 2009, and put on the way that it finds afterwards.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from iovsim.domain import FloatArray, IntArray
from iovsim.errors import TraceError
from iovsim.mobility.importers.records import POINT, Records
from iovsim.mobility.samples import Repairs

CHUNK = 100
"""Points that are matched at once: the effort grows with the square. The next chunk begins at the last point."""


@dataclass(frozen=True, slots=True)
class Matching:
    """Roads within `radius_m` of a point are candidates, open to `vehicle_class`.

    Points less than `still_m` from the last are held back (Newson and Krumm: twice the noise; here of 10 m). A way
    longer than `detour_scale` times the air line and twice the radius is no way (ours).
    """

    radius_m: float = 30.0
    vehicle_class: str = "passenger"
    still_m: float = 20.0
    detour_scale: float = 2.0


class Matcher:
    """A net to match against, and how well it went: points in, points matched, metres they were moved by."""

    def __init__(self, net: Path, rules: Matching) -> None:
        """Raises `TraceError` where the net cannot be read, or sumolib's index of edges is not installed."""
        if importlib.util.find_spec("rtree") is None:
            raise TraceError("matching to a net needs the package 'rtree'; run: pip install 'iovsim[matching]'")
        import sumolib

        try:
            self._net = sumolib.net.readNet(str(net))
        except Exception as error:
            raise TraceError(f"{net}: sumolib cannot read it as a net ({type(error).__name__}: {error}).") from None
        self._rules = rules
        self.points = 0
        self.moved_m: list[float] = []

    def match(self, points: Records, number: IntArray, repairs: Repairs) -> tuple[Records, IntArray]:
        """Pieces (see `cleaning.pieces`) on the roads, with the corners of roads between points.

        Speed and heading are those of the new way. Points without a road in reach are left out, and legs for which no
        way is found stay straight; both are counted.
        """
        parts: list[Records] = []
        for first, stop in _runs(number):
            for part in self._reachable(points[first:stop], repairs):
                way = self._way(part, repairs)
                matched = np.empty(len(way), dtype=POINT)
                matched["vehicle"] = part["vehicle"][0]
                matched["time_ms"], matched["x"], matched["y"] = np.rint(way[:, 0]), way[:, 1], way[:, 2]
                matched["speed_mps"] = matched["heading_deg"] = np.nan
                parts.append(
                    matched[np.diff(matched["time_ms"], prepend=np.iinfo(np.int64).min // 2) > 0]
                )  # corners within a millisecond
        lengths = [len(part) for part in parts]
        return np.concatenate([np.empty(0, dtype=POINT), *parts]), np.repeat(np.arange(len(parts)), lengths)

    def __str__(self) -> str:
        moved = np.array(self.moved_m) if self.moved_m else np.zeros(1)
        return (
            f"matched: {len(self.moved_m)} of {self.points} points, moved by {moved.mean():.1f} m in the mean, "
            f"{np.quantile(moved, 0.95):.1f} m at most for 95 %"
        )

    def _reachable(self, piece: Records, repairs: Repairs) -> Iterator[Records]:
        """The rows of two or more points that have a road in reach."""
        self.points += len(piece)
        there = np.array([self._has_road(x, y) for x, y in zip(piece["x"], piece["y"], strict=True)])
        repairs.count("points without a road", int((~there).sum()))
        for first, stop in _runs(np.cumsum(np.concatenate([[0], np.diff(there) != 0]))):
            if there[first] and stop - first > 1:
                yield piece[first:stop]

    def _has_road(self, x: float, y: float) -> bool:
        edges = self._net.getNeighboringEdges(x, y, self._rules.radius_m, False)
        return any(edge.allows(self._rules.vehicle_class) for edge, _ in edges)

    def _way(self, points: Records, repairs: Repairs) -> FloatArray:
        """Times (ms) and places along the roads, a row (time, x, y) each."""
        place = np.column_stack([points["x"], points["y"]])
        moved = [0]
        for at in range(1, len(points)):
            if np.hypot(*(place[at] - place[moved[-1]])) >= self._rules.still_m:
                moved.append(at)
        if moved[-1] != len(points) - 1:
            moved = [*moved[: max(len(moved) - 1, 1)], len(points) - 1]
        lines: list[FloatArray] = []
        for first in range(0, len(moved) - 1, CHUNK - 1):
            lines += self._lines(place[moved[first : first + CHUNK]], repairs)
        legs = []
        for line, (first, last) in zip(lines, pairwise(moved), strict=True):
            leg, moved_m = _timed(line, points["time_ms"][first : last + 1], place[first : last + 1])
            self.moved_m += moved_m.tolist() if last == moved[-1] else moved_m[:-1].tolist()
            legs.append(leg)
        return np.concatenate(legs)

    def _lines(self, places: FloatArray, repairs: Repairs) -> list[FloatArray]:
        """From each place to the next: the corners (n, 2) of the way there, with its ends on the roads."""
        from sumolib.route import mapTrace

        index: list[Any] = []
        edges = mapTrace(
            [tuple(place) for place in places.tolist()],
            self._net,
            self._rules.radius_m,
            airDistFactor=self._rules.detour_scale,
            fillGaps=1e6,
            vClass=self._rules.vehicle_class,
            resultIndices=index,
        )
        if len(index) != len(places) or None in index:  # it lost the way: look for the parts that it can find
            if len(places) == 2:
                repairs.count("straight legs")
                return [places]
            half = len(places) // 2
            return self._lines(places[: half + 1], repairs) + self._lines(places[half:], repairs)
        on = [_project(edges[at], place) for at, place in zip(index, places, strict=True)]
        lines = []
        for k in range(len(places) - 1):
            line = _corners(edges[index[k] : index[k + 1] + 1], on[k], on[k + 1])
            air_m = float(np.hypot(*(places[k + 1] - places[k])))
            if line is None or _length(line) > self._rules.detour_scale * air_m + 2.0 * self._rules.radius_m:
                repairs.count("straight legs")
                line = np.array([on[k][1], on[k + 1][1]])
            lines.append(line)
        return lines


def _timed(line: FloatArray, time_ms: IntArray, places: FloatArray) -> tuple[FloatArray, FloatArray]:
    """A line as it is passed by points: at their times at the nearest places on it, and never backwards.

    Returns rows (time in ms, x, y) of points and corners, and how far each point was moved.
    """
    way = shapely.LineString(line)
    inner = shapely.line_locate_point(way, shapely.points(places[1:-1]))
    station = np.maximum.accumulate(np.concatenate([[0.0], inner, [way.length]]))
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    corners = (along > 0) & (along < way.length)
    all_m = np.concatenate([station, along[corners]])
    all_ms = np.concatenate([time_ms.astype(np.float64), np.interp(along[corners], station, time_ms)])
    on = shapely.get_coordinates(shapely.line_interpolate_point(way, all_m))
    moved_m: FloatArray = np.hypot(*(on[: len(places)] - places).T)
    return np.column_stack([all_ms, on])[np.lexsort((all_m, all_ms))], moved_m


def _runs(number: IntArray) -> Iterator[tuple[int, int]]:
    """First and stop of each row of equal numbers."""
    bounds = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(number)]
    yield from ((a, b) for a, b in pairwise(bounds) if b > a)


def _project(edge: Any, place: FloatArray) -> tuple[float, FloatArray]:
    """How far along an edge a place is, and the nearest point there."""
    shape = shapely.LineString(_shape(edge))
    offset_m = float(shape.project(shapely.Point(place)))
    return offset_m, shapely.get_coordinates(shape.interpolate(offset_m))[0]


def _corners(edges: list[Any], begin: tuple[float, FloatArray], end: tuple[float, FloatArray]) -> FloatArray | None:
    """The places at which a way along edges turns, with its two ends; None where the edges do not join.

    A point behind the last one on the same edge is taken for that one: vehicles do not drive backwards.
    """
    if any(b not in a.getOutgoing() for a, b in pairwise(edges)):
        return None
    if len(edges) == 1 and end[0] <= begin[0]:
        return np.array([begin[1], begin[1]])
    corners = [begin[1]]
    for number, edge in enumerate(edges):
        shape = _shape(edge)
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(shape, axis=0).T))])
        after = along > begin[0] if number == 0 else along >= 0
        before = along < end[0] if number == len(edges) - 1 else along >= 0
        corners += list(shape[after & before])
    return np.array([*corners, end[1]])


def _shape(edge: Any) -> FloatArray:
    return np.array([corner[:2] for corner in edge.getShape()], dtype=np.float64)


def _length(line: FloatArray) -> float:
    return float(np.hypot(*np.diff(line, axis=0).T).sum())
