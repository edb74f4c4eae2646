"""Traffic becomes sites that together cover most of it: maximum coverage, greedily.

Choosing k of n places so that the weight of what they cover is greatest is NP-hard. Taking at each step the place that
adds most gives at least 1 - (1 - 1/k)^k >= 1 - 1/e = 63 % of the best (Nemhauser, Wolsey and Fisher, Mathematical
Programming 14, 1978); unless P = NP no polynomial algorithm guarantees more (Feige, Journal of the ACM 45(4), 1998).
What a place adds only falls as others are taken, so a bound worked out earlier holds, and most places need not be
looked at again (lazy evaluation: Minoux, Optimization Techniques, Springer 1978).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from iovsim.domain import FloatArray, IntArray
from iovsim.errors import ScenarioError
from iovsim.mobility.placement.sites import Place, check_count, crossings, far_enough
from iovsim.mobility.placement.traffic import Traffic
from iovsim.mobility.roadmap import RoadMap

Blocked = Callable[[FloatArray, FloatArray, FloatArray, FloatArray], NDArray[np.bool_]]
"""Whether a building stands between (x, y) and (x, y), for arrays (n,)."""


def covering(
    roadmap: RoadMap, traffic: Traffic, range_m: float, count: int, spacing_m: float, blocked: Blocked | None = None
) -> list[Place]:
    """Junctions, that which adds most first; a cell is covered whose traffic is within `range_m`, and not `blocked`.

    A `spacing_m` above 0 is kept, but then the guarantee is lost. Raises `ScenarioError` where fewer than `count`
    junctions add anything: the rest would stand idle.
    """
    kind = "coverage" if blocked is None else "sight"
    places = [(junction.x_m, junction.y_m) for junction in crossings(roadmap)]
    check_count(kind, len(places), None, spacing_m)
    cells = cKDTree(traffic.place_m)
    covers = [np.array(cells.query_ball_point(place, range_m), dtype=np.int64) for place in places]
    if blocked is not None:
        covers = [
            seen[~_hidden(place, traffic.place_m[seen], blocked)] for place, seen in zip(places, covers, strict=True)
        ]
    chosen = greedy(covers, traffic.vehicle_s, count, places, spacing_m)
    if len(chosen) < count:
        raise ScenarioError(
            f"RSU placement {kind!r}: with {len(chosen)} RSUs at least {spacing_m:g} m apart no junction covers any "
            f"more traffic, and {count} are wanted; lower count or spacing_m."
        )
    return [places[k] for k in chosen]


def _hidden(place: Place, cells_m: FloatArray, blocked: Blocked) -> NDArray[np.bool_]:
    x_m, y_m = (np.full(len(cells_m), value) for value in place)
    return blocked(x_m, y_m, cells_m[:, 0], cells_m[:, 1])


def greedy(
    covers: Sequence[IntArray], weight: FloatArray, count: int, places: Sequence[Place], spacing_m: float = 0.0
) -> list[int]:
    """Which of the sets `covers` of numbers of weights to take, at most `count`, in the order in which they are taken.

    Ties go to the first; a set that adds nothing is not taken, nor one whose place is too near one taken.
    """
    left = weight.copy()
    bounds = [(-float(left[found].sum()), k) for k, found in enumerate(covers)]
    heapq.heapify(bounds)
    chosen: list[int] = []
    while bounds and len(chosen) < count:
        k = heapq.heappop(bounds)[1]
        gain = float(left[covers[k]].sum())
        if gain <= 0.0 or not all(far_enough(places[k], places[other], spacing_m) for other in chosen):
            continue
        if bounds and (-gain, k) > bounds[0]:
            heapq.heappush(bounds, (-gain, k))
            continue
        chosen.append(k)
        left[covers[k]] = 0.0
    return chosen
