"""Turns building outlines into an answer to "does a building stand between these points?", for many pairs at once.

The answer is that of exact geometry, by one of two ways: pairs from an antenna with many of them go by its horizon
(`horizon.py`); all others, and the few that a horizon leaves open, by an R-tree of the outlines and robust predicates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from iovsim.domain import FloatArray, IntArray
from iovsim.errors import ScenarioError
from iovsim.radio.horizon import HIDDEN, UNSURE, Horizon, horizon

CHUNK = 50_000  # segments a query: bounds the memory of the candidate pairs

MANY = 500
"""From how many points on an antenna gets a horizon: making one costs about as much as so many queries."""

KEPT = 1000  # horizons at most, about 100 kB each; more than that begin anew

SPARE = 1.1  # a horizon reaches so much farther than asked, that a point a little beyond makes no new one


class Buildings:
    """Outlines in an R-tree. Buildings are as high as needed to block: with antennas at 5 m and below, all are.

    `polygons` are outer rings, (n, 2) in metres, open or closed, n >= 3. A ring that crosses or touches itself is
    repaired (`shapely.make_valid`); what is left of one without area, a line or a point, blocks as a wall does.
    Raises `ScenarioError` for a ring of another shape or with numbers that are not finite.
    """

    def __init__(self, polygons: Sequence[FloatArray]) -> None:
        rings = [np.asarray(p, dtype=np.float64) for p in polygons]
        for i, ring in enumerate(rings):
            if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 3:
                raise ScenarioError(
                    f"building {i}: an outline of shape {ring.shape}; it must be a list of at least 3 points (x, y)."
                )
            if not np.isfinite(ring).all():
                raise ScenarioError(f"building {i}: its outline holds a number that is not finite; correct or drop it.")
        self._shapes = np.array([shapely.make_valid(shapely.Polygon(ring)) for ring in rings], dtype=object)
        self._tree = shapely.STRtree(self._shapes)
        shapely.prepare(self._shapes)
        self._horizons: dict[tuple[float, float], tuple[float, Horizon | None]] = {}

    def __len__(self) -> int:
        return len(self._shapes)

    def blocked(self, x0_m: FloatArray, y0_m: FloatArray, x1_m: FloatArray, y1_m: FloatArray) -> NDArray[np.bool_]:
        """For each segment from an RSU (x0, y0) to a vehicle (x1, y1), all (n,): whether it meets a building.

        Touching an outline counts, and so does a vehicle inside one: outlines have no height, so a road under a bridge
        that the map draws as a building lies behind its walls. A building that the RSU itself lies in, or on the wall
        of, does not count: the RSU is mounted on it (ours; maps often draw a building over the street corner that
        carries the mast).
        """
        result = np.zeros(len(x0_m), dtype=np.bool_)
        if len(self) == 0:
            return result
        open_ = np.ones(len(x0_m), dtype=np.bool_)
        for (x_m, y_m), points in _antennas(x0_m, y0_m):
            dx_m, dy_m = x1_m[points] - x_m, y1_m[points] - y_m
            seen = self._horizon(x_m, y_m, float(np.hypot(dx_m, dy_m).max()))
            if seen is not None:
                state = seen.state(dx_m, dy_m)
                result[points] = state == HIDDEN
                open_[points] = state == UNSURE
        left = np.flatnonzero(open_)
        for start in range(0, len(left), CHUNK):
            part = left[start : start + CHUNK]
            result[part] = self._blocked(np.c_[x0_m[part], y0_m[part]], np.c_[x1_m[part], y1_m[part]])
        return result

    def _horizon(self, x_m: float, y_m: float, reach_m: float) -> Horizon | None:
        """The horizon of an antenna as far as `reach_m`, from what is kept; None where it stands too near a wall."""
        kept_m, seen = self._horizons.get((x_m, y_m), (-1.0, None))
        if kept_m < reach_m:
            kept_m = SPARE * reach_m
            near = self._tree.query(shapely.box(x_m - kept_m, y_m - kept_m, x_m + kept_m, y_m + kept_m))
            mounted = self._tree.query(shapely.Point(x_m, y_m), predicate="intersects")
            walls = _walls(self._shapes[np.setdiff1d(near, mounted)]) - [x_m, y_m]
            seen = horizon(walls[:, 0], walls[:, 1])
            if len(self._horizons) >= KEPT:
                self._horizons.clear()
            self._horizons[x_m, y_m] = kept_m, seen
        return seen

    def _blocked(self, rsu: FloatArray, vehicle: FloatArray) -> NDArray[np.bool_]:
        lines = np.asarray(shapely.linestrings(np.stack([rsu, vehicle], axis=1)))
        # Candidates by bounding box first, then prepared outlines: about twice as fast as the tree's own predicate.
        segment, building = self._tree.query(lines)
        meets = np.flatnonzero(shapely.intersects(self._shapes[building], lines[segment]))
        segment, building = segment[meets], building[meets]
        result = np.zeros(len(rsu), dtype=np.bool_)
        result[segment[~self._mounted(rsu, segment, building)]] = True
        return result

    def _mounted(self, rsu: FloatArray, segment: NDArray[np.int64], building: NDArray[np.int64]) -> NDArray[np.bool_]:
        """For each (segment, building) pair, whether the segment's RSU lies in that building."""
        sites, site = np.unique(rsu, axis=0, return_inverse=True)
        at, carrier = self._tree.query(shapely.points(sites), predicate="intersects")
        pair = site[segment] * len(self) + building
        return np.isin(pair, at * len(self) + carrier)


def _antennas(x_m: FloatArray, y_m: FloatArray) -> Iterator[tuple[tuple[float, float], IntArray]]:
    """The places that occur at least `MANY` times, each with where it occurs."""
    if len(x_m) == 0:
        return
    first = np.flatnonzero((np.diff(x_m, prepend=np.nan) != 0) | (np.diff(y_m, prepend=np.nan) != 0))  # of equal runs
    lengths = np.diff(first, append=len(x_m))
    places, place = np.unique(np.c_[x_m[first], y_m[first]], axis=0, return_inverse=True)
    counts = np.bincount(place.ravel(), weights=lengths).astype(np.int64)
    points = np.argsort(np.repeat(place.ravel(), lengths), kind="stable")
    ends = np.cumsum(counts)
    for k in np.flatnonzero(counts >= MANY).tolist():
        yield (float(places[k, 0]), float(places[k, 1])), points[ends[k] - counts[k] : ends[k]]


def _walls(shapes: NDArray[np.object_]) -> FloatArray:
    """All straight pieces of the outlines, (walls, 2 ends, 2); a point is a wall without length."""
    parts = shapely.get_parts(shapely.get_parts(shapes))  # twice: a repaired ring may be a collection of collections
    flat = parts[shapely.get_dimensions(parts) < 2]
    lines = np.concatenate([shapely.get_rings(parts[shapely.get_dimensions(parts) == 2]), flat])
    corners, line = shapely.get_coordinates(lines, return_index=True)
    joined = np.flatnonzero(np.diff(line) == 0)
    walls = np.stack([corners[joined], corners[joined + 1]], axis=1)
    points = shapely.get_coordinates(flat[shapely.get_dimensions(flat) == 0])
    return np.concatenate([walls, np.stack([points, points], axis=1)])
