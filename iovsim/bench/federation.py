"""A federation's size becomes a federated job: the same clients, batches and first adapter for every framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from iovsim.bench.rows import Cost, cost
from iovsim.domain import Adapter, IntArray, LoraRule, Recipe, Task, Trainer, TrainJob, Tuning, Update
from iovsim.energy.architectures import ARCHITECTURES
from iovsim.errors import TrainingError
from iovsim.learning import lora
from iovsim.learning.aggregators.fedavg import FedAvg
from iovsim.learning.backbones.backbone import Backbone
from iovsim.learning.backbones.roadvit import roadvit
from iovsim.learning.data.samples import Data, Samples
from iovsim.learning.order import batches
from iovsim.learning.prepared import LearningTask
from iovsim.rng import seed_of, stream

NAME = "pictures"
CLASSES = 10
SAMPLES = 48  # of each client
RANK = 8
RULE = LoraRule(alpha=16.0)  # query and value of every block
RECIPE = Recipe(learning_rate=1e-3, batch_size=8)
SEED = 1


@dataclass(frozen=True, slots=True)
class Federation:
    """How much work a framework is given."""

    clients: int
    per_round: int  # of the clients
    rounds: int
    trains: bool  # False: clients give back what they got, so that all that is left is the framework's own work


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a framework made of a federation; the cost is of its rounds alone, after one that warmed it up."""

    cost: Cost
    adapter: Adapter


def trained(make: Callable[[Mapping[str, LearningTask]], Trainer], federation: Federation) -> Callable[[], Outcome]:
    """The job with one of our trainers, ready to be done again and again: federated averaging of all clients."""
    trainer = make({NAME: _learning_task(federation.clients)})

    def run() -> Outcome:
        reached = start()

        def rounds() -> None:
            nonlocal reached
            for number in range(federation.rounds):
                jobs = [_job(client, number, reached) for client in range(federation.clients)]
                reached = FedAvg().aggregate(reached, _updates(trainer, jobs))

        spent = cost(rounds)
        return Outcome(spent, reached)

    return run


def start() -> Adapter:
    """What every framework starts from."""
    return lora.initial(backbone(), NAME, CLASSES, RULE, RANK, SEED)


@cache
def backbone() -> Backbone:
    """RoadViT, read once a process."""
    return roadvit()


def model() -> torch.nn.Module:
    """RoadViT with empty LoRA layers, as PEFT makes it."""
    return lora.peft_model(backbone(), CLASSES, RULE, RANK)


@cache
def client_batches(client: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """A client's pictures (8, 3, 32, 32) and labels (8,), in the order in which our trainers take them."""
    samples = _samples(client)
    inputs = backbone().prepare(samples.inputs)
    order = batches(np.arange(SAMPLES), inputs.lengths, RECIPE.batch_size, stream(_seed(client), "order", 0))
    return [(*inputs.batch(rows), torch.from_numpy(samples.labels[rows])) for rows in order]  # type: ignore[misc]


def difference(one: Adapter, other: Adapter) -> float:
    """The largest absolute difference between two adapters' parameters."""
    return max(float(np.abs(array - other.tensors[name]).max()) for name, array in one.tensors.items())


def _updates(trainer: Trainer, jobs: list[TrainJob]) -> list[Update]:
    handles = [trainer.submit(job) for job in jobs]
    outcomes = [trainer.result(handle) for handle in handles]
    updates = [outcome for outcome in outcomes if isinstance(outcome, Update)]
    if len(updates) < len(outcomes):
        raise TrainingError(f"benchmark: {len(outcomes) - len(updates)} of {len(outcomes)} jobs failed.")
    return updates


def _job(client: int, number: int, adapter: Adapter) -> TrainJob:
    """The seed is the client's alone, so that no framework needs to be told in which round it is."""
    samples = np.arange(client * SAMPLES, (client + 1) * SAMPLES)
    return TrainJob(NAME, f"v{client}", number, "rsu0", adapter, samples, 1, RECIPE, RULE.dropout, _seed(client))


def _learning_task(clients: int) -> LearningTask:
    parts = [_samples(client) for client in range(clients)]
    pool = Samples(
        np.concatenate([part.inputs for part in parts]),
        np.concatenate([part.labels for part in parts]),
        parts[0].classes,
    )
    task = Task(
        task=NAME,
        classes=CLASSES,
        ranks=(RANK,),
        lora=RULE,
        recipe=RECIPE,
        learning_rates={Tuning.LORA: RECIPE.learning_rate},
        local_epochs=1,
        local_head=False,
        round_energy_j=1.0,
        charged=ARCHITECTURES["vit-base-patch16-224"],
    )
    return LearningTask(task, backbone(), Data(pool, parts[0]), parts[0])


def _samples(client: int) -> Samples:
    """Noise will do: what it is learnt from does not change how long it takes."""
    rng = stream(SEED, "benchmark pictures", client)
    pictures = rng.integers(0, 256, (SAMPLES, 32, 32, 3), dtype=np.uint8)
    labels: IntArray = rng.integers(0, CLASSES, SAMPLES)
    return Samples(pictures, labels, tuple(f"class {k}" for k in range(CLASSES)))


def _seed(client: int) -> int:
    return seed_of(SEED, "benchmark client", client)
