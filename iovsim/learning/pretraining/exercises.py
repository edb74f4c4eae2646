"""Turns random numbers into pictures of random composites and the answers to questions about their parts.

Nothing is a photograph and nothing is a class of the built-in tasks: signs of any plate, rim, colours, stroke and one
of some hundred figures; bodies of blocks, rods and wheels that are no vehicle; housings with one to five lamps of any
colour; crowds of small figures. Only parts, colours, poses, numbers, light and weather are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from iovsim.domain import FloatArray, IntArray
from iovsim.learning.generated import lights, vehicles
from iovsim.learning.generated.drawings import DRAWINGS
from iovsim.learning.generated.fleet import LAYERS
from iovsim.learning.generated.glyphs import SHAPES, SIZE, pictogram, plate
from iovsim.learning.generated.layers import coloured, library, mirrored
from iovsim.learning.generated.scene import WEATHERS, Climate, Cutouts, photograph
from iovsim.learning.generated.signs import COLOURS
from iovsim.learning.generated.solids import View, project
from iovsim.learning.pretraining.composites import MOST_AXLES, MOST_BLOCKS, MOST_PANES, Body, body
from iovsim.rng import stream

STROKES = ("none", "slash", "stripes")
RIMS = (0.95, 0.86, 0.76)
DIRECTED = (
    "up",
    "turn",
    "keep",
    "fork",
    "bend",
    "zigzag",
    "opposed",
    "crossing",
    "narrows",
    "crescent",
    "car",
    "house",
)
WORDS = ("STOP", "TAXI", "BUS", "ZONE", "P", "H", "ZOLL", "HALT")
BLOBS, FRACTALS = 160, 96
BODIES, SIGHTS = 256, 6  # different bodies, and views kept of each
HOUSINGS = 320
CROWD = 9  # places for small figures, three by three
UNASKED = -1

# What is asked, and how many answers there are (None: as many as parts were made).
QUESTIONS: dict[str, int | None] = {
    "figure": None,
    "body": BODIES,
    "shape": len(SHAPES),
    "stroke": len(STROKES),
    "rim": len(COLOURS),
    "fill": len(COLOURS),
    "ink": len(COLOURS),
    "side": 5,  # from behind, from between or from the side, each of the latter from left or right
    "axles": MOST_AXLES + 1,
    "panes": MOST_PANES + 1,
    "blocks": MOST_BLOCKS + 1,
    "beacons": 3,
    "paint": len(vehicles.COLOURS),
    "lamps": lights.LAMPS,
    "lying": 2,
    "signal": len(lights.SIGNALS),
    "burning": lights.LAMPS + 1,
    "first": lights.LAMPS + 1,
    "hue": len(COLOURS) + 1,
    "count": CROWD,
    "weather": len(WEATHERS),
    "brightness": 3,
}
Answers = dict[str, IntArray]


def figure_names() -> list[str]:
    """Every figure the network must tell apart, before those that look alike are dropped."""
    numbers = [f"={n}" for n in (*range(10), *range(10, 100, 5), 37, 48, 64, 73, 86, 92, *range(100, 140, 10))]
    letters = [f"={chr(c)}" for c in range(ord("A"), ord("Z") + 1)] + [f"={word}" for word in WORDS]
    drawings = [f"{name}{pose}" for name in DRAWINGS for pose in ("", ":m")]
    turned = [f"{name}:{side}{turn}" for name in DIRECTED for side in ("", "m") for turn in (90, 180, 270)]
    formulas = [*(f"blob={k}" for k in range(BLOBS)), *(f"fractal={k}" for k in range(FRACTALS))]
    return [*drawings, *turned, *numbers, *letters, *formulas]


def _distinct(masks: list[Tensor], least: float = 0.012) -> list[Tensor]:
    """Drops every mask whose mean absolute difference from an earlier one is below `least` (mirror twins, O and 0)."""
    kept: list[Tensor] = []
    for mask in masks:
        if all(float((mask - other).abs().mean()) >= least for other in kept):
            kept.append(mask)
    return kept


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What composites are put together from: masks with SIZE x SIZE pixels, and what can be asked about them."""

    plates: Tensor  # (shapes, s, s)
    insides: Tensor  # (shapes, rims, s, s)
    figures: Tensor  # (figures, s, s)
    strokes: Tensor  # (strokes, s, s)
    colours: Tensor  # (colours, 3)
    bodies: Tensor  # uint8 (BODIES x SIGHTS, layers, s, s)
    about_bodies: Answers  # each (BODIES x SIGHTS,)
    housings: Tensor  # uint8 (HOUSINGS, layers, s, s)
    about_housings: Answers  # each (HOUSINGS,)

    @property
    def answers(self) -> dict[str, int]:
        """How many answers each question has."""
        return {name: count or len(self.figures) for name, count in QUESTIONS.items()}


