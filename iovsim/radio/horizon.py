"""Walls around one antenna become its horizon: which wall is the nearest in every direction, for many lookups.

Between two neighbouring directions of walls' ends, either no wall stands or the same one is nearest throughout: seen
from the antenna, the inverse distance of a straight wall is A cos(angle) + B sin(angle), and two such waves cross at
most once in less than half a turn, so whoever is ahead at both ends is ahead between them. A point is hidden when it
lies behind the wall of its direction. That takes a binary search a point, whatever the number of buildings.

It is exact, for it answers only where rounding cannot matter, and says where it may: directions within `ANGLE_MARGIN`
of a wall's end, points within `LINE_MARGIN_M` of a wall's line, and directions in which walls cross, or point at the
antenna. There the caller asks robust geometry instead. The method is the visibility polygon of computational geometry
(de Berg et al., Computational Geometry, 3rd ed., 15.2); the margins are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from iovsim.domain import FloatArray, IntArray

CLEAR: Final = 0
HIDDEN: Final = 1
UNSURE: Final = 2

NEAR_M = 0.05
"""An antenna nearer than this to a wall that is not its own has no horizon: directions would lose too many digits."""

ANGLE_MARGIN = 1e-7
"""Radians; a thousand times the rounding of a direction to a wall's end `NEAR_M` away, 0.03 mm at 300 m."""

LINE_MARGIN_M = 1e-4

TIE = 1e-9
"""Two walls whose distances differ by less than this part are one: at 100 km no more than `LINE_MARGIN_M`."""

BLUNT = 1e-5
"""Walls that point at the antenna more closely than this (radians, about) are left to robust geometry."""

PAIRS = 2_000_000  # pairs of a wall and a direction at a time: bounds memory

NO_WALL: Final = -1
TOO_CLOSE: Final = -2


@dataclass(frozen=True, slots=True, eq=False)
class Horizon:
    """What one antenna sees. `wall[k]` is the nearest wall (or `NO_WALL`, or `TOO_CLOSE` to call) between the
    directions `angle[k]` and `angle[k + 1]`, radians from -pi to pi; walls run from (ax, ay) by (ex, ey), relative to
    the antenna, counter-clockwise around it.
    """

    angle: FloatArray  # (k + 1,)
    wall: IntArray  # (k,)
    ax_m: FloatArray  # (walls,)
    ay_m: FloatArray
    ex_m: FloatArray
    ey_m: FloatArray

    def state(self, x_m: FloatArray, y_m: FloatArray) -> NDArray[np.int8]:
        """`CLEAR`, `HIDDEN` or `UNSURE` for each point (n,), relative to the antenna."""
        direction = np.arctan2(y_m, x_m)
        k = np.minimum(np.searchsorted(self.angle, direction, side="right"), len(self.wall)) - 1
        wall = self.wall[k]
        ends = np.minimum(direction - self.angle[k], self.angle[k + 1] - direction)
        state = np.where(wall == NO_WALL, CLEAR, UNSURE).astype(np.int8)
        known = np.flatnonzero(wall >= 0)
        wall = wall[known]
        ex, ey = self.ex_m[wall], self.ey_m[wall]
        before_m = (ex * (y_m[known] - self.ay_m[wall]) - ey * (x_m[known] - self.ax_m[wall])) / np.hypot(ex, ey)
        state[known[before_m > LINE_MARGIN_M]] = CLEAR
        state[known[before_m < -LINE_MARGIN_M]] = HIDDEN
        state[ends < ANGLE_MARGIN] = UNSURE
        return state


