"""Local training and evaluation, batched beside plain PEFT: a vehicle's step becomes processor time, a sample likewise.

Time of one thread's processor, so that other programs disturb little. Both sides train the same jobs, of ranks 2, 4, 8,
16 and 32 in turn, each from its own adapter. `ratio` is how many times faster than PEFT.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from transformers import ViTConfig, ViTModel

from iovsim.bench.rows import Row, Skipped, alone, cpu_s, in_turn
from iovsim.domain import LoraRule, Precision, Recipe, Task, TrainJob, Tuning, Update
from iovsim.energy.compute import train_flops
from iovsim.errors import TrainingError
from iovsim.learning import lora
from iovsim.learning.backbones.backbone import Backbone
from iovsim.learning.backbones.pretrained import ReadOut, minilm
from iovsim.learning.backbones.readers import PictureReader
from iovsim.learning.backbones.roadvit import roadvit
from iovsim.learning.batched.trainer import BatchedTrainer
from iovsim.learning.data.builtin import generate
from iovsim.learning.data.samples import Data
from iovsim.learning.evaluate import features, metrics
from iovsim.learning.footprint import footprint
from iovsim.learning.prepared import LearningTask
from iovsim.learning.threads import use_one_thread
from iovsim.learning.trainer import PeftTrainer
from iovsim.rng import stream

REPEATS = 5
RANKS = (2, 4, 8, 16, 32)
POOL = 1024
VIT = "vit-tiny197"
VIT_POOL = 128  # PEFT takes a third of a second for a step, all blocks' states of a sample 0.05 s
TESTED = {"roadvit": 1024, "minilm": 256, VIT: 64}
SHARD = 48  # samples of each job, as in the demo
LONGEST = 96
"""Steps of all jobs of a measurement on all layers, at most: with more vehicles each has fewer."""


@dataclass(frozen=True, slots=True)
class Case:
    """One comparison of training."""

    backbone: str
    top_blocks: int | None
    vehicles: int
    batch: int
    precision: Precision = Precision.FP32

    @property
    def name(self) -> str:
        return f"train/{self.backbone}-{_blocks(self.top_blocks)}-{self.precision}-b{self.batch}-v{self.vehicles}"

    @property
    def steps(self) -> int:
        whole = SHARD // self.batch
        if self.backbone == VIT:
            return 1
        return whole if self.top_blocks is not None else max(1, min(whole, LONGEST // self.vehicles))


def cases(backbone: str) -> list[Case]:
    """All layers at 1 to 64 vehicles and two batch sizes, the top one and two blocks at 1 to 64; fewer of the larger.

    A step on texts takes six times as long, and on all layers batching hardly changes that; PEFT's of the ViT 15 times.
    """
    if backbone == VIT:
        return [Case(backbone, 1, 16, 8)]
    if backbone == "minilm":
        found = [Case(backbone, None, v, 8) for v in (1, 4, 16)]
        found += [Case(backbone, None, 16, 16), Case(backbone, None, 16, 8, Precision.BF16)]
        return found + [Case(backbone, top, 16, 8, p) for top in (1, 2) for p in (Precision.FP32, Precision.BF16)]
    found = [Case(backbone, None, v, b) for b in (8, 16) for v in (1, 4, 16, 64)]
    found += [Case(backbone, None, 16, b, Precision.BF16) for b in (8, 16)]
    both = (Precision.FP32, Precision.BF16)
    return found + [Case(backbone, top, v, 8, p) for top in (1, 2) for v in (1, 16, 64) for p in both]


def rows() -> Iterator[Row | Skipped]:
    """The peak of matrix products, then training and evaluation of both built-in backbones and of a ViT's top block."""
    use_one_thread()
    peaks = {}
    for precision, dtype in ((Precision.FP32, torch.float32), (Precision.BF16, torch.bfloat16)):
        row = alone(f"peak/gemm-{precision}", "GFLOP/s", partial(_gemm_gflops, dtype), n=REPEATS)
        peaks[precision] = row.ours
        yield row
    for name in TESTED:
        try:
            bench = Bench.of(name)
        except TrainingError as error:
            yield Skipped(f"train/{name}", str(error))
            continue
        for case in cases(name):
            yield bench.compared(case, peaks[case.precision])
        for top_blocks in (1,) if name == VIT else (None, 1):
            for precision in (Precision.FP32,) if name == VIT else (Precision.FP32, Precision.BF16):
                yield bench.evaluated(top_blocks, precision)


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """A backbone and data to train it on."""

    name: str
    backbone: Backbone
    data: Data

    @classmethod
    def of(cls, name: str) -> Bench:
        """Raises `TrainingError` where the backbone is not installed."""
        if name == "roadvit":
            return cls(name, roadvit(), generate("signs", train=POOL, test=TESTED[name], districts=4, seed=0))
        if name == VIT:
            return cls(name, vit_tiny(), generate("signs", train=VIT_POOL, test=TESTED[name], districts=4, seed=0))
        return cls(name, minilm(64), generate("incidents", train=POOL, test=TESTED[name], districts=4, seed=0))

    def compared(self, case: Case, peak_gflops: float) -> Row:
        """PEFT in single precision, one job after the other, beside the batched trainer: CPU milliseconds a step."""
        learning = self.learning(case.top_blocks, case.batch)
        theirs, ours = PeftTrainer({"t": learning}), BatchedTrainer({"t": learning}, precision=case.precision)
        jobs = jobs_of(theirs, case)
        steps = case.vehicles * case.steps
        row = in_turn(
            case.name,
            "CPU ms a step",
            lambda: 1e3 * cpu_s(lambda: ours.train(jobs)) / steps,
            lambda: 1e3 * cpu_s(lambda: [theirs.train(job) for job in jobs]) / steps,
            n=REPEATS,
            faster=True,
        )
        reached = self._flops_a_step(learning, case) / (row.ours * 1e-3) / (peak_gflops * 1e9)
        return replace(row, note=f"{reached:.2f} of the GEMM peak, by the FLOPs of a step that keeps nothing")

    def evaluated(self, top_blocks: int | None, precision: Precision) -> Row:
        """From adapters to metrics on held-out samples, CPU milliseconds a sample: PEFT in batches of 64 beside ours.

        Two adapters in turn, since features of the last one are still known.
        """
        learning = self.learning(top_blocks, 8)
        reference, ours = PeftTrainer({"t": learning}), BatchedTrainer({"t": learning}, precision=precision)
        jobs = [replace(job, adapter=reference.initial("t", 8, k)) for k, job in enumerate(self._two_jobs(reference))]
        adapters = [update.adapter for update in ours.train(jobs) if isinstance(update, Update)]
        model = lora.peft_model(learning.backbone, learning.task.classes, learning.task.lora, rank=8)
        inputs, labels = learning.backbone.prepare(self.data.test.inputs), self.data.test.labels
        our_next, their_next, tested = itertools.cycle(adapters), itertools.cycle(adapters), TESTED[self.name]

        def by_peft() -> None:
            lora.load_into(model, next(their_next))
            metrics(features(model, inputs, np.arange(tested), batch=64).double().numpy(), labels)

        return in_turn(
            f"evaluate/{self.name}-{_blocks(top_blocks)}-{precision}",
            "CPU ms a sample",
            lambda: 1e3 * cpu_s(lambda: ours.validate("t", next(our_next))) / tested,
            lambda: 1e3 * cpu_s(by_peft) / tested,
            n=REPEATS,
            faster=True,
        )

    def _two_jobs(self, trainer: PeftTrainer) -> list[TrainJob]:
        return jobs_of(trainer, Case(self.name, None, 2, 8))

    def learning(self, top_blocks: int | None, batch: int) -> LearningTask:
        """The task with adapters on queries and values of the top blocks."""
        rule, classes = LoraRule(16.0, top_blocks=top_blocks), len(self.data.train.classes)
        recipe = Recipe(learning_rate=1e-3, batch_size=batch)
        charged = footprint(self.backbone, self.data.train.inputs, rule, classes)
        task = Task("t", classes, RANKS, rule, recipe, {Tuning.LORA: 1e-3}, 1, False, 1.0, charged)
        return LearningTask(task, self.backbone, self.data, self.data.test)

    def _flops_a_step(self, learning: LearningTask, case: Case) -> float:
        ranks = [RANKS[v % len(RANKS)] for v in range(case.vehicles)]
        return statistics.fmean(train_flops(learning.task.charged, rank, case.batch) for rank in ranks)