def make_parts() -> Parts:
    """Draws every part once; the same every time."""
    bodies, about_bodies = _make_bodies()
    housings, about_housings = _make_housings()
    return Parts(
        plates=torch.stack([torch.from_numpy(plate(s)) for s in SHAPES]),
        insides=torch.stack([torch.stack([torch.from_numpy(plate(s, r)) for r in RIMS]) for s in SHAPES]),
        figures=torch.stack(_distinct([torch.from_numpy(pictogram(name)) for name in figure_names()])),
        strokes=torch.stack([torch.from_numpy(pictogram(name)) for name in STROKES]),
        colours=torch.tensor(list(COLOURS.values())),
        bodies=bodies,
        about_bodies=about_bodies,
        housings=housings,
        about_housings=about_housings,
    )


def _make_bodies() -> tuple[Tensor, Answers]:
    drawings, rows = [], []
    for number in range(BODIES):
        rng = stream(0, "body", number)
        made: Body = body(rng)
        for sight in range(SIGHTS):
            third, left = sight % 3, sight >= SIGHTS // 2
            yaw = (rng.uniform(0, 0.2), rng.uniform(0.2, 1.2), rng.uniform(1.2, np.pi / 2))[third]
            drawing = project(made.solids, View(float(yaw), float(rng.uniform(0.05, 0.3))))
            drawings.append(mirrored(drawing) if left else drawing)
            side = 0 if third == 0 else third + 2 * left
            rows.append((number, side, made.axles, made.panes, made.blocks, made.beacons))
    columns = np.array(rows).T
    names = ("body", "side", "axles", "panes", "blocks", "beacons")
    return library(drawings, LAYERS), dict(zip(names, columns, strict=True))


def _make_housings() -> tuple[Tensor, Answers]:
    drawings, rows = [], []
    for number in range(HOUSINGS):
        rng = stream(0, "housing", number)
        lamps, signal, lying = int(rng.integers(lights.LAMPS)), int(rng.integers(len(lights.SIGNALS))), number % 2
        drawings.append(lights.head(rng, lamps + 1, lights.SIGNALS[signal], lying=bool(lying)))
        rows.append((lamps, signal, lying))
    return library(drawings, lights.LAYERS), dict(zip(("lamps", "signal", "lying"), np.array(rows).T, strict=True))


def draw_batch(parts: Parts, n: int, rng: np.random.Generator, hardship: float) -> tuple[NDArray[np.uint8], IntArray]:
    """Pictures (n, 32, 32, 3) and the answers (n, questions), `UNASKED` where a question makes no sense.

    Half are signs, five sixteenths bodies, the rest housings and crowds. `hardship` from 0 to 1 scales pose, blur,
    occlusion and bad weather.
    """
    housings = crowds = n * 3 // 32
    bodies = n * 5 // 16
    groups = (
        (_signs, n - bodies - housings - crowds, 1.0),
        (_bodies, bodies, 0.7),
        (_housings, housings, 1.0),
        (_crowds, crowds, 0.8),
    )
    images, answers = [], []
    for draw, count, ease in groups:
        cutouts, found = draw(parts, count, rng)
        climates, light = _climates(count, rng, hardship)
        images.append(photograph(cutouts, climates, rng, ease * (0.3 + 0.7 * hardship)))
        unasked = np.full(count, UNASKED)
        answers.append(np.stack([(found | light).get(name, unasked) for name in QUESTIONS], axis=1))
    return np.concatenate(images), np.concatenate(answers)


def _tint(colours: Tensor, index: IntArray, rng: np.random.Generator) -> Tensor:
    """The colours (n, 3, 1, 1), each a little off."""
    noise = torch.from_numpy(rng.normal(0, 0.05, (len(index), 3)).astype(np.float32))
    return (colours[torch.from_numpy(index)] + noise).clamp(0, 1).view(-1, 3, 1, 1)


def _signs(parts: Parts, n: int, rng: np.random.Generator) -> tuple[Cutouts, Answers]:
    colours = len(parts.colours)
    figure, shape = rng.integers(len(parts.figures), size=n), rng.integers(len(parts.plates), size=n)
    stroke = rng.choice(len(STROKES), size=n, p=(0.8, 0.1, 0.1))
    rim, fill = rng.integers(colours, size=n), rng.integers(colours, size=n)
    ink = (fill + rng.integers(1, colours, size=n)) % colours
    picture = _tint(parts.colours, rim, rng).expand(n, 3, SIZE, SIZE)
    layers = (
        (fill, parts.insides[torch.from_numpy(shape), torch.from_numpy(rng.integers(len(RIMS), size=n))]),
        (ink, _moved(parts.figures[torch.from_numpy(figure)], rng)),
        (rng.integers(colours, size=n), parts.strokes[torch.from_numpy(stroke)]),
    )
    for index, mask in layers:
        picture = torch.lerp(picture, _tint(parts.colours, index, rng), mask[:, None])
    cover = parts.plates[torch.from_numpy(shape)][:, None]
    answers = {"figure": figure, "shape": shape, "stroke": stroke, "rim": rim, "fill": fill, "ink": ink}
    return Cutouts(torch.cat((picture * cover, cover), dim=1)), answers


