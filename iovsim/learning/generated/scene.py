"""Turns cut-outs (templates with coverage) into photographs: pose, background, occlusion, blur, light and weather."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

SIDE = 32  # pixels of an image's side
WEATHERS = ("clear", "rain", "fog", "snow", "night")


@dataclass(frozen=True, slots=True)
class Climate:
    """What the place does to a picture. `weather` holds one probability for each of `WEATHERS`."""

    weather: tuple[float, ...] = (0.4, 0.15, 0.15, 0.15, 0.15)
    brightness: float = 1.0
    warmth: float = 0.0  # red against blue, -0.2 to 0.2
    clutter: float = 1.0  # contrast of the background
    backdrop: tuple[float, float, float] = (0.45, 0.48, 0.45)


@dataclass(frozen=True, slots=True, eq=False)
class Cutouts:
    """What is photographed: `templates` (n, 4, s, s), colour (RGB) times coverage and coverage, all in [0, 1].

    `glow` (n, 3, s, s) is light that they give off by themselves: it spreads, and outshines the night.
    """

    templates: Tensor
    glow: Tensor | None = None


@dataclass(frozen=True, slots=True)
class _Draws:
    """Random numbers for a batch of n images: tensors (n, *shape)."""

    n: int
    rng: np.random.Generator

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.from_numpy(self.rng.random((self.n, *shape), dtype=np.float32))

    def normal(self, *shape: int) -> Tensor:
        return torch.from_numpy(self.rng.standard_normal((self.n, *shape), dtype=np.float32))


def photograph(
    cutouts: Cutouts, climates: Sequence[Climate], rng: np.random.Generator, strength: float = 1.0
) -> NDArray[np.uint8]:
    """Photographs n cut-outs -> images (n, 32, 32, 3).

    `strength` scales pose, blur, occlusion and noise. All laws here are ours. The draws depend on n alone, so a caller
    that always asks for the same n gets image i independent of the other images.
    """
    n, glow = len(cutouts.templates), cutouts.glow
    draw = _Draws(n, rng)
    brightness = torch.tensor([c.brightness for c in climates])
    warmth = torch.tensor([c.warmth for c in climates])
    clutter = torch.tensor([c.clutter for c in climates])
    backdrop = torch.tensor([c.backdrop for c in climates])
    bounds = np.cumsum([c.weather for c in climates], axis=1)
    weather = torch.from_numpy((rng.random((n, 1)) * bounds[:, -1:] > bounds[:, :-1]).sum(axis=1))

    # Colours come times coverage, else a template's surroundings bleed into the scene where edges are mixed.
    poses = _poses(draw, strength)
    moved = functional.grid_sample(cutouts.templates, poses, align_corners=False)  # bilinear, zero outside
    moved = functional.avg_pool2d(moved, 2)
    colour, cover = moved[:, :3], moved[:, 3:]
    colour = colour * (1 + 0.15 * draw.normal(3, 1, 1)).clamp(0.6, 1.4) + 0.04 * draw.normal(3, 1, 1) * cover
    image = colour + (1 - cover) * _backgrounds(draw, clutter, backdrop)
    if glow is not None:
        coarse = poses.view(n, SIDE, 2, SIDE, 2, 2).mean(dim=(2, 4))  # light is soft: half the points will do
        light = functional.grid_sample(glow, coarse, align_corners=False)
        image = image + light
    image = _occlude(image, draw, strength)
    image = _blur(image, draw, strength)
    image = _shine(image, draw, brightness, warmth)
    image = _weather(image, weather, draw)
    if glow is not None:
        image = image + _halo(light, weather)
    image = image + strength * draw.uniform(0.0, 0.04, 1, 1, 1) * draw.normal(3, SIDE, SIDE)
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).contiguous().numpy()


def _poses(draw: _Draws, strength: float) -> Tensor:
    """Sampling grids (n, 64, 64, 2): the inverse homographies of random scale, rotation, stretch, shift and tilt."""
    n = draw.n
    zoom = draw.uniform(0.98, 0.98 + 0.55 * strength)
    stretch = 1 + strength * draw.uniform(-0.12, 0.12)
    angle = strength * draw.uniform(-0.26, 0.26)
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    shift_x, shift_y = strength * draw.uniform(-0.16, 0.16), strength * draw.uniform(-0.16, 0.16)
    tilt_x, tilt_y = strength * draw.uniform(-0.25, 0.25), strength * draw.uniform(-0.25, 0.25)
    ones = torch.ones(n)
    rows = (cos * stretch, -sin, shift_x, sin, cos / stretch, shift_y, tilt_x, tilt_y, ones)
    matrix = torch.stack(rows, dim=1).view(n, 3, 3)
    axis = (torch.arange(2 * SIDE) + 0.5) / SIDE - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack((x, y, torch.ones_like(x)), dim=-1).view(-1, 3)
    mapped = points @ matrix.transpose(1, 2)
    return (mapped[..., :2] / mapped[..., 2:].clamp_min(0.2)).view(n, 2 * SIDE, 2 * SIDE, 2)


def _backgrounds(draw: _Draws, clutter: Tensor, backdrop: Tensor) -> Tensor:
    """Soft colour patches at two scales, a horizon and a post: what stands behind a sign."""
    patches = 0.8 * draw.normal(1, 3, 3) + 0.5 * draw.normal(3, 3, 3)  # more grey than colour, as streets are
    coarse = functional.interpolate(patches, size=SIDE, mode="bilinear", align_corners=False)
    fine = functional.interpolate(draw.normal(1, 10, 10), size=SIDE, mode="bilinear", align_corners=False)
    scene = backdrop[:, :, None, None] + clutter[:, None, None, None] * (0.16 * coarse + 0.12 * fine)
    axis = torch.arange(SIDE) / SIDE
    horizon = torch.sigmoid((draw.uniform(0, 1.5, 1, 1, 1) - axis.view(1, 1, -1, 1)) * 24)
    scene = scene + horizon * draw.uniform(-0.3, 0.5, 1, 1, 1)
    from_post = (axis.view(1, 1, 1, -1) - draw.uniform(0.0, 1.0, 1, 1, 1)).abs()
    post = (from_post < draw.uniform(-0.05, 0.08, 1, 1, 1)).float()
    return scene * (1 - post) + post * draw.uniform(0.1, 0.8, 1, 1, 1)


def _occlude(image: Tensor, draw: _Draws, strength: float) -> Tensor:
    """Covers, in a part of the images, a half-plane or a disk with one colour."""
    axis = torch.arange(SIDE) / (SIDE / 2) - 1
    y, x = axis.view(1, -1, 1), axis.view(1, 1, -1)
    turn = draw.uniform(0, 2 * np.pi, 1, 1)
    edge = x * torch.cos(turn) + y * torch.sin(turn) > draw.uniform(0.5, 1.2, 1, 1)
    far = (x - draw.uniform(-0.9, 0.9, 1, 1)) ** 2 + (y - draw.uniform(-0.9, 0.9, 1, 1)) ** 2
    disk = far < draw.uniform(0.0, 0.4, 1, 1) ** 2
    pick = draw.uniform(0, 1, 1, 1)
    cover = torch.where(pick < 0.12 * strength, edge, (pick < 0.24 * strength) & disk).float()[:, None]
    return image * (1 - cover) + cover * draw.uniform(0.0, 0.8, 3, 1, 1)


def _blur(image: Tensor, draw: _Draws, strength: float) -> Tensor:
    """Convolves each image with its own 5 x 5 Gaussian, longer in one direction (defocus and motion)."""
    n = len(image)
    wide, narrow = 0.3 + strength * draw.uniform(0, 1.25), 0.3 + strength * draw.uniform(0, 0.6)
    turn = draw.uniform(0, np.pi)
    axis = torch.arange(-2.0, 3.0)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    cos, sin = torch.cos(turn).view(n, 1, 1), torch.sin(turn).view(n, 1, 1)
    along, across = cos * x + sin * y, cos * y - sin * x
    kernel = torch.exp(-0.5 * ((along / wide.view(n, 1, 1)) ** 2 + (across / narrow.view(n, 1, 1)) ** 2))
    kernel = (kernel / kernel.sum(dim=(1, 2), keepdim=True)).repeat_interleave(3, dim=0)[:, None]
    padded = functional.pad(image, (2, 2, 2, 2), mode="replicate").view(1, 3 * n, SIDE + 4, SIDE + 4)
    return functional.conv2d(padded, kernel, groups=3 * n).view(n, 3, SIDE, SIDE)


def _shine(image: Tensor, draw: _Draws, brightness: Tensor, warmth: Tensor) -> Tensor:
    """Exposure, contrast, colour temperature and a soft shadow across the picture."""
    n = len(image)
    axis = torch.arange(SIDE) / (SIDE / 2) - 1
    turn = draw.uniform(0, 2 * np.pi, 1, 1)
    slope = axis.view(1, -1, 1) * torch.sin(turn) + axis.view(1, 1, -1) * torch.cos(turn)
    shade = 1 - draw.uniform(0, 0.5, 1, 1) * torch.sigmoid(8 * (slope - draw.uniform(-0.6, 1.2, 1, 1)))
    tint = torch.stack((1 + warmth, torch.ones(n), 1 - warmth), dim=1) * (1 + draw.uniform(-0.06, 0.06, 3))
    gain = brightness * torch.exp(draw.uniform(-0.6, 0.3))
    contrast = draw.uniform(0.55, 1.15).view(n, 1, 1, 1)
    lit = image * shade[:, None] * tint[:, :, None, None] * gain.view(n, 1, 1, 1)
    mean = lit.mean(dim=(1, 2, 3), keepdim=True)
    return mean + contrast * (lit - mean)


def _weather(image: Tensor, weather: Tensor, draw: _Draws) -> Tensor:
    """Rain streaks, fog, snow flakes or night, by the index into `WEATHERS`."""
    n = len(image)
    amount = draw.uniform(0.25, 0.7, 1, 1, 1)

    def of(kind: str) -> Tensor:
        return (weather == WEATHERS.index(kind)).float().view(n, 1, 1, 1)

    specks = torch.from_numpy((draw.rng.random((n, 1, SIDE, SIDE), dtype=np.float32) > 0.97).astype(np.float32))
    streaks = functional.avg_pool2d(functional.pad(specks, (0, 0, 4, 4)), (9, 1), stride=1) * 3.0
    flakes = functional.max_pool2d(specks, 2, stride=1, padding=1)[:, :, :SIDE, :SIDE]
    image = image + of("rain") * amount * (0.7 * streaks - 0.25 * image)
    image = image + of("fog") * amount * (0.72 - image)
    image = image + of("snow") * (1.1 * amount * flakes * (0.95 - image) + 0.25 * amount * (0.8 - image))
    dark = torch.tensor([0.75, 0.8, 1.0]).view(1, 3, 1, 1) * (0.7 - 0.45 * amount)
    return image + of("night") * (image * dark - image + 0.03)


def _halo(light: Tensor, weather: Tensor) -> Tensor:
    """Light scattered on its way to the camera: a little by day, much by night and in fog."""
    share = torch.tensor([{"night": 0.9, "fog": 0.5, "rain": 0.4}.get(kind, 0.2) for kind in WEATHERS])
    near = functional.avg_pool2d(light, 3, stride=1, padding=1)
    far = functional.avg_pool2d(functional.avg_pool2d(light, 4), 3, stride=1, padding=1)
    far = functional.interpolate(far, size=SIDE, mode="bilinear", align_corners=False)
    return share[weather].view(-1, 1, 1, 1) * (0.8 * near + 1.2 * far)