def jobs_of(trainer: PeftTrainer, case: Case) -> list[TrainJob]:
    """One job a vehicle, on samples of its own."""
    learning = trainer.prepared("t").learning
    recipe, pool = learning.task.recipe, len(learning.data.train)
    return [
        TrainJob(
            task="t",
            vehicle=f"v{v}",
            round=0,
            rsu="r",
            adapter=trainer.initial("t", RANKS[v % len(RANKS)], v),
            samples=stream(v, "bench samples").permutation(pool)[: case.batch * case.steps],
            epochs=1,
            recipe=recipe,
            dropout=0.0,
            seed=v,
        )
        for v in range(case.vehicles)
    ]


def vit_tiny() -> Backbone:
    """A ViT of Hugging Face in the sizes of DeiT-Tiny (Touvron et al., ICML 2021), 197 tokens, with random weights."""
    config = ViTConfig(hidden_size=192, num_hidden_layers=12, num_attention_heads=3, intermediate_size=768)
    config._attn_implementation = "sdpa"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        trunk = ReadOut(ViTModel(config, add_pooling_layer=False), "cls")
    mean, spread = (torch.full((1, 3, 1, 1), 127.5) for _ in range(2))
    return Backbone(VIT, trunk, 192, "random weights", PictureReader(VIT, mean, spread, side=224, patches=196))


def _blocks(top_blocks: int | None) -> str:
    return "all" if top_blocks is None else f"top{top_blocks}"


def _gemm_gflops(dtype: torch.dtype, size: int = 1024) -> float:
    """Of square matrices, on one thread."""
    left, right = (torch.ones(size, size, dtype=dtype) for _ in range(2))
    seconds = cpu_s(lambda: [left @ right for _ in range(8)])
    return 8 * 2 * size**3 / seconds / 1e9
