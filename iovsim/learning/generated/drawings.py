"""The drawings on signs, as data: each name stands for lines, areas and disks in a square from -1 to 1, y downwards."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

Point = tuple[float, float]


class Kind(Enum):
    """What a stroke's points mean."""

    LINE = "line"  # a way of points, `size` is half its width
    AREA = "area"  # the corners of a filled polygon
    DISK = "disk"  # its centre, `size` is its radius


@dataclass(frozen=True, slots=True)
class Stroke:
    """One piece of a drawing."""

    kind: Kind
    points: tuple[Point, ...]
    size: float = 0.0


Drawing = tuple[Stroke, ...]


def line(*points: Point, width: float = 0.09) -> Stroke:
    return Stroke(Kind.LINE, points, width)


def area(*points: Point) -> Stroke:
    return Stroke(Kind.AREA, points)


def disk(x: float, y: float, radius: float) -> Stroke:
    return Stroke(Kind.DISK, ((x, y),), radius)


def arc(start_deg: float, end_deg: float, radius: float, width: float = 0.1) -> Stroke:
    return line(*(on_circle(radius, start_deg + (end_deg - start_deg) * k / 16) for k in range(17)), width=width)


def on_circle(radius: float, angle_deg: float) -> Point:
    """A point of the circle around the origin, clockwise from the top."""
    angle = math.radians(angle_deg)
    return radius * math.sin(angle), -radius * math.cos(angle)


def placed(drawing: Drawing, zoom: Point, shift: Point, thinned: float) -> Drawing:
    """The drawing stretched and moved, its widths and radii multiplied by `thinned`."""
    (a, b), (dx, dy) = zoom, shift
    return tuple(
        Stroke(s.kind, tuple((a * x + dx, b * y + dy) for x, y in s.points), s.size * thinned) for s in drawing
    )


_CAR: Drawing = (
    area(
        *((-0.6, 0.25), (-0.6, -0.02), (-0.38, -0.08), (-0.25, -0.32)),
        *((0.25, -0.32), (0.38, -0.08), (0.6, -0.02), (0.6, 0.25)),
    ),
    disk(-0.35, 0.27, 0.14),
    disk(0.35, 0.27, 0.14),
)
_WALKER: Drawing = (
    disk(0, -0.52, 0.13),
    line((0, -0.35), (0, 0.1), width=0.1),
    line((0, 0.1), (-0.25, 0.6), width=0.07),
    line((0, 0.1), (0.25, 0.6), width=0.07),
    line((-0.28, 0.05), (0, -0.3), (0.28, 0.0), width=0.06),
)


def _third_of_roundabout(turn_deg: float) -> Drawing:
    head = area(*(on_circle(r, turn_deg + a) for r, a in ((0.22, 75), (0.64, 75), (0.45, 112))))
    return (arc(turn_deg, turn_deg + 80, 0.42), head)


def _wheel(x: float) -> Stroke:
    points = ((x + 0.24 * math.sin(k / 4), 0.25 - 0.24 * math.cos(k / 4)) for k in range(26))
    return line(*points, width=0.05)


def _diameter(angle_rad: float) -> Stroke:
    x, y = 0.55 * math.sin(angle_rad), 0.55 * math.cos(angle_rad)
    return line((x, y), (-x, -y), width=0.07)


def _wave(y: float) -> Stroke:
    return line(*((x / 10, y + 0.1 * math.sin(x * 0.9)) for x in range(-6, 7)), width=0.06)


def _field(x: float, y: float) -> Stroke:
    return area((x, y), (x + 0.3, y), (x + 0.3, y + 0.3), (x, y + 0.3))


