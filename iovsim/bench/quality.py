"""Labelled data become a table of what RoadViT's shipped weights are worth, beside random ones and full training.

Run `python -m iovsim.bench.quality --photographs FOLDER`, the folder holding `gtsrb32.npz` and `trafficlight32.npz` at
any depth; without it only the built-in data are measured. Every way of training gets the same samples, batches, number
of steps and number of learning rates to choose from, chosen on validation samples; held-out figures decide nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from iovsim.domain import Failure, LoraRule, Metrics, Recipe, Task, TrainJob, Tuning
from iovsim.energy import ARCHITECTURES
from iovsim.errors import ScenarioError, TrainingError
from iovsim.learning.backbones.backbone import Backbone
from iovsim.learning.backbones.roadvit import as_backbone, roadvit, untrained
from iovsim.learning.data.builtin import generate
from iovsim.learning.data.pictures import load_npz
from iovsim.learning.data.samples import Data, Samples, split, take
from iovsim.learning.prepared import LearningTask
from iovsim.learning.pretraining.probe import linear_probe
from iovsim.learning.trainer import PeftTrainer
from iovsim.results.intervals import interval, rounded
from iovsim.rng import seed_of, stream

SEEDS = (1, 2, 3)
CHOOSING_SEED = 0
STEPS = 300
BATCH = 16
MOST_TRAIN = 2400
RANK = 8
RATES: Mapping[Tuning, tuple[float, ...]] = {
    Tuning.LORA: (1e-3, 3e-3, 1e-2),
    Tuning.HEAD: (3e-3, 1e-2, 3e-2),
    Tuning.FULL: (3e-4, 1e-3, 3e-3),
}
BUILTIN = ("signs", "lights", "vehicles")
PHOTOGRAPHS = ("gtsrb32", "trafficlight32")


@dataclass(frozen=True, slots=True)
class Row:
    """One cell of the table: held-out scores by seed."""

    data: str
    way: str
    weights: str
    steps: int
    learning_rate: float | None
    accuracy: tuple[float, ...]
    macro_f1: tuple[float, ...]


def measure(name: str, data: Data, validation: Samples) -> Iterator[Row]:
    """All rows of one set: linear probe, head alone, LoRA and full training, on shipped and on random weights."""
    for weights in ("pretrained", "random"):
        probes = [
            linear_probe(_backbone(weights, seed), data) for seed in (SEEDS if weights == "random" else SEEDS[:1])
        ]
        yield Row(name, "linear probe", weights, 0, None, tuple(probes), ())
    for tuning in (Tuning.HEAD, Tuning.LORA, Tuning.FULL):
        for weights in ("pretrained", "random"):
            yield _trained(name, data, validation, tuning, weights)


def _trained(name: str, data: Data, validation: Samples, tuning: Tuning, weights: str) -> Row:
    epochs = -(-STEPS // -(-len(data.train) // BATCH))
    tried = {rate: _run(data, validation, tuning, weights, rate, epochs, CHOOSING_SEED)[1] for rate in RATES[tuning]}
    best = max(tried, key=lambda rate: tried[rate])
    found = [_run(data, validation, tuning, weights, best, epochs, seed)[0] for seed in SEEDS]
    way = {Tuning.HEAD: "head alone", Tuning.LORA: f"LoRA r = {RANK}", Tuning.FULL: "full training"}[tuning]
    steps = epochs * -(-len(data.train) // BATCH)
    scores = (tuple(m.accuracy for m in found), tuple(m.macro_f1 for m in found))
    return Row(name, way, weights, steps, best, *scores)


def _run(
    data: Data, validation: Samples, tuning: Tuning, weights: str, rate: float, epochs: int, seed: int
) -> tuple[Metrics, float]:
    """Held-out metrics and validation accuracy of one training."""
    classes = len(data.train.classes)
    task = Task(
        task="quality",
        classes=classes,
        ranks=(RANK,),
        lora=LoraRule(16.0),
        recipe=Recipe(learning_rate=rate, batch_size=BATCH),
        learning_rates={tuning: rate},
        local_epochs=epochs,
        local_head=False,
        round_energy_j=1.0,
        charged=ARCHITECTURES["roadvit"],
    )
    trainer = PeftTrainer({"quality": LearningTask(task, _backbone(weights, seed), data, validation)})
    start = trainer.initial("quality", RANK, seed_of(seed, "quality"), tuning)
    samples = np.arange(len(data.train), dtype=np.int64)
    job = TrainJob("quality", "", 0, "", start, samples, epochs, task.recipe, 0.0, seed_of(seed, "quality job"))
    update = trainer.train(job)
    if isinstance(update, Failure):
        raise TrainingError(update.message)
    found = trainer.evaluate("quality", update.adapter).overall
    return found, trainer.validate("quality", update.adapter).accuracy


def _backbone(weights: str, seed: int) -> Backbone:
    return roadvit() if weights == "pretrained" else as_backbone(untrained(seed), f"random-{seed}", "")


def sets(photographs: Path | None) -> Iterator[tuple[str, Data, Samples]]:
    """Name, data of at most 2,400 training samples, and validation samples taken out of the training pool.

    Raises `ScenarioError` where a file is missing.
    """
    for name in PHOTOGRAPHS if photographs else ():
        found = sorted(Path(photographs or ".").rglob(f"{name}.npz"))
        if not found:
            raise ScenarioError(f"--photographs {photographs}: no {name}.npz in it or below.")
        yield name, *_prepared(load_npz(found[0], test_fraction=0.2, seed=0))
    for name in BUILTIN:
        yield name, *_prepared(generate(name, train=MOST_TRAIN + 600, test=1000, districts=4, seed=0))


def _prepared(data: Data) -> tuple[Data, Samples]:
    part = split(data.train, "quality", 0.2, seed=0)
    kept = part.train
    if len(kept) > MOST_TRAIN:
        kept = take(kept, np.sort(stream(0, "quality").permutation(len(kept))[:MOST_TRAIN]))
    return replace(data, train=kept), part.test


def table(rows: list[Row]) -> str:
    """The rows as Markdown: mean over seeds with 95 % t interval."""
    lines = ["| data | way | weights | steps | rate | accuracy | macro F1 |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        scores = [rounded(interval(values), len(values)) if values else "" for values in (row.accuracy, row.macro_f1)]
        rate = "" if row.learning_rate is None else f"{row.learning_rate:g}"
        lines.append(f"| {row.data} | {row.way} | {row.weights} | {row.steps or ''} | {rate} | {' | '.join(scores)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=Path("runs/quality"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for name, data, validation in sets(given.photographs):
        for row in measure(name, data, validation):
            rows.append(row)
            print(table([row]).splitlines()[-1], flush=True)
            (given.out / "quality.json").write_text(json.dumps([asdict(r) for r in rows], indent=1))
            (given.out / "quality.md").write_text(table(rows))


if __name__ == "__main__":
    main()
