"""Turns steps of straight vehicle motion into the exact instants at which vehicles change their RSU.

The rules, with hysteresis h (ours; the margin plays the part of the A3 offset of 3GPP TS 36.331, in metres):

* a free vehicle attaches to the RSU whose coverage it enters first, at distance == range; where it is inside several
  at once (it has just appeared, or has just left another), to the nearest;
* it leaves at distance == range + h;
* it is handed over from i to j once it is inside j's range and lies h beyond the perpendicular bisector towards j:
  d_i^2 - d_j^2 >= 2 |c_i - c_j| h. Both sides' difference is linear in the position, hence in time on a segment.

A crossing of a circle is the root of a quadratic, one of a bisector the root of a line: no sampling error in either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from iovsim.domain import FloatArray, IntArray, Rsu
from iovsim.mobility.coverage import FREE, Coverage

BISECTOR_TOLERANCE_M = 1e-6
"""How far beyond the margin a vehicle must lie to be handed over while it does not move towards the new RSU; larger
than rounding (1e-9 m at coordinates of 10^6 m), so that a handover is not undone at the same instant."""


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Straight motion over n steps of vehicles: position(s) = (x0, y0) + s (dx, dy), `begin <= s <= end`."""

    x0_m: FloatArray
    y0_m: FloatArray
    dx_m: FloatArray
    dy_m: FloatArray
    begin: FloatArray
    end: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """Vehicles (indices into the segments, unique) that change to RSU `rsu` (-1: to none) at parameter `s`."""

    segment: IntArray
    s: FloatArray
    rsu: IntArray

    def of(self, which: IntArray) -> Changes:
        return Changes(self.segment[which], self.s[which], self.rsu[which])

    def in_order(self) -> Changes:
        """By segment."""
        return self.of(np.argsort(self.segment))


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Segments and the RSUs whose coverage they meet, inside for `enter <= s <= leave`; sorted by segment, RSU.

    `beyond_m` is how far beyond the margin towards the RSU the vehicle is at s = 0, as seen from the one it is attached
    to; it grows by `pace_m` over the step.
    """

    segment: IntArray
    rsu: IntArray
    enter: FloatArray
    leave: FloatArray
    beyond_m: FloatArray
    pace_m: FloatArray


class Attachment:
    """The coverage of a set of RSUs and the attachment rules over it. Holds no state of any vehicle.

    There must be an RSU. Segments longer than `stride_m` cost more, and are solved as exactly.
    """

    def __init__(self, rsus: Sequence[Rsu], hysteresis_m: float, stride_m: float) -> None:
        self.x_m = np.array([rsu.x_m for rsu in rsus], dtype=np.float64)
        self.y_m = np.array([rsu.y_m for rsu in rsus], dtype=np.float64)
        self.range_m = np.array([rsu.range_m for rsu in rsus], dtype=np.float64)
        self.hysteresis_m = hysteresis_m
        self.stride_m = stride_m
        self.coverage = Coverage(self.x_m, self.y_m, self.range_m, hysteresis_m, stride_m)

    def first(self, segments: Segments, attached: IntArray) -> Changes:
        """The first change on each segment that has one, for a vehicle whose RSU at its begin is `attached` (n,).

        A segment that begins anew where it changed is looked at from there on; every change but the last of a run at
        one instant moves on in time or strictly nearer, so that there are never more than `most_changes` of them.
        """
        pairs = self._pairs(segments, attached)
        taken = self._takeovers(segments, pairs, attached)
        left = self._departures(segments, attached)
        takeover_s = np.full(len(attached), np.inf)
        takeover_s[taken.segment] = taken.s
        departure_s = np.full(len(attached), np.inf)
        departure_s[left.segment] = left.s
        first = takeover_s[taken.segment] <= departure_s[taken.segment]  # of two at once, the handover
        gone = departure_s[left.segment] < takeover_s[left.segment]
        return Changes(
            np.concatenate([taken.segment[first], left.segment[gone]]),
            np.concatenate([taken.s[first], left.s[gone]]),
            np.concatenate([taken.rsu[first], left.rsu[gone]]),
        )

    @property
    def most_changes(self) -> int:
        """On one segment: it meets each RSU at most once, and each pair's bisector at most twice."""
        return 4 * len(self.x_m) ** 2 + 8

    def _pairs(self, segments: Segments, attached: IntArray) -> _Pairs:
        """Segments and RSUs that they come into range of and that may take them, sorted by segment, RSU."""
        segment, rsu = self.coverage.near(
            self.coverage.cells(segments.x0_m + segments.dx_m, segments.y0_m + segments.dy_m)
        )
        far = np.hypot(segments.dx_m, segments.dy_m) > self.stride_m
        if far.any():
            long, keep = np.flatnonzero(far), ~far[segment]
            segment = np.concatenate([segment[keep], np.repeat(long, len(self.x_m))])
            rsu = np.concatenate([rsu[keep], np.tile(np.arange(len(self.x_m)), len(long))])
            order = np.argsort(segment, kind="stable")
            segment, rsu = segment[order], rsu[order]
        holder = attached[segment]
        held = holder != FREE
        other = np.where(held, holder, 0)
        ux, uy = self.x_m[rsu] - self.x_m[other], self.y_m[rsu] - self.y_m[other]
        apart = np.hypot(ux, uy)
        scale = np.where(apart > 0, apart, 1.0)
        ux, uy = ux / scale, uy / scale
        beyond_m = (
            (segments.x0_m[segment] - 0.5 * (self.x_m[rsu] + self.x_m[other])) * ux
            + (segments.y0_m[segment] - 0.5 * (self.y_m[rsu] + self.y_m[other])) * uy
            - self.hysteresis_m
        )
        pace_m = segments.dx_m[segment] * ux + segments.dy_m[segment] * uy
        may = ~held | ((apart > 0) & (np.maximum(beyond_m, beyond_m + pace_m) > -BISECTOR_TOLERANCE_M))
        segment, rsu, beyond_m, pace_m = segment[may], rsu[may], beyond_m[may], pace_m[may]
        enter, leave = self._inside(segments, segment, rsu, self.range_m[rsu])
        keep = (leave > segments.begin[segment]) & (enter < segments.end[segment])
        return _Pairs(segment[keep], rsu[keep], enter[keep], leave[keep], beyond_m[keep], pace_m[keep])

    def _inside(
        self, segments: Segments, segment: IntArray, rsu: IntArray, radius_m: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Where |position(s) - c| <= radius: from s, to s. Never: (inf, -inf); standing inside: (-inf, inf)."""
        qx, qy = segments.x0_m[segment] - self.x_m[rsu], segments.y0_m[segment] - self.y_m[rsu]
        ex, ey = segments.dx_m[segment], segments.dy_m[segment]
        a, b, cross = ex * ex + ey * ey, qx * ex + qy * ey, qx * ey - qy * ex
        # b^2 - a c with c = q^2 - R^2, by Lagrange's identity: no cancellation where the line grazes the circle
        discriminant = a * radius_m**2 - cross * cross
        moving = a > 0
        meets = np.where(moving, discriminant >= 0, qx * qx + qy * qy <= radius_m**2)
        root = np.sqrt(np.maximum(discriminant, 0.0))
        safe = np.where(moving, a, 1.0)
        enter = np.where(moving, (-b - root) / safe, -np.inf)
        leave = np.where(moving, (-b + root) / safe, np.inf)
        return np.where(meets, enter, np.inf), np.where(meets, leave, -np.inf)

    def _departures(self, segments: Segments, attached: IntArray) -> Changes:
        """Attached vehicles that come to distance == range + hysteresis."""
        held = np.flatnonzero(attached != FREE)
        rsu = attached[held]
        _, leave = self._inside(segments, held, rsu, self.range_m[rsu] + self.hysteresis_m)
        leave = np.maximum(leave, segments.begin[held])
        out = leave <= segments.end[held]
        return Changes(held[out], leave[out], np.full(int(out.sum()), FREE, dtype=np.int64))

    def _takeovers(self, segments: Segments, pairs: _Pairs, attached: IntArray) -> Changes:
        """Vehicles that an RSU takes: free ones that are inside its range, attached ones by the rule of handover."""
        held = attached[pairs.segment] != FREE
        from_s = np.maximum(pairs.enter, segments.begin[pairs.segment])
        towards = pairs.pace_m > 1e-12
        crossing = np.maximum(from_s, -pairs.beyond_m / np.where(towards, pairs.pace_m, 1.0))
        met = towards | (pairs.beyond_m + pairs.pace_m * from_s > BISECTOR_TOLERANCE_M)
        s = np.where(held & towards, crossing, from_s)
        valid = (s < pairs.leave) & (s < segments.end[pairs.segment]) & (~held | met)
        segment, rsu, s = pairs.segment[valid], pairs.rsu[valid], s[valid]
        ex, ey = segments.dx_m[segment], segments.dy_m[segment]
        distance_m = np.hypot(
            segments.x0_m[segment] + s * ex - self.x_m[rsu], segments.y0_m[segment] + s * ey - self.y_m[rsu]
        )
        order = np.lexsort((rsu, distance_m, s, segment))
        segment, rsu, s = segment[order], rsu[order], s[order]
        head = np.flatnonzero(np.diff(segment, prepend=-1))
        return Changes(segment[head], s[head], rsu[head])
