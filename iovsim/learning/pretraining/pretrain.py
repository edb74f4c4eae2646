"""Turns nothing but formulas into RoadViT's shipped weights: it learns to read random composites, part by part.

Every picture is drawn for the occasion (see `exercises`) under random pose, light and weather. The network answers
questions about the parts (multi-task classification); it is never shown real data. The shipped weights are half-way
between version 1, 8000 batches of such signs alone (its script and file are in the repository's history), and what

    python -m iovsim.learning.pretraining.pretrain --seed 0 --steps 6500 --start VERSION_1 --blend 0.5

made of it: the mean keeps what the first had learned of signs (Wortsman et al., "Robust fine-tuning of zero-shot
models", CVPR 2022).
"""

from __future__ import annotations

import argparse
import hashlib
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from iovsim.learning.backbones.roadvit import WEIGHTS, WIDTH, RoadViT, to_input, trained, untrained
from iovsim.learning.pretraining.exercises import UNASKED, draw_batch, make_parts
from iovsim.learning.threads import use_one_thread
from iovsim.rng import stream

VERSION = "2"  # raise it with every change that changes the weights
BATCH = 128
PEAK_RATE = 1e-3
WEIGHT_DECAY = 0.05
SMOOTHING = 0.1
HARD_AFTER = 0.15  # part of the training after which pictures are as hard as they get: easy ones first teach faster
WEIGHT = {"figure": 1.0, "body": 1.0, "weather": 0.1, "brightness": 0.1}  # in the loss; other questions count 0.25
SHOWN = 200  # steps between two lines of progress
KEPT = 500  # steps between two files of unfinished weights


class Reader(nn.Module):
    """RoadViT with one linear answer layer for each question."""

    def __init__(self, trunk: RoadViT, answers: dict[str, int]) -> None:
        super().__init__()
        self.trunk = trunk
        self.questions = nn.ModuleDict({name: nn.Linear(WIDTH, count) for name, count in answers.items()})

    def loss(self, x: Tensor, answers: Tensor) -> Tensor:
        """Weighted sum of the questions' cross-entropies, each over the pictures it was asked of; per picture."""
        read = self.trunk(x).float()
        total = torch.zeros((), device=read.device)
        for k, (name, question) in enumerate(self.questions.items()):
            missed = functional.cross_entropy(
                question(read), answers[:, k], ignore_index=UNASKED, label_smoothing=SMOOTHING, reduction="sum"
            )
            total = total + WEIGHT.get(name, 0.25) * missed / len(x)
        return total


def train(start: RoadViT, seed: int, steps: int, device: str, keep: Callable[[RoadViT, int], None]) -> RoadViT:
    """Trains `start` for `steps` batches; `keep` is told the network and the steps done, now and then and at the end.

    The same seed and steps give the same weights on the same machine. AdamW (Loshchilov and Hutter, ICLR 2019), warm-up
    over a twentieth of the steps, then a half cosine; the matrix products run in bfloat16.
    """
    use_one_thread()
    torch.manual_seed(seed)
    parts = make_parts()
    reader = Reader(start, parts.answers).train().to(device)
    optimiser = torch.optim.AdamW(reader.parameters(), lr=PEAK_RATE, weight_decay=WEIGHT_DECAY)
    began, shown = time.monotonic(), 0.0
    for step in range(steps):
        done = step / steps
        for group in optimiser.param_groups:
            group["lr"] = PEAK_RATE * min(done / 0.05 + 1e-3, 0.5 * (1 + math.cos(math.pi * done)))
        images, answers = draw_batch(parts, BATCH, stream(seed, "pretrain", step), min(1.0, done / HARD_AFTER))
        with torch.autocast(device, torch.bfloat16):
            loss = reader.loss(to_input(images).to(device), torch.from_numpy(answers).to(device))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimiser.step()
        shown = loss.item() if step == 0 else 0.98 * shown + 0.02 * loss.item()
        if (step + 1) % SHOWN == 0:
            speed = (step + 1) * BATCH / (time.monotonic() - began)
            print(f"step {step + 1}  loss {shown:.3f}  {speed:.0f} images/s", flush=True)
        if (step + 1) % KEPT == 0 or step + 1 == steps:
            keep(reader.trunk, step + 1)
    return reader.trunk.cpu()


def half(model: RoadViT) -> dict[str, Tensor]:
    """The weights in float16, as they are kept; a copy of their own."""
    return {name: tensor.detach().cpu().half().contiguous() for name, tensor in model.state_dict().items()}


def blended(start: dict[str, Tensor], end: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """The weights that lie `share` of the way from `start` to `end`."""
    return {name: ((1 - share) * start[name].float() + share * end[name].float()).half() for name in start}


def save(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Writes the weights as safetensors, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    save_file(tensors, unfinished, metadata)
    unfinished.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, required=True, help=f"batches of {BATCH}")
    parser.add_argument("--start", type=Path, help="weights to go on from; without it, random ones drawn by the seed")
    parser.add_argument("--blend", type=float, default=1.0, help="how much of the way from the start is kept, 0 to 1")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    given = parser.parse_args()
    device = given.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"

    start = trained(given.start) if given.start else untrained(given.seed)
    first = half(start)
    facts = {
        "seed": str(given.seed),
        "start": hashlib.sha256(given.start.read_bytes()).hexdigest() if given.start else "random",
        "blend": str(given.blend),
        "script_version": VERSION,
    }

    def keep(model: RoadViT, steps: int) -> None:
        done = {"steps": str(steps), "images": str(steps * BATCH)}
        save(blended(first, half(model), given.blend), given.out, facts | done)

    train(start, given.seed, given.steps, device, keep)
    print(f"{given.out}: {given.steps} steps, {given.steps * BATCH} images")


if __name__ == "__main__":
    main()
