"""Turns the name of a plate or of a pictogram into a mask, drawn with simple geometry and Pillow's own font."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from iovsim.domain import Float32Array
from iovsim.learning.generated.drawings import DRAWINGS, Drawing, Kind, Point, Stroke, area, disk, line, on_circle
from iovsim.rng import stream

SIZE = 64  # pixels of a mask's side
OVERSAMPLE = 4  # drawn this much larger and averaged down, so that edges are smooth
FINE = OVERSAMPLE * SIZE


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

    `"=50"` is text, `"blob=7"` a random figure, `"fractal=7"` a random fractal, all other names are in
    `DRAWINGS`; behind a colon follow `m` for the mirror image and a clockwise turn in degrees: `"up:90"`, `"turn:m"`,
    `"bend:m180"`.
    """
    if name.startswith("="):
        return _text(name[1:])
    if name.startswith("blob="):
        return _drawn(_random_figure(int(name[5:])))
    if name.startswith("fractal="):
        return _fractal(int(name[8:]))
    drawing, _, pose = name.partition(":")
    return _drawn(DRAWINGS[drawing], float(pose.removeprefix("m") or 0), mirror=pose.startswith("m"))


def _mask(image: Image.Image) -> Float32Array:
    fine = np.asarray(image, dtype=np.float32) / 255
    mask: Float32Array = fine.reshape(SIZE, OVERSAMPLE, SIZE, OVERSAMPLE).mean(axis=(1, 3))
    return mask


def _text(characters: str) -> Float32Array:
    """Letters or digits, as large as fits a box of 1.5 x 1.3 half-sides."""
    font = ImageFont.load_default(size=FINE // 2)
    image = Image.new("L", (FINE, FINE), 0)
    left, top, right, bottom = ImageDraw.Draw(image).textbbox((0, 0), characters, font=font, stroke_width=4)
    word = Image.new("L", (int(right - left), int(bottom - top)), 0)
    ImageDraw.Draw(word).text((-left, -top), characters, fill=255, font=font, stroke_width=4)
    scale = min(1.5 * FINE / 2 / word.width, 1.3 * FINE / 2 / word.height)
    word = word.resize((max(1, int(word.width * scale)), max(1, int(word.height * scale))), Image.Resampling.BOX)
    image.paste(word, ((FINE - word.width) // 2, (FINE - word.height) // 2))
    return _mask(image)


def _drawn(drawing: Drawing, turn_deg: float = 0.0, *, mirror: bool = False) -> Float32Array:
    """A drawing, mirrored if asked, then turned clockwise."""
    image = Image.new("L", (FINE, FINE), 0)
    draw = ImageDraw.Draw(image)
    cos, sin = math.cos(math.radians(turn_deg)), math.sin(math.radians(turn_deg))
    for stroke in drawing:
        flipped = [(-x if mirror else x, y) for x, y in stroke.points]
        turned = tuple((cos * x - sin * y, sin * x + cos * y) for x, y in flipped)
        draw_stroke(draw, Stroke(stroke.kind, turned, stroke.size), 255)
    return _mask(image)


def draw_stroke(draw: ImageDraw.ImageDraw, stroke: Stroke, fill: int) -> None:
    """Draws one stroke, given in the square from -1 to 1, on a picture of FINE x FINE pixels."""
    half = FINE / 2
    at = [(half + half * x, half + half * y) for x, y in stroke.points]
    radius = stroke.size * half
    if stroke.kind is Kind.AREA:
        draw.polygon(at, fill=fill)
    elif stroke.kind is Kind.LINE:
        draw.line(at, fill=fill, width=max(1, round(2 * radius)), joint="curve")
    rounded = {Kind.DISK: at, Kind.LINE: [at[0], at[-1]], Kind.AREA: []}[stroke.kind]
    for x, y in rounded:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


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


def _fractal(number: int) -> Float32Array:
    """The attractor of two to four random contractions, by the chaos game; neither a mere dot nor a mere patch.

    Iterated function systems after Barnsley, "Fractals Everywhere" (1988); the laws of the maps are ours.
    """
    rng = stream(0, "fractal", number)
    while True:
        maps, walkers = int(rng.integers(2, 5)), np.zeros((400, 2))
        linear, shift = rng.uniform(-0.75, 0.75, (maps, 2, 2)), rng.uniform(-0.5, 0.5, (maps, 2))
        if max(np.linalg.norm(m, 2) for m in linear) > 0.9:
            continue
        trail = []
        for _ in range(80):
            chosen = rng.integers(maps, size=len(walkers))
            walkers = np.einsum("nij,nj->ni", linear[chosen], walkers) + shift[chosen]
            trail.append(walkers)
        points = np.concatenate(trail[20:])
        low, high = points.min(axis=0), points.max(axis=0)
        inside = ((points - (low + high) / 2) / (high - low).max() * 1.4 + 1) / 2 * SIZE
        hits, _, _ = np.histogram2d(inside[:, 1], inside[:, 0], bins=SIZE, range=((0, SIZE), (0, SIZE)))
        mask: Float32Array = np.minimum(hits / 3, 1).astype(np.float32)
        if 0.06 < mask.mean() < 0.35:
            return mask