def _moved(masks: Tensor, rng: np.random.Generator) -> Tensor:
    """Figures a little larger or smaller, shifted and turned on their plates."""
    n = len(masks)
    zoom, turn = rng.uniform(0.9, 1.7, n), rng.normal(0, 0.08, n)
    cos, sin = zoom * np.cos(turn), zoom * np.sin(turn)
    x, y = rng.normal(0, 0.1, n), rng.normal(0, 0.14, n)
    affine = np.stack((np.stack((cos, -sin, x), axis=1), np.stack((sin, cos, y), axis=1)), axis=1)
    grid = functional.affine_grid(torch.from_numpy(affine.astype(np.float32)), [n, 1, SIZE, SIZE], align_corners=False)
    return functional.grid_sample(masks[:, None], grid, align_corners=False)[:, 0]


def _bodies(parts: Parts, n: int, rng: np.random.Generator) -> tuple[Cutouts, Answers]:
    chosen = rng.integers(len(parts.bodies), size=n)
    coats = [vehicles.paint("free", rng) for _ in range(n)]
    paint = np.array([coat.body for coat in coats])
    colours, shining = (
        torch.from_numpy(np.stack(some)) for some in ([c.colours for c in coats], [c.lights for c in coats])
    )
    answers = {name: column[chosen] for name, column in parts.about_bodies.items()} | {"paint": paint}
    return coloured(parts.bodies[torch.from_numpy(chosen)], colours, shining), answers


def _housings(parts: Parts, n: int, rng: np.random.Generator) -> tuple[Cutouts, Answers]:
    chosen = rng.integers(len(parts.housings), size=n)
    there = np.arange(lights.LAMPS) <= parts.about_housings["lamps"][chosen][:, None]
    burning = there & (rng.random((n, lights.LAMPS)) < rng.uniform(0.0, 0.8, (n, 1)))
    index = rng.integers(len(parts.colours), size=(n, lights.LAMPS))
    hues = (0.15 + 0.85 * parts.colours.numpy()[index]).astype(np.float32)
    lit = lights.lit(parts.housings[torch.from_numpy(chosen)], hues, burning.astype(np.float32), rng)
    first = burning.argmax(axis=1)
    none = ~burning.any(axis=1)
    answers = {name: column[chosen] for name, column in parts.about_housings.items()} | {
        "burning": burning.sum(axis=1),
        "first": np.where(none, lights.LAMPS, first),
        "hue": np.where(none, len(parts.colours), index[np.arange(n), first]),
    }
    return lit, answers


def _crowds(parts: Parts, n: int, rng: np.random.Generator) -> tuple[Cutouts, Answers]:
    """One to nine small copies of a figure."""
    count = rng.integers(CROWD, size=n)
    order = rng.random((n, CROWD)).argsort(axis=1)
    cells = torch.from_numpy((order <= count[:, None]).astype(np.float32)).view(n, 1, 3, 3)
    small = functional.interpolate(
        parts.figures[torch.from_numpy(rng.integers(len(parts.figures), size=n))][:, None],
        size=21,
        mode="bilinear",
        antialias=True,
    )
    tiles = cells[:, :, :, None, :, None] * small[:, :, None, :, None, :]
    cover = functional.pad(tiles.reshape(n, 1, 63, 63), (0, 1, 0, 1))
    ink = rng.integers(len(parts.colours), size=n)
    return Cutouts(torch.cat((_tint(parts.colours, ink, rng) * cover, cover), dim=1)), {"count": count, "ink": ink}


def _climates(n: int, rng: np.random.Generator, hardship: float) -> tuple[Sequence[Climate], Answers]:
    """Random light, weather and backdrops, and what is asked about them."""
    backdrops: FloatArray = rng.uniform(0.15, 0.75, (n, 3))
    weather = rng.choice(len(WEATHERS), size=n, p=(1 - 0.48 * hardship, *[0.12 * hardship] * (len(WEATHERS) - 1)))
    brightness = rng.uniform(0.6, 1.3, n)
    certain = np.eye(len(WEATHERS))
    climates = [
        Climate(
            weather=tuple(certain[weather[k]].tolist()),
            brightness=float(brightness[k]),
            warmth=float(rng.uniform(-0.15, 0.15)),
            clutter=float(rng.uniform(0.3, 1.6)),
            backdrop=(float(backdrops[k, 0]), float(backdrops[k, 1]), float(backdrops[k, 2])),
        )
        for k in range(n)
    ]
    return climates, {"weather": weather, "brightness": np.digitize(brightness, (0.83, 1.07))}