def horizon(begin_m: FloatArray, end_m: FloatArray) -> Horizon | None:
    """The horizon among walls from `begin_m` to `end_m`, (n, 2) relative to the antenna; None closer than `NEAR_M`."""
    if len(begin_m) and _distance_m(begin_m, end_m).min() < NEAR_M:
        return None
    turn = _cross(begin_m, end_m)
    first = np.where(turn[:, None] < 0, end_m, begin_m)  # counter-clockwise around the antenna
    last = np.where(turn[:, None] < 0, begin_m, end_m)
    turn = np.abs(turn)
    wall = last - first
    from_rad, to_rad = (np.arctan2(p[:, 1], p[:, 0]) for p in (first, last))
    astray = (to_rad - from_rad) % (2.0 * np.pi) > np.pi  # a wall that points at the antenna, turned round by rounding
    from_rad, to_rad = np.where(astray, to_rad, from_rad), np.where(astray, from_rad, to_rad)
    angle = np.unique(np.concatenate([[-np.pi, np.pi], from_rad, to_rad]))
    reach_m = np.hypot(*first.T) + np.hypot(*last.T)
    blunt = turn <= BLUNT * reach_m * np.hypot(*wall.T)
    # Inverse distance in direction t: across cos t + along sin t.
    safe = np.where(blunt, 1.0, turn)
    waves = _Waves(wall[:, 1] / safe, -wall[:, 0] / safe, blunt)
    begins, ends = np.searchsorted(angle, from_rad), np.searchsorted(angle, to_rad)
    nearest = _nearest(angle, begins, ends, waves)
    return Horizon(angle, nearest, *np.ascontiguousarray(first.T), *np.ascontiguousarray(wall.T))


@dataclass(frozen=True, slots=True, eq=False)
class _Waves:
    across: FloatArray
    along: FloatArray
    blunt: NDArray[np.bool_]

    def inverse(self, wall: IntArray, angle: FloatArray) -> FloatArray:
        """1 / distance of each wall in its direction; infinite for a blunt one, which so is nearest and no use."""
        value: FloatArray = self.across[wall] * np.cos(angle) + self.along[wall] * np.sin(angle)
        return np.where(self.blunt[wall], np.inf, value)


def _nearest(angle: FloatArray, begins: IntArray, ends: IntArray, waves: _Waves) -> IntArray:
    """The wall that is nearest at both ends of each interval between directions, by number."""
    intervals = len(angle) - 1
    wraps = np.flatnonzero(ends < begins)  # across the direction -x, where angles jump
    owner = np.concatenate([np.arange(len(begins)), wraps])
    low = np.concatenate([begins, np.zeros(len(wraps), dtype=np.int64)])
    high = np.concatenate([np.where(ends < begins, intervals, ends), ends[wraps]])
    spans = np.concatenate([[0], np.cumsum(high - low)])
    parts = _parts(spans)
    best = np.zeros((2, intervals))
    for part in parts:
        wall, interval = _pairs(owner, low, spans, part)
        for side in (0, 1):
            np.maximum.at(best[side], interval, waves.inverse(wall, angle[interval + side]))
    nearest = np.where(best.max(axis=0) > 0, TOO_CLOSE, NO_WALL)
    for part in parts:
        wall, interval = _pairs(owner, low, spans, part)
        leads = ~waves.blunt[wall]
        for side in (0, 1):
            leads &= waves.inverse(wall, angle[interval + side]) >= best[side][interval] * (1.0 - TIE)
        nearest[interval[leads]] = wall[leads]
    return nearest


def _parts(spans: IntArray) -> list[slice]:
    """Cuts owners into runs of at most about `PAIRS` pairs."""
    steps = np.arange(0, spans[-1] + PAIRS, PAIRS)
    cuts = np.unique(np.minimum(np.searchsorted(spans, steps), len(spans) - 1)).tolist()
    return [slice(first, last) for first, last in pairwise(cuts)]


def _pairs(owner: IntArray, low: IntArray, spans: IntArray, part: slice) -> tuple[IntArray, IntArray]:
    """Walls and the intervals that they cover, one entry a pair."""
    length = np.diff(spans[part.start : part.stop + 1])
    at = np.arange(spans[part.start], spans[part.stop]) - np.repeat(spans[part], length)
    return np.repeat(owner[part], length), np.repeat(low[part], length) + at


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    product: FloatArray = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return product


def _distance_m(begin_m: FloatArray, end_m: FloatArray) -> FloatArray:
    """Distance of the origin from each wall."""
    wall = end_m - begin_m
    length2 = (wall * wall).sum(axis=1)
    along = np.clip(-(begin_m * wall).sum(axis=1) / np.where(length2 > 0, length2, 1.0), 0.0, 1.0)
    nearest_m = begin_m + along[:, None] * wall
    distance_m: FloatArray = np.hypot(nearest_m[:, 0], nearest_m[:, 1])
    return distance_m
