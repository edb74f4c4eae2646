"""A grid of square cells over the RSUs' coverage says where a vehicle's RSU cannot change, and which RSUs come near.

Where both ends of a segment lie in cells that are quiet for the vehicle's RSU, nothing happens on it, and nothing needs
to be computed. What is left is solved exactly elsewhere: the grid decides what is looked at, never what is found.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from iovsim.domain import FloatArray, IntArray

FREE = -1
NOBODY = -2

CELLS_A_RANGE = 16
"""Cells along the median range: fewer leave more segments to solve, more make the table large."""

MOST_CELLS = 4_000_000

KEPT = 2
"""RSUs that a cell is known to be quiet for; more than two hold only in the margin of hysteresis among three."""

SLACK_M = 1e-3
"""By which a cell must keep away from a boundary to be quiet: far above rounding, far below any cell."""


class Coverage:
    """Cells over RSUs at `(x_m, y_m)`, for segments no longer than `stride_m`. Read-only."""

    def __init__(
        self, x_m: FloatArray, y_m: FloatArray, range_m: FloatArray, hysteresis_m: float, stride_m: float
    ) -> None:
        reach_m = float(range_m.max()) + hysteresis_m + stride_m + SLACK_M
        self.x0_m, self.y0_m = float(x_m.min()) - reach_m, float(y_m.min()) - reach_m
        width_m, height_m = float(x_m.max()) + reach_m - self.x0_m, float(y_m.max()) + reach_m - self.y0_m
        self.cell_m = max(float(np.median(range_m)) / CELLS_A_RANGE, float(np.sqrt(width_m * height_m / MOST_CELLS)))
        # one cell more on each side: positions beyond the grid belong to its edge, where nobody is near
        self.x0_m, self.y0_m = self.x0_m - self.cell_m, self.y0_m - self.cell_m
        self.columns, self.rows = int(width_m / self.cell_m) + 3, int(height_m / self.cell_m) + 3
        cell, rsu = self._near(x_m, y_m, range_m + hysteresis_m + stride_m + SLACK_M)
        self.first = np.searchsorted(cell, np.arange(self.columns * self.rows + 1))
        self.rsu = rsu
        self.quiet = self._quiet(cell, x_m, y_m, range_m, hysteresis_m, stride_m)

    def cells(self, x_m: FloatArray, y_m: FloatArray) -> NDArray[np.int32]:
        """The number of the cell that holds each position, or of the one at the edge that is nearest."""
        column = np.clip((x_m - self.x0_m) * (1.0 / self.cell_m), 0, self.columns - 1).astype(np.int32)
        row = np.clip((y_m - self.y0_m) * (1.0 / self.cell_m), 0, self.rows - 1).astype(np.int32)
        cells: NDArray[np.int32] = row * np.int32(self.columns) + column
        return cells

    def is_quiet(self, cell: NDArray[np.int32], rsu: IntArray | NDArray[np.int32]) -> NDArray[np.bool_]:
        """Whether the cell is quiet for a vehicle whose RSU is `rsu` (`FREE`: none)."""
        found: NDArray[np.bool_] = self.quiet[0][cell] == rsu
        for quiet in self.quiet[1:]:
            found |= quiet[cell] == rsu
        return found

    def near(self, cell: NDArray[np.int32]) -> tuple[IntArray, IntArray]:
        """(entry of `cell`, RSU) of every RSU that a segment which ends in the cell may meet, sorted."""
        count = self.first[cell + 1] - self.first[cell]
        owner = np.repeat(np.arange(len(cell)), count)
        offset = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
        return owner, self.rsu[self.first[cell][owner] + offset]

    def _near(self, x_m: FloatArray, y_m: FloatArray, reach_m: FloatArray) -> tuple[IntArray, IntArray]:
        """(cell, RSU) of every RSU whose disc of `reach_m` meets the cell, sorted by cell, then RSU."""
        cells, rsus = [], []
        for rsu in range(len(x_m)):
            low_x, high_x = self._span(x_m[rsu] - self.x0_m, reach_m[rsu], self.columns)
            low_y, high_y = self._span(y_m[rsu] - self.y0_m, reach_m[rsu], self.rows)
            column, row = np.arange(low_x, high_x), np.arange(low_y, high_y)
            dx = _gap(self.x0_m + column * self.cell_m - x_m[rsu], self.cell_m)
            dy = _gap(self.y0_m + row * self.cell_m - y_m[rsu], self.cell_m)
            inside = np.hypot(dx[None, :], dy[:, None]) <= reach_m[rsu]
            found = (row[:, None] * self.columns + column[None, :])[inside]
            cells.append(found)
            rsus.append(np.full(len(found), rsu, dtype=np.int64))
        cell, rsu_of = np.concatenate(cells), np.concatenate(rsus)
        order = np.lexsort((rsu_of, cell))
        return cell[order], rsu_of[order]

    def _span(self, centre_m: float, reach_m: float, count: int) -> tuple[int, int]:
        low, high = int((centre_m - reach_m) / self.cell_m) - 1, int((centre_m + reach_m) / self.cell_m) + 2
        return max(low, 0), min(high, count)

    def _quiet(
        self,
        cell: IntArray,
        x_m: FloatArray,
        y_m: FloatArray,
        range_m: FloatArray,
        hysteresis_m: float,
        stride_m: float,
    ) -> tuple[NDArray[np.int32], ...]:
        """By cell the RSUs for which it is quiet.

        A segment stays where both its ends are inside RSU i's disc of range + hysteresis and, of every other RSU j that
        it may meet, on i's side of the shifted bisector: both sets are convex. One without RSU stays without where both
        ends keep half a stride away from all discs.
        """
        quiet = tuple(np.full(self.columns * self.rows, NOBODY, dtype=np.int32) for _ in range(KEPT))
        quiet[0][np.diff(self.first) == 0] = FREE
        if len(cell) == 0:
            return quiet
        left = self.x0_m + (cell % self.columns).astype(np.float64) * self.cell_m
        low = self.y0_m + (cell // self.columns).astype(np.float64) * self.cell_m
        rsu = self.rsu
        far = np.zeros(len(cell))
        for x, y in self._corners(left, low):
            far = np.maximum(far, np.hypot(x - x_m[rsu], y - y_m[rsu]))
        near = np.hypot(_gap(left - x_m[rsu], self.cell_m), _gap(low - y_m[rsu], self.cell_m))
        inside = far <= range_m[rsu] + hysteresis_m - SLACK_M
        # pairs (i, j) of two RSUs near one cell, i's disc around all of it
        count = np.diff(self.first)[cell[inside]]
        one = np.repeat(np.flatnonzero(inside), count)
        other = np.arange(len(one)) - np.repeat(np.cumsum(count) - count, count) + self.first[cell[one]]
        apart = one != other
        one, other = one[apart], other[apart]
        ux, uy = x_m[rsu[other]] - x_m[rsu[one]], y_m[rsu[other]] - y_m[rsu[one]]
        apart_m = np.hypot(ux, uy)
        middle_x, middle_y = 0.5 * (x_m[rsu[other]] + x_m[rsu[one]]), 0.5 * (y_m[rsu[other]] + y_m[rsu[one]])
        loud = np.zeros(len(one), dtype=np.bool_)
        for x, y in self._corners(left[one], low[one]):
            loud |= (x - middle_x) * ux + (y - middle_y) * uy > (hysteresis_m - SLACK_M) * apart_m
        inside[one[loud & (apart_m > 0)]] = False
        held = np.flatnonzero(inside)
        place = np.arange(len(held)) - np.searchsorted(cell[held], cell[held])
        for slot in range(KEPT):
            entries = held[place == slot]
            quiet[slot][cell[entries]] = rsu[entries]
        reached = np.zeros(self.columns * self.rows, dtype=np.bool_)
        reached[cell[near <= range_m[rsu] + 0.5 * stride_m + SLACK_M]] = True
        quiet[0][~reached & (quiet[0] == NOBODY)] = FREE
        return quiet

    def _corners(self, left: FloatArray, low: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
        right, high = left + self.cell_m, low + self.cell_m
        return [(left, low), (right, low), (left, high), (right, high)]


def _gap(low_m: FloatArray, length_m: float) -> FloatArray:
    """Distance from 0 to the interval from `low_m` on, `length_m` long."""
    return np.maximum(np.maximum(low_m, -(low_m + length_m)), 0.0)
