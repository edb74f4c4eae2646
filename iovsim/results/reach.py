"""Tables of a world become what its RSUs are worth, whatever a policy does with them. The definitions are ours.

A number is None where there is nothing to measure, such as a contact's length without contacts.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from iovsim.domain import ContactEnd, FloatArray, IntArray


def connected_share(connectivity: pd.DataFrame) -> float | None:
    """The share of all vehicles' time on the road in which they are attached to an RSU."""
    vehicles = float(connectivity["vehicles"].sum())
    return float(connectivity["connected"].sum()) / vehicles if vehicles > 0 else None


def seen_share(contacts: pd.DataFrame, connectivity: pd.DataFrame) -> float | None:
    """The share of all vehicles' time on the road in which an RSU has them and no building stands between."""
    hours = vehicle_h(connectivity)
    seen_s = (contacts["end_s"] - contacts["start_s"]) * (1.0 - contacts["nlos_share"])
    return float(seen_s.sum()) / (3600.0 * hours) if hours > 0 else None


def vehicle_h(connectivity: pd.DataFrame) -> float:
    """Hours that vehicles spent on the road, summed; 0 from fewer than two instants."""
    step_s = np.diff(connectivity["time_s"].to_numpy(dtype=np.float64))
    return float(connectivity["vehicles"].sum() * step_s.min()) / 3600.0 if len(step_s) else 0.0


def contact_s(contacts: pd.DataFrame) -> float | None:
    """The mean length of a contact; those that the end of the trace cuts count as long as they were seen."""
    return float((contacts["end_s"] - contacts["start_s"]).mean()) if len(contacts) else None


def handovers_per_vehicle_h(contacts: pd.DataFrame, connectivity: pd.DataFrame) -> float | None:
    """How often in an hour on the road another RSU takes a vehicle over, without a gap."""
    hours = vehicle_h(connectivity)
    return float((contacts["end"] == str(ContactEnd.HANDOVER)).sum()) / hours if hours > 0 else None


def covered_road_share(rsus: pd.DataFrame, shapes: pd.DataFrame) -> float | None:
    """The share of the length of all roads, every direction by itself, that lies within range of an RSU.

    Exact: the parts of each straight piece that lie in a circle follow from a quadratic, and their union from sorting.
    """
    roads = shapes[shapes["kind"] == "road"].sort_values(["shape", "point"], kind="stable")
    x_m, y_m = (roads[name].to_numpy(dtype=np.float64) for name in ("x_m", "y_m"))
    joined = np.flatnonzero(np.diff(roads["shape"].to_numpy()) == 0)
    dx_m, dy_m = x_m[joined + 1] - x_m[joined], y_m[joined + 1] - y_m[joined]
    length_m = np.hypot(dx_m, dy_m)
    whole = length_m > 0
    start, step = np.c_[x_m[joined], y_m[joined]][whole], np.c_[dx_m, dy_m][whole]
    length_m = length_m[whole]
    if not len(length_m):
        return None
    none = np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0)
    circles = rsus[["x_m", "y_m", "range_m"]].to_numpy(dtype=np.float64)
    # One RSU at a time: pieces times RSUs would not fit into memory.
    parts = [none, *(_inside(start - circle[:2], step, float(circle[2])) for circle in circles)]
    piece, begin, end = (np.concatenate(column) for column in zip(*parts, strict=True))
    return float((_union(piece, begin, end, len(length_m)) * length_m).sum() / length_m.sum())


def _inside(start_m: FloatArray, step_m: FloatArray, radius_m: float) -> tuple[IntArray, FloatArray, FloatArray]:
    """The pieces that meet the circle about the origin, and from which part of their length (0 to 1) to which."""
    a, b = (step_m * step_m).sum(axis=1), (start_m * step_m).sum(axis=1)
    discriminant = b * b - a * ((start_m * start_m).sum(axis=1) - radius_m**2)
    root = np.sqrt(np.maximum(discriminant, 0.0))
    begin, end = np.maximum((-b - root) / a, 0.0), np.minimum((-b + root) / a, 1.0)
    meets = np.flatnonzero((discriminant > 0) & (begin < end)).astype(np.int64)
    return meets, begin[meets], end[meets]


def _union(piece: IntArray, begin: FloatArray, end: FloatArray, pieces: int) -> FloatArray:
    """By piece, how much of 0 to 1 its intervals cover together."""
    order = np.lexsort((begin, piece))
    piece, begin, end = piece[order], begin[order], end[order]
    shift = 2.0 * piece  # pieces one after another on one line, with gaps between
    reached = np.maximum.accumulate(np.concatenate([[-np.inf], end + shift]))[:-1]
    new = np.maximum(end + shift - np.maximum(begin + shift, reached), 0.0)
    return np.bincount(piece, weights=new, minlength=pieces).astype(np.float64)
