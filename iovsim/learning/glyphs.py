"""Turns the name of a plate or of a pictogram into a mask, drawn with simple geometry and Pillow's own font."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from iovsim.domain import Float32Array
from iovsim.learning.drawings import DRAWINGS, Drawing, Kind, Point, Stroke, area, disk, line, on_circle
from iovsim.rng import stream

SIZE = 64  # pixels of a mask's side
_OVERSAMPLE = 4  # drawn this much larger and averaged down, so that edges are smooth
_FINE = _OVERSAMPLE * SIZE


def _regular(corners: int, turn_deg: float, lowered: float = 0.0) -> list[Point]:
    return [(x, y + lowered) for x, y in (on_circle(1.0, turn_deg + 360 * k / corners) for k in range(corners))]


# Plates: polygons around their own centre, so that a rim is the plate less the same plate drawn smaller.
SHAPES: dict[str, list[Point]] = {
    "circle": _regular(60, 0),
    "triangle": _regular(3, 0, 0.12),
    "inverted": _regular(3, 180, -0.12),
    "octagon": _regular(8, 22.5),
    "diamond": _regular(4, 0),
    "square": [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
    "wide": [(-0.98, -0.55), (0.98, -0.55), (0.98, 0.55), (-0.98, 0.55)],
    "tall": [(-0.6, -0.98), (0.6, -0.98), (0.6, 0.98), (-0.6, 0.98)],
    "pentagon": _regular(5, 0),
    "hexagon": _regular(6, 0),
    "arrow_right": [(-0.98, -0.5), (0.45, -0.5), (0.98, 0), (0.45, 0.5), (-0.98, 0.5)],
    "arrow_left": [(0.98, -0.5), (-0.45, -0.5), (-0.98, 0), (-0.45, 0.5), (0.98, 0.5)],
}


def plate(shape: str, scale: float = 1.0) -> Float32Array:
    """The mask (SIZE, SIZE) in [0, 1] of one of `SHAPES`, shrunk towards its centre by `scale`."""
    points = SHAPES[shape]
    cx, cy = (sum(p[k] for p in points) / len(points) for k in (0, 1))
    return _drawn((area(*((cx + scale * (x - cx), cy + scale * (y - cy)) for x, y in points)),))


def pictogram(name: str) -> Float32Array:
    """The mask (SIZE, SIZE) in [0, 1] of a pictogram.

    `"=50"` is text, `"blob=7"` a random figure, all other names are in `DRAWINGS`; behind a colon follow `m` for the
    mirror image and a clockwise turn in degrees: `"up:90"`, `"turn:m"`, `"bend:m180"`.
    """
    if name.startswith("="):
        return _text(name[1:])
    if name.startswith("blob="):
        return _drawn(_random_figure(int(name[5:])))
    drawing, _, pose = name.partition(":")
    return _drawn(DRAWINGS[drawing], float(pose.removeprefix("m") or 0), mirror=pose.startswith("m"))


def _pixels(points: Sequence[Point]) -> list[Point]:
    half = _FINE / 2
    return [(half + half * x, half + half * y) for x, y in points]


def _mask(image: Image.Image) -> Float32Array:
    fine = np.asarray(image, dtype=np.float32) / 255
    mask: Float32Array = fine.reshape(SIZE, _OVERSAMPLE, SIZE, _OVERSAMPLE).mean(axis=(1, 3))
    return mask


def _text(characters: str) -> Float32Array:
    """Letters or digits, as large as fits a box of 1.5 x 1.3 half-sides."""
    font = ImageFont.load_default(size=_FINE // 2)
    image = Image.new("L", (_FINE, _FINE), 0)
    left, top, right, bottom = ImageDraw.Draw(image).textbbox((0, 0), characters, font=font, stroke_width=4)
    word = Image.new("L", (int(right - left), int(bottom - top)), 0)
    ImageDraw.Draw(word).text((-left, -top), characters, fill=255, font=font, stroke_width=4)
    scale = min(1.5 * _FINE / 2 / word.width, 1.3 * _FINE / 2 / word.height)
    word = word.resize((max(1, int(word.width * scale)), max(1, int(word.height * scale))), Image.Resampling.BOX)
    image.paste(word, ((_FINE - word.width) // 2, (_FINE - word.height) // 2))
    return _mask(image)


def _drawn(drawing: Drawing, turn_deg: float = 0.0, *, mirror: bool = False) -> Float32Array:
    """A drawing, mirrored if asked, then turned clockwise."""
    image = Image.new("L", (_FINE, _FINE), 0)
    draw = ImageDraw.Draw(image)
    cos, sin = math.cos(math.radians(turn_deg)), math.sin(math.radians(turn_deg))
    for stroke in drawing:
        flipped = [(-x if mirror else x, y) for x, y in stroke.points]
        at = _pixels([(cos * x - sin * y, sin * x + cos * y) for x, y in flipped])
        radius = stroke.size * _FINE / 2
        if stroke.kind is Kind.AREA:
            draw.polygon(at, fill=255)
        elif stroke.kind is Kind.LINE:
            draw.line(at, fill=255, width=max(1, round(2 * radius)), joint="curve")
        rounded = {Kind.DISK: at, Kind.LINE: [at[0], at[-1]], Kind.AREA: []}[stroke.kind]
        for x, y in rounded:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return _mask(image)


def _random_figure(number: int) -> Drawing:
    """A figure drawn by its number: a wavy blob, a few lines, or disks with a triangle; every second one symmetric."""
    rng = stream(0, "figure", number)

    def points(count: int) -> list[Point]:
        return [(float(x), float(y)) for x, y in rng.uniform(-0.6, 0.6, (count, 2))]

    parts: list[Stroke] = []
    if number % 3 == 0:
        angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        radius = np.full(48, 0.45)
        for order in range(1, 7):
            radius += rng.normal(0, 0.3 / order) * np.cos(order * angles + rng.uniform(0, 2 * np.pi)) * 0.6
        radius = np.clip(radius, 0.12, 0.72)
        parts.append(area(*(on_circle(float(r), math.degrees(a)) for r, a in zip(radius, angles, strict=True))))
    elif number % 3 == 1:
        for _ in range(int(rng.integers(2, 5))):
            way = points(int(rng.integers(2, 4)))
            parts.append(line(*way, width=float(rng.uniform(0.06, 0.13))))
    else:
        for _ in range(int(rng.integers(2, 5))):
            x, y, size = rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5), rng.uniform(0.1, 0.22)
            parts.append(disk(float(x), float(y), float(size)))
        parts.append(area(*points(3)))
    if number % 2:
        parts += [Stroke(p.kind, tuple((-x, y) for x, y in p.points), p.size) for p in parts]
    return tuple(parts)
