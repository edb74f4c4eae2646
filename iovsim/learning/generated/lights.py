"""Turns class labels and districts into photographs of procedurally drawn traffic lights: built-in perception data.

The heads are drawings of ours: three lamps, upright or lying, with or without a board, round or with an arrow; no
picture of a real one is used. Their states are as unevenly frequent as in a street.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iovsim.domain import Float32Array, FloatArray, IntArray
from iovsim.learning.generated import places
from iovsim.learning.generated.album import shown, take
from iovsim.learning.generated.drawings import DRAWINGS, Drawing, Point, Stroke, area, disk, line, placed
from iovsim.learning.generated.layers import Layered, coloured, library
from iovsim.learning.generated.scene import Cutouts
from iovsim.rng import stream

CLASSES = ("red", "red and yellow", "yellow", "green", "off")
HEADS = 160  # different heads, each with its own surroundings

# How often each state is met in places.QUARTERS: ours. Yellow is short; at night and in the harbour many are off.
FREQUENCY = np.array(
    [[50, 3, 4, 41, 2], [36, 2, 4, 34, 24], [42, 3, 5, 42, 8], [28, 2, 3, 65, 2]],
    dtype=np.float64,
)
BURNING = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=np.float32)  # lamps by class
LENSES = np.array([[0.95, 0.1, 0.06], [1.0, 0.68, 0.08], [0.1, 0.9, 0.55]], dtype=np.float32)

LAMPS = 5  # layers 0 to 4: room for more lamps than a traffic light has, see `exercises`
HOUSING, BOARD, BORDER, POLE, HOOD, OTHER, SPOT_A, SPOT_B = range(LAMPS, LAMPS + 8)
LAYERS = LAMPS + 8
SIGNALS = ("round", "up", "up:l", "up:r", "bicycle")


def head(rng: np.random.Generator, lamps: int, signal: str, *, lying: bool) -> Layered:
    """A housing with `lamps` lamps that show one of `SIGNALS`, and what shines near it, drawn by chance."""
    half, gap = rng.uniform(0.27, 0.34), rng.uniform(0.52, 0.58) * min(1.0, 3.6 / (lamps + 0.6))
    half, radius = min(half, 0.6 * gap), rng.uniform(0.36, 0.44) * gap
    end = gap * (lamps - 1) / 2 + half
    corners = [(-half, -end), (half, -end), (half, end), (-half, end)]
    drawn: list[tuple[int, Stroke]] = []
    for layer in (SPOT_A, SPOT_B):
        spot = (float(rng.choice((-1.0, 1.0)) * rng.uniform(0.5, 0.95)), float(rng.uniform(-0.9, 0.9)))
        drawn.append((layer, disk(*spot, float(rng.uniform(0.03, 0.16)))))
        if layer == SPOT_B and rng.random() < 0.5:  # a pair, as of brake lamps
            drawn.append((layer, disk(spot[0], spot[1] + 0.3, 0.06)))
    if rng.random() < 0.6:
        drawn.append((POLE, line((0.0, 0.5), (0.0, 1.4), width=float(rng.uniform(0.04, 0.09)))))
    if rng.random() < 0.3:  # another head beside it
        x = float(rng.choice((-1.0, 1.0)) * rng.uniform(0.68, 0.85))
        drawn.append((HOUSING, area((x - 0.16, -0.1), (x + 0.16, -0.1), (x + 0.16, 0.7), (x - 0.16, 0.7))))
        drawn.append((OTHER, disk(x, float(rng.choice((0.1, 0.5))), 0.13)))
    if rng.random() < 0.4:
        for layer, wider in ((BORDER, 0.2), (BOARD, 0.14)):
            drawn.append((layer, area(*((x + wider * np.sign(x), y + wider * np.sign(y)) for x, y in corners))))
    drawn.append((HOUSING, area(*corners)))
    for lamp in range(lamps):
        y = (lamp - (lamps - 1) / 2) * gap
        drawn += [(lamp, stroke) for stroke in _signal(signal, y, radius)]
        drawn.append((HOOD, line(*_arch(y, radius), width=0.03)))
    if lying:  # a quarter turn
        drawn = [(layer, Stroke(s.kind, tuple((y, -x) for x, y in s.points), s.size)) for layer, s in drawn]
    return tuple(drawn)


def _signal(name: str, y: float, radius: float) -> Drawing:
    if name == "round":
        return (disk(0.0, y, radius),)
    shape, _, way = name.partition(":")
    turned = tuple(
        Stroke(s.kind, tuple({"l": (v, -u), "r": (-v, u)}.get(way, (u, v)) for u, v in s.points), 1.3 * s.size)
        for s in DRAWINGS[shape]
    )
    return placed(turned, (1.5 * radius, 1.5 * radius), (0.0, y), 1.5 * radius)


def _arch(y: float, radius: float) -> list[Point]:
    angles = np.linspace(np.pi, 2 * np.pi, 9).tolist()
    return [(1.08 * radius * float(np.cos(a)), y + 1.08 * radius * float(np.sin(a))) for a in angles]


@lru_cache(maxsize=1)
def _heads() -> Tensor:
    drawings = []
    for number in range(HEADS):
        rng = stream(0, "traffic light", number)
        signal = "round" if rng.random() < 0.5 else str(rng.choice(SIGNALS))
        drawings.append(head(rng, 3, signal, lying=bool(rng.random() < 0.25)))
    return library(drawings, LAYERS)


def class_mix(district: int) -> FloatArray:
    """How often each state is met in a district (5,): yellow rarely anywhere, dark heads mostly in the harbour."""
    return places.mix(FREQUENCY, district)


def render(labels: IntArray, districts: IntArray, seed: int, *, part: str, strength: float = 1.0) -> NDArray[np.uint8]:
    """Photographs of traffic lights (n, 32, 32, 3); picture i depends on seed, part, i, its label and its district.

    `labels` and `districts` have shape (n,); labels index `CLASSES`. `strength` scales pose, blur, occlusion and noise.
    Raises `TrainingError` where the shapes differ or a label names no class.
    """
    return take("lights", len(CLASSES), _cutouts, labels, districts, seed, part=part, strength=strength)


def _cutouts(labels: IntArray, part: str, rng: np.random.Generator) -> Cutouts:
    n = len(labels)
    hues, burning = np.zeros((n, LAMPS, 3), dtype=np.float32), np.zeros((n, LAMPS), dtype=np.float32)
    hues[:, :3], burning[:, :3] = LENSES, BURNING[labels]
    masks = _heads()[torch.from_numpy(shown(HEADS, part, n, rng))]
    return lit(masks, hues, burning, rng)


def lit(masks: Tensor, hues: Float32Array, burning: Float32Array, rng: np.random.Generator) -> Cutouts:
    """Heads' masks (n, LAYERS, s, s), their lamps' hues (n, LAMPS, 3) and which burn (n, LAMPS) -> cut-outs."""
    n, burning = len(hues), burning[:, :, None]
    colours = np.empty((n, LAYERS, 3), dtype=np.float32)
    lights = np.zeros((n, LAYERS, 3), dtype=np.float32)
    # Low sun makes dark lamps look as if they burned, old lamps burn weakly: the faintest are hard to tell.
    dark, bright = _uniform(rng, n, 0.12, 0.5, LAMPS), _uniform(rng, n, 0.65, 1.0, LAMPS)
    hue = hues + rng.normal(0, 0.08, hues.shape).astype(np.float32)
    core = _uniform(rng, n, 0.0, 0.6, 1)  # over-exposed lamps are white inside
    glare = hue * bright
    colours[:, :LAMPS] = burning * (glare + core * (1 - glare)) + (1 - burning) * hue * dark
    lights[:, :LAMPS] = burning * hue * _uniform(rng, n, 0.25, 1.0, 1)
    yellow_housing = rng.random((n, 1)) < 0.15
    colours[:, HOUSING] = np.where(yellow_housing, (0.75, 0.6, 0.12), _uniform(rng, n, 0.04, 0.25, 1)[:, 0])
    colours[:, BOARD] = _uniform(rng, n, 0.03, 0.12, 1)[:, 0]
    colours[:, BORDER], colours[:, HOOD] = 0.85, 0.05
    colours[:, POLE] = _uniform(rng, n, 0.2, 0.7, 1)[:, 0]
    for layer in (OTHER, SPOT_A, SPOT_B):
        colours[:, layer] = LENSES[rng.integers(3, size=n)] * _uniform(rng, n, 0.3, 1.0, 1)[:, 0]
        lights[:, layer] = colours[:, layer] * (rng.random((n, 1)) < 0.5)
    return coloured(masks, torch.from_numpy(colours.clip(0, 1)), torch.from_numpy(lights.clip(0, 1.2)))


def _uniform(rng: np.random.Generator, n: int, low: float, high: float, count: int) -> Float32Array:
    drawn: Float32Array = rng.uniform(low, high, (n, count, 1)).astype(np.float32)
    return drawn
