"""Local training on a GPU, batched beside plain PEFT on the same GPU: wall milliseconds a vehicle's step.

PEFT trains one job after the other as its users do: a model and all samples on the GPU, adapters set and read. Both
sides train the same jobs and end with their adapters in the memory of the processor. Without a GPU the rows say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch.nn import functional

from iovsim.bench.rows import Row, Skipped, in_turn, wall_s
from iovsim.bench.training import Bench, Case, jobs_of
from iovsim.domain import Adapter, Precision, TrainJob
from iovsim.learning import lora
from iovsim.learning.batched.trainer import BatchedTrainer
from iovsim.learning.order import batches
from iovsim.learning.prepared import LearningTask
from iovsim.learning.trainer import PeftTrainer, optimiser_of
from iovsim.rng import stream

REPEATS = 5
PEFT_JOBS = 16
"""Of PEFT's jobs, which take equally long, so many are done; its time is a step's."""


def rows() -> Iterator[Row | Skipped]:
    """RoadViT on all blocks and on the top one, in both precisions, from 1 to 256 vehicles."""
    cases = [Case("roadvit", None, v, 8, p) for v in (1, 16, 64, 256) for p in (Precision.FP32, Precision.BF16)]
    cases += [Case("roadvit", 1, 64, 8, p) for p in (Precision.FP32, Precision.BF16)]
    if not torch.cuda.is_available():
        yield from (Skipped(_name(case), "not measured: torch finds no CUDA device") for case in cases)
        return
    bench = Bench.of("roadvit")
    for case in cases:
        yield compared(bench, case)


def compared(bench: Bench, case: Case) -> Row:
    """The batched trainer on the GPU beside PEFT in single precision there."""
    learning = bench.learning(case.top_blocks, case.batch)
    reference = PeftTrainer({"t": learning})
    ours = BatchedTrainer({"t": learning}, precision=case.precision, device="cuda")
    jobs = jobs_of(reference, case)
    theirs = PeftOnGpu(learning)
    steps, their_jobs = case.vehicles * case.steps, jobs[:PEFT_JOBS]
    row = in_turn(
        _name(case),
        "wall ms a step",
        lambda: 1e3 * wall_s(lambda: ours.train(jobs)) / steps,
        lambda: 1e3 * wall_s(lambda: [theirs.train(job) for job in their_jobs]) / (len(their_jobs) * case.steps),
        n=REPEATS,
        faster=True,
    )
    return replace(row, note=f"{torch.cuda.get_device_name()}; PEFT there too")


class PeftOnGpu:
    """What a user of PEFT on a GPU writes: a model a rank, adapters set and read, samples on the GPU."""

    def __init__(self, learning: LearningTask) -> None:
        self._learning = learning
        inputs = learning.backbone.prepare(learning.data.train.inputs)
        self._inputs = inputs.batch(torch.arange(len(learning.data.train)).numpy())[0].cuda()
        self._labels = torch.from_numpy(learning.data.train.labels).cuda()
        self._lengths = inputs.lengths
        self._models: dict[int, torch.nn.Module] = {}

    def train(self, job: TrainJob) -> Adapter:
        """The job's adapter after training, on the processor."""
        rank = job.adapter.rank
        if rank not in self._models:
            task = self._learning.task
            self._models[rank] = lora.peft_model(self._learning.backbone, task.classes, task.lora, rank).cuda()
        model = self._models[rank]
        lora.load_into(model, job.adapter)
        optimiser = optimiser_of([p for p in model.parameters() if p.requires_grad], job.recipe)
        for epoch in range(job.epochs):
            rng = stream(job.seed, "order", epoch)
            for batch in batches(job.samples, self._lengths[job.samples], job.recipe.batch_size, rng):
                chosen = torch.from_numpy(batch).cuda()
                loss = functional.cross_entropy(model(self._inputs[chosen]), self._labels[chosen])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
        torch.cuda.synchronize()
        return lora.taken_from(model, job.adapter)


def _name(case: Case) -> str:
    return f"{case.name}-cuda"
