"""The demo, from its files to the last table, becomes its cost with the batched trainer beside that with plain PEFT.

Every run is a process of its own, `iovsim run demo --jobs 1`, so imports, world, engine, aggregation, evaluation and
recording are counted on both sides; traffic and drawn data were put into the cache before. Runs count only where both
trainers end every job alike.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from iovsim.bench.agreement import agreement
from iovsim.bench.rows import Cost, Row, Skipped, cost, costs_in_turn
from iovsim.config import load_scenario
from iovsim.domain import TrainerKind
from iovsim.errors import ResultsError
from iovsim.experiment.world import build_world
from iovsim.paths import shared_dir
from iovsim.results import open_run

REPEATS = 3
POLICY = "all-available"
SEED = 1
TASK = "[[tasks]]\n"
VARIANTS: Mapping[str, str] = {"all-layers": TASK, "top1": f"{TASK}lora = {{ top_blocks = 1 }}\n"}
"""Name -> how each task of the demo's file begins."""


def rows() -> Iterator[Row | Skipped]:
    """Adapters on all blocks, and on the top one alone."""
    original = (shared_dir("scenarios") / "demo.toml").read_text()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for variant, beginning in VARIANTS.items():
            world = folder / f"{variant}.toml"
            world.write_text(original.replace(TASK, beginning))
            yield from compared(f"demo/{variant}", world)


def compared(name: str, world: Path, *, n: int = REPEATS) -> Iterator[Row | Skipped]:
    """Wall and processor seconds of one run of the scenario, and how many times faster the batched trainer's is."""
    cache = world.parent / "cache"
    build_world(load_scenario(world), SEED, cache, lambda step, done: None)
    folders = {kind: world.parent / f"{world.stem}-{kind}" for kind in TrainerKind}
    ours, theirs = (partial(_run, world, folders[k], cache, k) for k in (TrainerKind.BATCHED, TrainerKind.PEFT))
    found = costs_in_turn(name, "s a run", ours, theirs, n=n, faster=True, warm_up=False)
    runs = [open_run(folders[k] / POLICY / f"seed-{SEED}") for k in (TrainerKind.BATCHED, TrainerKind.PEFT)]
    try:
        apart = agreement(*runs)
    except ResultsError as error:
        yield Skipped(name, str(error))
        return
    note = (
        f"{apart.jobs} jobs end alike; held-out accuracies differ by up to {apart.accuracy:.2g}, "
        f"any set's by up to {apart.answers:.0f} samples"
    )
    for row in found:
        yield replace(row, note=note)


def _run(world: Path, out: Path, cache: Path, trainer: TrainerKind) -> Cost:
    command = [
        *(sys.executable, "-c", "from iovsim.cli import main; main()", "run", str(world)),
        *("--policy", POLICY, "--seeds", str(SEED), "--jobs", "1", "--trainer", trainer, "--no-store"),
        *("--out", str(out), "--cache", str(cache), "--overwrite"),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return cost(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment))
