"""Turns prisms and rods in space into a drawing in layers, as they look from behind and from the side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from iovsim.learning.generated.drawings import Kind, Point, Stroke, area, disk, line
from iovsim.learning.generated.layers import Layered

Point3 = tuple[float, float, float]  # metres: forward, to the left, up
MARGIN = 0.92  # what is drawn reaches this far from the middle of the square from -1 to 1


@dataclass(frozen=True, slots=True)
class View:
    """A far camera: yaw 0 looks at the rear, pi / 2 at the right-hand side; `pitch_rad` is how far it looks down."""

    yaw_rad: float
    pitch_rad: float

    def depth(self, point: Point3) -> float:
        x, y, z = point
        flat = x * math.cos(self.yaw_rad) + y * math.sin(self.yaw_rad)
        return flat * math.cos(self.pitch_rad) - z * math.sin(self.pitch_rad)

    def seen_at(self, point: Point3) -> Point:
        """Where a point appears, in metres to the right and down (orthographic projection)."""
        x, y, z = point
        ahead = x * math.cos(self.yaw_rad) + y * math.sin(self.yaw_rad)
        across = x * math.sin(self.yaw_rad) - y * math.cos(self.yaw_rad)
        return across, -z * math.cos(self.pitch_rad) - ahead * math.sin(self.pitch_rad)


@dataclass(frozen=True, slots=True)
class Prism:
    """A side view (x, z), counter-clockwise, drawn out across `width`, centred at `y`.

    `paints` are the layers of its sides, its rear and its top. What is drawn on it: `side` in (x, z) on the right-hand
    side, `rear` in (y, z) on whatever lies furthest back at each height.
    """

    profile: tuple[Point, ...]
    width: float
    paints: tuple[int, int, int]
    y: float = 0.0
    side: Layered = ()
    rear: Layered = ()


@dataclass(frozen=True, slots=True)
class Rod:
    """A way of points with a thickness that looks the same from everywhere; a single point is a ball."""

    points: tuple[Point3, ...]
    radius: float
    layer: int


Solid = Prism | Rod


def box(back: float, front: float, bottom: float, top: float) -> tuple[Point, ...]:
    """The profile of a cuboid."""
    return ((back, bottom), (front, bottom), (front, top), (back, top))


def ring(x: float, z: float, radius: float, corners: int = 16) -> tuple[Point, ...]:
    """The profile of a wheel or a barrel."""
    angles = [2 * math.pi * k / corners for k in range(corners)]
    return tuple((x + radius * math.cos(a), z + radius * math.sin(a)) for a in angles)


def project(solids: Sequence[Solid], view: View) -> Layered:
    """Draws the solids in the order given, each over the ones before, and makes them fill the square from -1 to 1."""
    drawn: list[tuple[int, Stroke]] = []
    for solid in solids:
        if isinstance(solid, Rod):
            at = [view.seen_at(point) for point in solid.points]
            drawn.append((solid.layer, line(*at, width=solid.radius) if len(at) > 1 else disk(*at[0], solid.radius)))
        else:
            drawn += _faces(solid, view)
            drawn += _drawn_on(solid, view)
    return _filled(drawn)


def _faces(prism: Prism, view: View) -> list[tuple[int, Stroke]]:
    """The faces turned to the camera, the farthest first."""
    side, rear, top = prism.paints
    right, left = prism.y - prism.width / 2, prism.y + prism.width / 2
    faces: list[tuple[float, int, Stroke]] = []
    for (x0, z0), (x1, z1) in zip(prism.profile, prism.profile[1:] + prism.profile[:1], strict=True):
        if view.depth((z1 - z0, 0.0, x0 - x1)) < 0:  # the outward normal points to the camera
            corners = ((x0, right, z0), (x1, right, z1), (x1, left, z1), (x0, left, z0))
            layer = top if abs(x1 - x0) > 1.5 * abs(z1 - z0) else rear
            faces.append((sum(map(view.depth, corners)), layer, area(*map(view.seen_at, corners))))
    faces.sort(key=lambda face: -face[0])
    drawn = [(layer, stroke) for _, layer, stroke in faces]
    if math.sin(view.yaw_rad) > 0:
        drawn.append((side, area(*(view.seen_at((x, right, z)) for x, z in prism.profile))))
    return drawn


def _drawn_on(prism: Prism, view: View) -> list[tuple[int, Stroke]]:
    drawn: list[tuple[int, Stroke]] = []
    if math.cos(view.yaw_rad) > 0.05:
        for layer, stroke in prism.rear:
            flat = [(_tail(prism.profile, z), prism.y + y, z) for y, z in _outline(stroke)]
            drawn.append((layer, _like(stroke, [view.seen_at(point) for point in flat])))
    if math.sin(view.yaw_rad) > 0.05:
        right = prism.y - prism.width / 2
        for layer, stroke in prism.side:
            drawn.append((layer, _like(stroke, [view.seen_at((x, right, z)) for x, z in _outline(stroke)])))
    return drawn


def _outline(stroke: Stroke) -> tuple[Point, ...]:
    return ring(*stroke.points[0], stroke.size) if stroke.kind is Kind.DISK else stroke.points


def _like(stroke: Stroke, points: Sequence[Point]) -> Stroke:
    return line(*points, width=stroke.size) if stroke.kind is Kind.LINE else area(*points)


def _tail(profile: tuple[Point, ...], z: float) -> float:
    """The x that lies furthest back at height z."""
    crossings = [
        x0 + (x1 - x0) * (z - z0) / (z1 - z0)
        for (x0, z0), (x1, z1) in zip(profile, profile[1:] + profile[:1], strict=True)
        if z0 != z1 and min(z0, z1) <= z <= max(z0, z1)
    ]
    return min(crossings, default=min(x for x, _ in profile))


def _filled(drawn: Sequence[tuple[int, Stroke]]) -> Layered:
    """Moves and scales metres to the square from -1 to 1."""
    points = [point for _, stroke in drawn for point in stroke.points]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    top, bottom = min(y for _, y in points), max(y for _, y in points)
    scale = 2 * MARGIN / max(right - left, bottom - top)
    cx, cy = (left + right) / 2, (top + bottom) / 2
    return tuple(
        (layer, Stroke(s.kind, tuple((scale * (x - cx), scale * (y - cy)) for x, y in s.points), scale * s.size))
        for layer, s in drawn
    )
