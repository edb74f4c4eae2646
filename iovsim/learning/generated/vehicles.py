"""Turns class labels and districts into photographs of procedurally built vehicles: built-in perception data.

Every vehicle is an assembly of ours of prisms and rods, many of each class, seen from behind, from the side or between;
no picture of a real one is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iovsim.domain import Float32Array, FloatArray, IntArray
from iovsim.learning.generated import fleet, fleet_small, places
from iovsim.learning.generated.album import shown, take
from iovsim.learning.generated.fleet import (
    ACCENT,
    BEACON,
    BODY,
    CLOTHES,
    GLASS,
    HELMET,
    LAYERS,
    LOAD,
    METAL,
    TAIL,
    TYRE,
)
from iovsim.learning.generated.layers import coloured, library, mirrored
from iovsim.learning.generated.scene import Cutouts
from iovsim.learning.generated.solids import View, project
from iovsim.rng import stream

BUILDERS = {
    "car": fleet.car,
    "van": fleet.van,
    "lorry": fleet.lorry,
    "bus": fleet.bus,
    "motorcycle": fleet_small.motorcycle,
    "bicycle": fleet_small.bicycle,
    "emergency vehicle": fleet.emergency,
    "works vehicle": fleet_small.works,
}
CLASSES = tuple(BUILDERS)
MODELS = 64  # different vehicles of each class, each in one pose
PAINTS = 4  # colourings of each

# How often each class is met in places.QUARTERS: ours.
FREQUENCY = np.array(
    [
        [40, 12, 4, 8, 8, 22, 4, 2],
        [22, 18, 38, 3, 3, 4, 3, 9],
        [52, 14, 5, 4, 6, 13, 3, 3],
        [46, 14, 24, 5, 5, 1, 3, 2],
    ],
    dtype=np.float64,
)

COLOURS: dict[str, tuple[float, float, float]] = {
    "white": (0.9, 0.9, 0.88),
    "silver": (0.66, 0.68, 0.7),
    "grey": (0.4, 0.41, 0.43),
    "black": (0.1, 0.1, 0.11),
    "blue": (0.1, 0.25, 0.6),
    "light blue": (0.45, 0.65, 0.8),
    "red": (0.72, 0.1, 0.1),
    "dark red": (0.42, 0.08, 0.1),
    "green": (0.12, 0.4, 0.2),
    "yellow": (0.92, 0.76, 0.1),
    "orange": (0.92, 0.5, 0.1),
    "beige": (0.8, 0.72, 0.55),
    "brown": (0.4, 0.26, 0.15),
}
ANY = tuple(COLOURS)
SOBER = ("white", "silver", "grey", "black", "blue", "red", "white", "silver", "green", "beige")
# A livery: colours of body, load, accent, and of the beacon's light.
LIVERIES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], str]] = {
    "free": (ANY, ANY, ANY, "orange"),
    "any": (SOBER, ANY, ANY, "orange"),
    "taxi": (("beige", "yellow", "black", "white"), ANY, ("yellow", "white"), "orange"),
    "lorry": (ANY, ANY, ANY, "orange"),
    "bus": (ANY, SOBER, ANY, "orange"),
    "police": (("white", "silver", "white", "blue"), ("white",), ("blue", "green", "yellow"), "blue"),
    "medical": (("white", "yellow", "white"), ("white",), ("red", "orange", "blue"), "blue"),
    "fire": (("red", "dark red"), ("red",), ("white", "yellow"), "blue"),
    "works": (("yellow", "orange", "green", "red", "blue"), ANY, ANY, "orange"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Coat:
    """How one vehicle is coloured: colours and lights (layers, 3), and the body's colour as an index to `COLOURS`."""

    colours: Float32Array
    lights: Float32Array
    body: int


def paint(livery: str, rng: np.random.Generator) -> Coat:
    """Colours by a livery, brighter or darker by where the sun stands; some of the lamps burn."""
    bodies, loads, accents, lit = LIVERIES[livery]
    body, load = str(rng.choice(bodies)), str(rng.choice(loads))
    colours = np.empty((LAYERS, 3), dtype=np.float32)
    sun = rng.permutation([1.12, 0.9, 0.7]) * rng.uniform(0.9, 1.1)
    for layers, name in ((BODY, body), (LOAD, load)):
        colours[list(layers)] = np.array(COLOURS[name]) * sun[:, None] + rng.normal(0, 0.03, 3)
    glass = rng.uniform(0.08, 0.35) + rng.normal(0, 0.03, 3)
    colours[[GLASS, TYRE, METAL]] = np.stack((glass, np.full(3, 0.09), np.full(3, rng.uniform(0.4, 0.75))))
    colours[ACCENT] = COLOURS[str(rng.choice(accents))]
    colours[CLOTHES], colours[HELMET] = (COLOURS[str(rng.choice(ANY))] for _ in range(2))
    colours[TAIL], colours[BEACON] = (0.55, 0.05, 0.06), COLOURS[lit]
    lights = np.zeros((LAYERS, 3), dtype=np.float32)
    if rng.random() < 0.4:
        lights[TAIL] = (0.8, 0.08, 0.05)
    if rng.random() < 0.5:
        lights[BEACON] = 1.2 * colours[BEACON]
    return Coat(colours.clip(0, 1), lights, ANY.index(body))


@lru_cache(maxsize=1)
def _models() -> tuple[Tensor, Tensor, Tensor]:
    """Layers (classes x MODELS, layers, s, s), and colours and light (classes x MODELS, PAINTS, layers, 3)."""
    drawings, coats = [], []
    for name, build in BUILDERS.items():
        for number in range(MODELS):
            rng = stream(0, "vehicle", name, number)
            vehicle = build(rng)
            # Seen from behind, from between, or from the side: every third each.
            yaw = (rng.uniform(0, 0.2), rng.uniform(0.2, 1.2), rng.uniform(1.2, np.pi / 2))[number % 3]
            drawing = project(vehicle.solids, View(float(yaw), float(rng.uniform(0.05, 0.25))))
            drawings.append(mirrored(drawing) if rng.random() < 0.5 else drawing)
            coats.append([paint(vehicle.livery, rng) for _ in range(PAINTS)])
    colours = torch.from_numpy(np.array([[coat.colours for coat in some] for some in coats]))
    lights = torch.from_numpy(np.array([[coat.lights for coat in some] for some in coats]))
    return library(drawings, LAYERS), colours, lights


def class_mix(district: int) -> FloatArray:
    """How often each class is met in a district (8,): lorries in the harbour, bicycles in the centre."""
    return places.mix(FREQUENCY, district)


def render(labels: IntArray, districts: IntArray, seed: int, *, part: str, strength: float = 0.6) -> NDArray[np.uint8]:
    """Photographs of vehicles (n, 32, 32, 3); picture i depends on seed, part, i, its label and its district.

    `labels` and `districts` have shape (n,); labels index `CLASSES`. `strength` scales pose, blur, occlusion and noise.
    Raises `TrainingError` where the shapes differ or a label names no class.
    """
    return take("vehicles", len(CLASSES), _cutouts, labels, districts, seed, part=part, strength=strength)


def _cutouts(labels: IntArray, part: str, rng: np.random.Generator) -> Cutouts:
    masks, colours, lights = _models()
    model = torch.from_numpy(labels * MODELS + shown(MODELS, part, len(labels), rng))
    coat = torch.from_numpy(rng.integers(PAINTS, size=len(labels)))
    return coloured(masks[model], colours[model, coat], lights[model, coat])
