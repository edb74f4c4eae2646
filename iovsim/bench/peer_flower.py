"""A federated job becomes a run of Flower's simulation: `FedAvg` in a `ServerApp`, a `ClientApp` in Ray's actors."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from functools import cache
from typing import Any

import psutil
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from torch import nn
from torch.nn import functional

from iovsim.bench.federation import RECIPE, SAMPLES, Federation, Outcome, client_batches, model, start
from iovsim.bench.rows import Cost
from iovsim.domain import Adapter
from iovsim.learning import lora
from iovsim.learning.threads import use_one_thread
from iovsim.learning.trainer import optimiser_of

STORE_BYTES = 256 * 2**20


def run(federation: Federation) -> Outcome:
    """One actor on one core, its model kept from call to call; nothing leaves this computer."""
    logging.getLogger("flwr").setLevel(logging.ERROR)
    outcomes: list[Outcome] = []
    client, server = ClientApp(), ServerApp()
    client.train()(_train if federation.trains else _echo)

    def main(grid: Grid, context: Context) -> None:
        _rounds(grid, federation, 1)
        outcomes.append(_rounds(grid, federation, federation.rounds))

    server.main()(main)
    with tempfile.TemporaryDirectory() as folder:
        started = {
            "num_cpus": 1,
            "num_gpus": 0,
            "object_store_memory": STORE_BYTES,
            "include_dashboard": False,
            "log_to_driver": False,
            "_temp_dir": folder,
            "_node_ip_address": "127.0.0.1",
        }
        resources = {"num_cpus": 1, "num_gpus": 0.0}
        run_simulation(
            server, client, federation.clients, backend_config={"init_args": started, "client_resources": resources}
        )
    return outcomes[0]


def _rounds(grid: Grid, federation: Federation, rounds: int) -> Outcome:
    begun = start()
    strategy = FedAvg(
        fraction_train=federation.per_round / federation.clients,
        fraction_evaluate=0.0,
        min_train_nodes=1,
        min_available_nodes=federation.clients,
    )
    arrays = ArrayRecord({name: Array(array) for name, array in begun.tensors.items()})
    begin_s, before_s = time.perf_counter(), _tree_cpu_s()
    result = strategy.start(grid, arrays, num_rounds=rounds)
    spent = Cost(time.perf_counter() - begin_s, _tree_cpu_s() - before_s)
    return Outcome(spent, _adapter(result.arrays, begun))


def _train(message: Message, context: Context) -> Message:
    trained, first = _client()
    lora.load_into(trained, _adapter(message.content["arrays"], first))
    optimiser = optimiser_of([p for p in trained.parameters() if p.requires_grad], RECIPE)
    for pictures, labels in client_batches(int(context.node_config["partition-id"])):
        loss = functional.cross_entropy(trained(pictures), labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    tensors = lora.taken_from(trained, first).tensors
    return _reply(message, ArrayRecord({name: Array(array) for name, array in tensors.items()}))


def _echo(message: Message, context: Context) -> Message:
    return _reply(message, message.content["arrays"])


def _reply(message: Message, arrays: Any) -> Message:
    metrics = MetricRecord({"num-examples": SAMPLES})
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


@cache
def _client() -> tuple[nn.Module, Adapter]:
    """The model and the first adapter, made once an actor."""
    use_one_thread()
    return model(), start()


def _adapter(arrays: Any, like: Adapter) -> Adapter:
    tensors = {name: array.numpy().copy() for name, array in arrays.items()}
    return Adapter(like.rank, like.alpha, tensors, like.scaling, like.tuning)


def _tree_cpu_s() -> float:
    """Processor seconds of this process and of all that it has started, Ray's included."""
    me = psutil.Process(os.getpid())
    times = [process.cpu_times() for process in (me, *me.children(recursive=True))]
    return float(sum(t.user + t.system for t in times))
