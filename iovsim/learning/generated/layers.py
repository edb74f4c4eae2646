"""Turns drawings in numbered layers into cut-outs: every layer takes a colour and, if it is a lamp, gives light."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from iovsim.learning.generated.drawings import Stroke
from iovsim.learning.generated.glyphs import FINE, OVERSAMPLE, SIZE, draw_stroke
from iovsim.learning.generated.scene import Cutouts

Layered = tuple[tuple[int, Stroke], ...]  # layers' numbers and what is drawn in them, later over earlier
NOTHING = 255  # marks pixels that no layer covers


def mirrored(drawing: Layered) -> Layered:
    """Left and right exchanged."""
    return tuple((layer, Stroke(s.kind, tuple((-x, y) for x, y in s.points), s.size)) for layer, s in drawing)


def shares(drawing: Layered, layers: int) -> NDArray[np.uint8]:
    """How much of each pixel shows each layer, in 255ths: (layers, 64, 64); what is covered by others does not show."""
    image = Image.new("L", (FINE, FINE), NOTHING)
    draw = ImageDraw.Draw(image)
    for layer, stroke in drawing:
        draw_stroke(draw, stroke, layer)
    shown = np.asarray(image).reshape(SIZE, OVERSAMPLE, SIZE, OVERSAMPLE).swapaxes(1, 2).reshape(SIZE, SIZE, -1)
    parts = [(shown == layer).sum(axis=2) for layer in range(layers)]
    return (np.stack(parts) * (255 / OVERSAMPLE**2)).round().astype(np.uint8)


def library(drawings: Iterable[Layered], layers: int) -> Tensor:
    """The shares of many drawings, uint8 (drawings, layers, 64, 64)."""
    return torch.from_numpy(np.stack([shares(drawing, layers) for drawing in drawings]))


def coloured(masks: Tensor, colours: Tensor, lights: Tensor) -> Cutouts:
    """Layers' shares uint8 (n, layers, s, s), colours and lights (n, layers, 3) -> cut-outs for `photograph`."""
    n, layers, side, _ = masks.shape
    planes = torch.cat((colours, torch.ones(n, layers, 1), lights), dim=2).transpose(1, 2) / 255
    seen = torch.bmm(planes, masks.view(n, layers, -1).float()).view(n, -1, side, side)
    return Cutouts(seen[:, :4], seen[:, 4:])
