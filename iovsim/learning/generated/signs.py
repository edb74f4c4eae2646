"""Turns class labels and districts into photographs of procedurally drawn road signs: the built-in perception data.

The 43 classes are drawings of ours in the manner of the Vienna Convention on Road Signs and Signals (1968); no picture
of a real sign is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iovsim.domain import FloatArray, IntArray
from iovsim.learning.generated.album import take
from iovsim.learning.generated.glyphs import pictogram, plate
from iovsim.learning.generated.scene import Cutouts

COLOURS = {
    "white": (0.92, 0.92, 0.9),
    "red": (0.78, 0.1, 0.12),
    "blue": (0.08, 0.25, 0.68),
    "yellow": (0.93, 0.76, 0.1),
    "black": (0.07, 0.07, 0.08),
    "green": (0.05, 0.45, 0.25),
    "grey": (0.5, 0.5, 0.52),
}


@dataclass(frozen=True, slots=True)
class Sign:
    """One class: a plate with a rim, a pictogram on it and, for ends and bans, a stroke across."""

    name: str
    shape: str
    rim: str
    fill: str
    figure: str = "none"
    ink: str = "black"
    stroke: str = "none"
    stroke_ink: str = "red"


def _warning(name: str, figure: str) -> Sign:
    return Sign(name, "triangle", "red", "white", figure)


def _order(name: str, figure: str) -> Sign:
    return Sign(name, "circle", "white", "blue", figure, "white")


SIGNS: tuple[Sign, ...] = (
    *(Sign(f"speed limit {v}", "circle", "red", "white", f"={v}") for v in (20, 30, 50, 60, 70, 80, 100, 120)),
    Sign("end of speed limit 80", "circle", "white", "white", "=80", "grey", "stripes", "black"),
    Sign("no overtaking", "circle", "red", "white", "two_cars"),
    Sign("no overtaking by lorries", "circle", "red", "white", "lorry"),
    Sign("no cars", "circle", "red", "white", "car"),
    Sign("no vehicles", "circle", "red", "white"),
    Sign("no entry", "circle", "red", "red", "bar", "white"),
    Sign("no left turn", "circle", "red", "white", "turn:m", stroke="slash"),
    Sign("no right turn", "circle", "red", "white", "turn", stroke="slash"),
    Sign("end of all bans", "circle", "white", "white", stroke="stripes", stroke_ink="black"),
    Sign("no stopping", "circle", "red", "blue", "cross", "red"),
    Sign("stop", "octagon", "white", "red", "=STOP", "white"),
    Sign("give way", "inverted", "red", "white"),
    Sign("priority road", "diamond", "white", "yellow"),
    Sign("end of priority road", "diamond", "white", "yellow", stroke="stripes", stroke_ink="black"),
    _warning("danger", "exclamation"),
    _warning("priority at crossing", "crossing"),
    _warning("bend to the right", "bend"),
    _warning("bend to the left", "bend:m"),
    _warning("double bend", "zigzag"),
    _warning("humps", "humps"),
    _warning("slippery road", "skid"),
    _warning("road narrows", "narrows"),
    _warning("road works", "worker"),
    _warning("traffic lights", "lights"),
    _warning("pedestrians", "walker"),
    _warning("children", "children"),
    _warning("ice or snow", "snowflake"),
    _warning("wild animals", "deer"),
    _order("straight ahead", "up"),
    _order("turn right", "turn"),
    _order("turn left", "turn:m"),
    _order("straight or right", "fork"),
    _order("keep right", "keep"),
    _order("roundabout", "roundabout"),
    Sign("one way", "arrow_right", "white", "blue", "up:90", "white"),
)
CLASSES = tuple(sign.name for sign in SIGNS)


def template(sign: Sign) -> Tensor:
    """The sign seen straight on: RGB in [0, 1] times coverage, and coverage, (4, 64, 64)."""
    rim_width = 0.86 if sign.rim == "white" else 0.76
    picture = torch.tensor(COLOURS[sign.rim]).view(3, 1, 1).expand(3, 64, 64)
    layers = (
        (sign.fill, plate(sign.shape, rim_width)),
        (sign.ink, _inset(sign.shape, pictogram(sign.figure))),
        (sign.stroke_ink, pictogram(sign.stroke)),
    )
    for colour, mask in layers:
        cover = torch.from_numpy(mask)
        picture = picture * (1 - cover) + torch.tensor(COLOURS[colour]).view(3, 1, 1) * cover
    cover = torch.from_numpy(plate(sign.shape))[None]
    return torch.cat((picture * cover, cover))


def _inset(shape: str, mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shrinks a pictogram to what a triangle or an arrow plate leaves free, and moves it to the plate's middle."""
    if shape not in {"triangle", "inverted", "arrow_right", "arrow_left"}:
        return mask
    zoom = 1.55
    shift = {"triangle": -0.2, "inverted": 0.2}.get(shape, 0.0)
    affine = torch.tensor([[[zoom, 0.0, 0.0], [0.0, zoom, zoom * shift]]])
    grid = torch.nn.functional.affine_grid(affine, [1, 1, *mask.shape], align_corners=False)
    small = torch.nn.functional.grid_sample(torch.from_numpy(mask)[None, None], grid, align_corners=False)
    return small[0, 0].numpy()


@lru_cache(maxsize=1)
def _templates() -> Tensor:
    return torch.stack([template(sign) for sign in SIGNS])


def class_mix(district: int) -> FloatArray:
    """How often each class is seen in a district (43,): every sign as often as any other, everywhere."""
    return np.full(len(SIGNS), 1 / len(SIGNS))


def render(labels: IntArray, districts: IntArray, seed: int, *, part: str, strength: float = 1.0) -> NDArray[np.uint8]:
    """Photographs of signs (n, 32, 32, 3); image i depends on seed, part, i, its label and its district.

    `labels` and `districts` have shape (n,); labels index `SIGNS`. `strength` scales pose, blur, occlusion and noise.
    Raises `TrainingError` where the shapes differ or a label names no sign.
    """
    return take("signs", len(SIGNS), _cutouts, labels, districts, seed, part=part, strength=strength)


def _cutouts(labels: IntArray, part: str, rng: np.random.Generator) -> Cutouts:
    return Cutouts(_templates()[torch.from_numpy(labels)])
