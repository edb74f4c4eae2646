"""Turns nothing but formulas into RoadViT's shipped weights: it learns to read random signs apart, part by part.

Run `python -m iovsim.learning.pretrain --seed 0 --minutes 35 --out iovsim/learning/weights/roadvit.safetensors`.
Every picture is drawn for the occasion: a random plate, rim, colours, stroke and one of some hundred figures (numbers,
letters, arrows, drawings and random blobs), photographed under random pose, light and weather. The network names each
part (multi-task classification); real data are never touched.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from iovsim.learning.drawings import DRAWINGS
from iovsim.learning.glyphs import SHAPES, SIZE, pictogram, plate
from iovsim.learning.roadvit import WEIGHTS, WIDTH, RoadViT, to_input, untrained
from iovsim.learning.scene import Climate, photograph
from iovsim.learning.signs import COLOURS
from iovsim.rng import stream

VERSION = "1"  # raise it with every change that changes the weights
BATCH = 128
PEAK_RATE = 1.5e-3
WEIGHT_DECAY = 0.05
SMOOTHING = 0.1
HARD_AFTER = 0.3  # part of the training after which pictures are as hard as they get: easy ones first teach faster
STROKES = ("none", "slash", "stripes")
RIMS = (0.95, 0.86, 0.76)
BLOBS = 160
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


def figure_names() -> list[str]:
    """Every figure the network must tell apart, before those that look alike are dropped."""
    numbers = [f"={n}" for n in (*range(10), *range(10, 100, 5), 37, 48, 64, 73, 86, 92, *range(100, 140, 10))]
    letters = [f"={chr(c)}" for c in range(ord("A"), ord("Z") + 1)] + [f"={word}" for word in WORDS]
    drawings = [f"{name}{pose}" for name in DRAWINGS for pose in ("", ":m")]
    turned = [f"{name}:{side}{turn}" for name in DIRECTED for side in ("", "m") for turn in (90, 180, 270)]
    return [*drawings, *turned, *numbers, *letters, *(f"blob={k}" for k in range(BLOBS))]


def _distinct(masks: list[Tensor], least: float = 0.012) -> list[Tensor]:
    """Drops every mask whose mean absolute difference from an earlier one is below `least` (mirror twins, O and 0)."""
    kept: list[Tensor] = []
    for mask in masks:
        if all(float((mask - other).abs().mean()) >= least for other in kept):
            kept.append(mask)
    return kept


@dataclass(frozen=True, slots=True)
class Parts:
    """The masks and colours that random signs are put together from, each with SIZE x SIZE pixels."""

    plates: Tensor  # (shapes, s, s)
    insides: Tensor  # (shapes, rims, s, s)
    figures: Tensor  # (figures, s, s)
    strokes: Tensor  # (strokes, s, s)
    colours: Tensor  # (colours, 3)

    @property
    def answers(self) -> tuple[int, ...]:
        """How many answers each question has: figure, shape, stroke, and the colours of rim, fill and ink."""
        colours = len(self.colours)
        return (len(self.figures), len(self.plates), len(self.strokes), colours, colours, colours)


def make_parts() -> Parts:
    return Parts(
        plates=torch.stack([torch.from_numpy(plate(s)) for s in SHAPES]),
        insides=torch.stack([torch.stack([torch.from_numpy(plate(s, r)) for r in RIMS]) for s in SHAPES]),
        figures=torch.stack(_distinct([torch.from_numpy(pictogram(name)) for name in figure_names()])),
        strokes=torch.stack([torch.from_numpy(pictogram(name)) for name in STROKES]),
        colours=torch.tensor(list(COLOURS.values())),
    )


def draw_batch(parts: Parts, n: int, rng: np.random.Generator, hardship: float) -> tuple[Tensor, Tensor]:
    """Random photographs as the network takes them (n, 3, 32, 32), and the right answers (n, questions).

    `hardship` from 0 to 1 scales pose, blur, occlusion and bad weather.
    """
    figures, shapes, strokes, colours = (int(count) for count in parts.answers[:4])
    figure, shape = rng.integers(figures, size=n), rng.integers(shapes, size=n)
    stroke = rng.choice(strokes, size=n, p=(0.8, 0.1, 0.1))
    rim, fill = rng.integers(colours, size=n), rng.integers(colours, size=n)
    ink = (fill + rng.integers(1, colours, size=n)) % colours
    answers = torch.from_numpy(np.stack((figure, shape, stroke, rim, fill, ink), axis=1))

    def tint(index: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Tensor:
        noise = torch.from_numpy(rng.normal(0, 0.05, (n, 3)).astype(np.float32))
        return (parts.colours[torch.from_numpy(index)] + noise).clamp(0, 1).view(n, 3, 1, 1)

    picture = tint(rim).expand(n, 3, SIZE, SIZE)
    inside = parts.insides[torch.from_numpy(shape), torch.from_numpy(rng.integers(len(RIMS), size=n))]
    inner = _moved(parts.figures[torch.from_numpy(figure)], rng)
    across = parts.strokes[torch.from_numpy(stroke)]
    for colour, mask in ((tint(fill), inside), (tint(ink), inner), (tint(rng.integers(colours, size=n)), across)):
        picture = torch.lerp(picture, colour, mask[:, None])
    cover = parts.plates[torch.from_numpy(shape)][:, None]
    images = photograph(torch.cat((picture, cover), dim=1), _climates(n, rng, hardship), rng, 0.3 + 0.7 * hardship)
    return to_input(images), answers


def _moved(masks: Tensor, rng: np.random.Generator) -> Tensor:
    """Figures a little larger or smaller, shifted and turned on their plates."""
    n = len(masks)
    zoom, turn = rng.uniform(0.9, 1.7, n), rng.normal(0, 0.08, n)
    cos, sin = zoom * np.cos(turn), zoom * np.sin(turn)
    x, y = rng.normal(0, 0.1, n), rng.normal(0, 0.14, n)
    affine = np.stack((np.stack((cos, -sin, x), axis=1), np.stack((sin, cos, y), axis=1)), axis=1)
    grid = functional.affine_grid(torch.from_numpy(affine.astype(np.float32)), [n, 1, SIZE, SIZE], align_corners=False)
    return functional.grid_sample(masks[:, None], grid, align_corners=False)[:, 0]


def _climates(n: int, rng: np.random.Generator, hardship: float) -> list[Climate]:
    backdrops = rng.uniform(0.15, 0.75, (n, 3))
    return [
        Climate(
            weather=(1 - 0.48 * hardship, *[0.12 * hardship] * 4),
            brightness=float(rng.uniform(0.6, 1.3)),
            warmth=float(rng.uniform(-0.15, 0.15)),
            clutter=float(rng.uniform(0.3, 1.6)),
            backdrop=(float(backdrop[0]), float(backdrop[1]), float(backdrop[2])),
        )
        for backdrop in backdrops
    ]


class Reader(nn.Module):
    """RoadViT with one linear answer layer for each question about a sign."""

    def __init__(self, body: RoadViT, answers: tuple[int, ...]) -> None:
        super().__init__()
        self.body = body
        self.questions = nn.ModuleList(nn.Linear(WIDTH, count) for count in answers)

    def loss(self, x: Tensor, answers: Tensor) -> Tensor:
        """Mean cross-entropy, the figure counted 1 and every other question 0.25."""
        read = self.body.features(x).float()
        total = torch.zeros(())
        for k, question in enumerate(self.questions):
            weight = 1.0 if k == 0 else 0.25
            total = total + weight * functional.cross_entropy(question(read), answers[:, k], label_smoothing=SMOOTHING)
        return total


def train(seed: int, steps: int, *, minutes: float | None = None) -> tuple[RoadViT, int]:
    """Trains for `steps` batches, or for as many as fit into `minutes`; returns the network and the steps done.

    The same seed and steps give the same weights on the same machine. AdamW (Loshchilov and Hutter, ICLR 2019), warm-up
    over a twentieth of the steps, then a half cosine; the matrix products run in bfloat16.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    parts = make_parts()
    reader = Reader(untrained(1, seed), parts.answers).train()
    optimiser = torch.optim.AdamW(reader.parameters(), lr=PEAK_RATE, weight_decay=WEIGHT_DECAY)
    start, step, shown = time.monotonic(), 0, 0.0
    while step < steps:
        done = step / steps if minutes is None else (time.monotonic() - start) / (60 * minutes)
        if done >= 1:
            break
        rate = PEAK_RATE * min(done / 0.05 + 1e-3, 0.5 * (1 + math.cos(math.pi * done)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        x, answers = draw_batch(parts, BATCH, stream(seed, "pretrain", step), min(1.0, done / HARD_AFTER))
        with torch.autocast("cpu", torch.bfloat16):
            loss = reader.loss(x, answers)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimiser.step()
        step += 1
        shown = loss.item() if step == 1 else 0.98 * shown + 0.02 * loss.item()
        if step % 200 == 0:
            print(
                f"step {step}  loss {shown:.3f}  {step * BATCH / (time.monotonic() - start):.0f} images/s", flush=True
            )
    return reader.body, step


def save(model: RoadViT, path: Path, metadata: dict[str, str]) -> None:
    """Writes everything but the head as float16 safetensors, whole or not at all."""
    tensors = {k: v.half().contiguous() for k, v in model.state_dict().items() if not k.startswith("head.")}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    save_file(tensors, unfinished, metadata)
    unfinished.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=None, help=f"batches of {BATCH}; repeatable")
    parser.add_argument("--minutes", type=float, default=None, help="stop by the clock instead; not repeatable")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    given = parser.parse_args()
    if (given.steps is None) == (given.minutes is None):
        parser.error("give either --steps or --minutes.")
    model, steps = train(given.seed, given.steps or 10**9, minutes=given.minutes)
    facts = {"seed": given.seed, "steps": steps, "images": steps * BATCH, "script_version": VERSION}
    save(model, given.out, {name: str(value) for name, value in facts.items()})
    print(f"{given.out}: {steps} steps, {steps * BATCH} images")


if __name__ == "__main__":
    main()
