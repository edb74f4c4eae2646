"""Turns building outlines into an answer to "does a building stand between these points?", for many pairs at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from iovsim.domain import FloatArray
from iovsim.errors import ScenarioError

CHUNK = 50_000  # segments a query: bounds the memory of the candidate pairs


class Buildings:
    """Outlines in an R-tree. Buildings are as high as needed to block: with antennas at 5 m and below, all are.

    `polygons` are outer rings, (n, 2) in metres, open or closed, n >= 3. A ring that crosses itself is repaired
    (`shapely.make_valid`). Raises `ScenarioError` for a ring of another shape or with numbers that are not finite.
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

    def __len__(self) -> int:
        return len(self._shapes)

    def blocked(self, x0_m: FloatArray, y0_m: FloatArray, x1_m: FloatArray, y1_m: FloatArray) -> NDArray[np.bool_]:
        """For each segment from an RSU (x0, y0) to a vehicle (x1, y1), all (n,): whether it meets a building.

        Touching an outline counts. A building that the RSU itself lies in does not: the RSU is mounted on it (ours;
        maps often draw a building over the street corner that carries the mast).
        """
        result = np.zeros(len(x0_m), dtype=np.bool_)
        for start in range(0, len(x0_m), CHUNK):
            part = slice(start, start + CHUNK)
            result[part] = self._blocked(np.c_[x0_m[part], y0_m[part]], np.c_[x1_m[part], y1_m[part]])
        return result

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
