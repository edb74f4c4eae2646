"""A trace becomes what RSUs are planned for: how long vehicles were where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from iovsim.domain import FloatArray
from iovsim.errors import ScenarioError
from iovsim.mobility.trace import Trace

CELL_M = 25.0


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """Vehicle time by square cell: (n, 2) where vehicles were in it on average, and for how long together, (n,).

    An average position lies on or near a road, as the middle of a cell need not. `seed` names the randomness of ways to
    place RSUs that need some.
    """

    place_m: FloatArray
    vehicle_s: FloatArray
    seed: int = 0


def traffic_of(trace: Trace, seed: int, *, start_s: float, end_s: float) -> Traffic:
    """The traffic of a trace in `[start_s, end_s)`, in cells of `CELL_M`. Raises `ScenarioError` if there is none."""
    cells = np.zeros((0, 2), dtype=np.int64)
    sums = np.zeros((0, 3))  # samples, and their east and north coordinates
    for window in trace.windows(begin_s=start_s, end_s=end_s):
        place_m = np.column_stack([window.x_m, window.y_m])
        new = np.column_stack([np.ones(len(place_m)), place_m])
        joined = np.concatenate([cells, np.floor(place_m / CELL_M).astype(np.int64)])
        values = np.concatenate([sums, new])
        cells, owner = np.unique(joined, axis=0, return_inverse=True)
        sums = np.stack(
            [np.bincount(owner.ravel(), weights=column, minlength=len(cells)) for column in values.T], axis=1
        )
    if not len(cells):
        raise ScenarioError(
            f"{trace.path}: no vehicle drives from {start_s:g} s to {end_s:g} s, so no RSU can be planned for it; name "
            f"traffic of that time."
        )
    return Traffic(sums[:, 1:] / sums[:, :1], sums[:, 0] * trace.step_s, seed)
