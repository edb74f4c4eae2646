"""Training 64 vehicles in a fresh process (`python -m iovsim.bench.memory SIDE BLOCKS`) becomes its peak memory in MiB.

Counted is the peak resident set while all of them train (VmHWM, begun anew) less the resident set just before: after
the base, the data, the trainer and the vehicles' adapters were made, one vehicle was trained on the first samples, so
that kernels and their buffers are there, and free memory was given back to the system. So the peak holds activations,
gradients, optimisers, updates, PEFT's models of further ranks, and all kept states but those of the first 64 samples.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from iovsim.bench.rows import Row, Skipped, in_turn, status_mib
from iovsim.bench.training import POOL, SHARD, Bench, Case, jobs_of
from iovsim.domain import Failure, TrainJob, Update
from iovsim.errors import TrainingError
from iovsim.learning.batched.trainer import BatchedTrainer
from iovsim.learning.threads import use_one_thread
from iovsim.learning.trainer import PeftTrainer
from iovsim.rng import stream

REPEATS = 5
VEHICLES = 64
BATCH = 8
BLOCKS = {"all": None, "top1": 1}
CLEAR = Path("/proc/self/clear_refs")
PEAK_ANEW = "5"  # what Linux takes for "the peak is what there is now"


def rows() -> Iterator[Row | Skipped]:
    """Adapters on all blocks and on the top one: the batched trainer beside PEFT one after another."""
    for blocks in BLOCKS:
        name = f"memory/roadvit-{blocks}-v{VEHICLES}"
        if not CLEAR.exists():
            yield Skipped(name, f"no {CLEAR} here; the peak of a process is measured on Linux alone")
            continue
        ours, theirs = (partial(_asked_mib, side, blocks) for side in ("ours", "theirs"))
        row = in_turn(name, "MiB beside the base", ours, theirs, n=REPEATS, warm_up=False)
        yield replace(row, note=f"with the kept states of {POOL} samples")


def peak_mib(side: str, blocks: str, vehicles: int = VEHICLES) -> float:
    """In this process, which should be a fresh one; `side` is ours or theirs."""
    use_one_thread()
    bench, case = Bench.of("roadvit"), Case("roadvit", BLOCKS[blocks], vehicles, BATCH)
    tasks = {"t": bench.learning(case.top_blocks, BATCH)}
    peft, batched = PeftTrainer(tasks), BatchedTrainer(tasks)
    shards = [stream(v, "bench samples").permutation(POOL)[:SHARD] for v in range(vehicles)]
    jobs = [replace(job, samples=shard) for job, shard in zip(jobs_of(peft, case), shards, strict=True)]

    def train(some: list[TrainJob]) -> list[Update | Failure]:
        return batched.train(some) if side == "ours" else [peft.train(job) for job in some]

    train([replace(jobs[0], samples=np.arange(SHARD))])
    ctypes.CDLL(None).malloc_trim(0)  # what the first training has left free would hide as much of the peak
    CLEAR.write_text(PEAK_ANEW)
    before_mib = status_mib("VmRSS")
    updates = train(jobs)
    peak_mib = status_mib("VmHWM")
    if not all(isinstance(update, Update) for update in updates):
        raise TrainingError(f"benchmark: some of {len(jobs)} jobs failed.")
    return peak_mib - before_mib


def _asked_mib(side: str, blocks: str) -> float:
    command = [sys.executable, "-m", "iovsim.bench.memory", side, blocks]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


if __name__ == "__main__":
    print(peak_mib(sys.argv[1], sys.argv[2]))