DRAWINGS: dict[str, Drawing] = {
    "none": (),
    "up": (line((0, 0.6), (0, -0.2), width=0.11), area((-0.35, -0.12), (0, -0.65), (0.35, -0.12))),
    "turn": (
        line((-0.25, 0.6), (-0.25, -0.1), (0.15, -0.1), width=0.11),
        area((0.1, -0.42), (0.62, -0.1), (0.1, 0.22)),
    ),
    "keep": (line((-0.35, -0.4), (0.2, 0.2), width=0.11), area((-0.12, 0.45), (0.48, 0.48), (0.42, -0.12))),
    "fork": (
        line((0, 0.6), (0, -0.2), width=0.1),
        area((-0.3, -0.15), (0, -0.62), (0.3, -0.15)),
        line((0, 0.2), (0.35, 0.2), width=0.1),
        area((0.3, -0.05), (0.62, 0.2), (0.3, 0.45)),
    ),
    "bend": (line((-0.2, 0.6), (-0.2, 0.1), (0.15, -0.25), width=0.1), area((-0.1, -0.3), (0.4, -0.5), (0.3, 0.05))),
    "zigzag": (line((-0.15, 0.65), (-0.15, 0.25), (0.2, -0.05), (-0.1, -0.35), (-0.1, -0.6), width=0.1),),
    "roundabout": (*_third_of_roundabout(0), *_third_of_roundabout(120), *_third_of_roundabout(240)),
    "bar": (area((-0.7, -0.17), (0.7, -0.17), (0.7, 0.17), (-0.7, 0.17)),),
    "cross": (line((-0.45, -0.45), (0.45, 0.45), width=0.12), line((-0.45, 0.45), (0.45, -0.45), width=0.12)),
    "plus": (line((-0.5, 0), (0.5, 0), width=0.12), line((0, -0.5), (0, 0.5), width=0.12)),
    "crossing": (line((0, -0.6), (0, 0.6), width=0.16), line((-0.5, 0.1), (0.5, 0.1), width=0.07)),
    "exclamation": (area((-0.13, -0.6), (0.13, -0.6), (0.07, 0.2), (-0.07, 0.2)), disk(0, 0.45, 0.13)),
    "car": _CAR,
    "lorry": (
        area((-0.65, 0.2), (-0.65, -0.35), (0.2, -0.35), (0.2, 0.2)),
        area((0.25, 0.2), (0.25, -0.15), (0.5, -0.15), (0.65, 0.05), (0.65, 0.2)),
        disk(-0.4, 0.28, 0.13),
        disk(0.42, 0.28, 0.13),
    ),
    "two_cars": (
        *placed(_CAR, (0.55, 0.85), (-0.37, 0.0), 0.6),
        *placed(_CAR, (0.55, 0.85), (0.37, 0.0), 0.6),
    ),
    "skid": (
        *placed(_CAR, (0.75, 0.75), (0.0, -0.22), 0.75),
        line((-0.35, 0.25), (-0.15, 0.4), (-0.35, 0.52), (-0.15, 0.66), width=0.05),
        line((0.2, 0.25), (0.4, 0.4), (0.2, 0.52), (0.4, 0.66), width=0.05),
    ),
    "walker": _WALKER,
    "children": (
        *placed(_WALKER, (0.8, 0.95), (-0.3, 0.03), 0.8),
        *placed(_WALKER, (0.8, 0.7), (0.33, 0.18), 0.8),
    ),
    "worker": (
        disk(-0.1, -0.5, 0.13),
        line((-0.1, -0.3), (-0.3, 0.15), (-0.5, 0.6), width=0.09),
        line((-0.3, 0.15), (0.0, 0.6), width=0.08),
        line((-0.15, -0.2), (0.2, 0.05), (0.35, 0.5), width=0.06),
        area((0.1, 0.62), (0.4, 0.32), (0.7, 0.62)),
    ),
    "bicycle": (
        _wheel(-0.36),
        _wheel(0.36),
        line((-0.36, 0.25), (-0.12, -0.2), (0.25, -0.2), (0.36, 0.25), width=0.05),
        line((-0.12, -0.2), (0.0, 0.25), (0.25, -0.2), width=0.05),
    ),
    "deer": (
        area((-0.45, 0.12), (-0.4, -0.15), (0.2, -0.2), (0.4, -0.5), (0.62, -0.4), (0.35, 0.02), (0.25, 0.15)),
        line((-0.38, 0.1), (-0.55, 0.6), width=0.05),
        line((-0.3, 0.1), (-0.2, 0.6), width=0.05),
        line((0.25, 0.1), (0.4, 0.55), width=0.05),
        line((0.42, -0.45), (0.3, -0.72), width=0.04),
        line((0.48, -0.45), (0.55, -0.75), width=0.04),
    ),
    "snowflake": (_diameter(0), _diameter(math.pi / 3), _diameter(2 * math.pi / 3)),
    "humps": (
        area(
            *((-0.7, 0.35), (-0.55, 0.0), (-0.3, -0.12), (-0.05, 0.12)),
            *((0.1, 0.12), (0.3, -0.12), (0.55, 0.0), (0.7, 0.35)),
        ),
    ),
    "narrows": (
        line((-0.4, 0.55), (-0.4, 0.1), (-0.15, -0.15), (-0.15, -0.55), width=0.08),
        line((0.4, 0.55), (0.15, 0.1), (0.15, -0.55), width=0.08),
    ),
    "lights": (disk(0, -0.42, 0.18), disk(0, 0, 0.18), disk(0, 0.42, 0.18)),
    "opposed": (
        line((-0.25, 0.55), (-0.25, -0.15), width=0.09),
        area((-0.5, -0.1), (-0.25, -0.55), (0.0, -0.1)),
        line((0.25, -0.55), (0.25, 0.15), width=0.09),
        area((0.5, 0.1), (0.25, 0.55), (0.0, 0.1)),
    ),
    "slash": (line((-0.6, 0.6), (0.6, -0.6), width=0.09),),
    "stripes": tuple(line((-0.7 + d, 0.5 + d), (0.5 + d, -0.7 + d), width=0.045) for d in (-0.02, 0.11, 0.24)),
    "ring": (arc(0, 360, 0.42, 0.09),),
    "crescent": (arc(200, 520, 0.4, 0.14),),
    "waves": (_wave(-0.3), _wave(0.0), _wave(0.3)),
    "house": (
        area((-0.45, 0.5), (-0.45, -0.05), (0.45, -0.05), (0.45, 0.5)),
        area((-0.65, 0.0), (0, -0.6), (0.65, 0.0)),
    ),
    "tree": (area((-0.4, 0.3), (0, -0.65), (0.4, 0.3)), line((0, 0.3), (0, 0.65), width=0.08)),
    "checker": tuple(
        _field(x, y) for x, y in ((-0.45, -0.45), (0.15, -0.45), (-0.15, -0.15), (-0.45, 0.15), (0.15, 0.15))
    ),
}
