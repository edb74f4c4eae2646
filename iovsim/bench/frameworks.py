"""One federated job in iovsim, Flower and pfl becomes rows: overhead of a client update, and time of real training.

Overhead is what a client update costs beyond its training. Here iovsim simulates 1,000 vehicles, their radio, time and
energy, and records everything; the others send arrays to clients that send them back, and average them. Training is 16
clients' LoRA in three rounds, and counts only where all end with the same adapter.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from iovsim.bench import peer
from iovsim.bench.federation import Federation, difference, start, trained
from iovsim.bench.rows import Cost, Row, Skipped, cost, costs_in_turn
from iovsim.domain import Adapter, Trainer, Tuning, Update, World
from iovsim.engine import Method, Setting, simulate
from iovsim.errors import TrainingError
from iovsim.learning.aggregators.fedavg import FedAvg
from iovsim.learning.batched.trainer import BatchedTrainer
from iovsim.learning.prepared import LearningTask
from iovsim.learning.threads import use_one_thread
from iovsim.mobility.forecast import HeadingForecast
from iovsim.policies import POLICIES
from iovsim.policies.budget import KeepBudgets
from iovsim.results import Recorder
from iovsim.testing import FakeTrainer, tiny_world

PEERS: Mapping[str, tuple[str, ...]] = {"flower": ("flwr", "ray"), "pfl": ("pfl",)}
"""Framework -> the modules that it needs."""

STUBBED = Federation(clients=1000, per_round=50, rounds=20, trains=False)
TRAINED = Federation(clients=16, per_round=16, rounds=3, trains=True)
SAME = 1e-4
"""How far two adapters may be apart: training moves parameters by some thousandths, and float32 rounds differently."""
REPEATS = 5

MakeTrainer = Callable[[Mapping[str, LearningTask]], Trainer]


def rows(make: MakeTrainer = BatchedTrainer) -> Iterator[Row | Skipped]:
    """Overhead and training beside each framework that is installed, training with the trainer given."""
    use_one_thread()
    for name, modules in PEERS.items():
        missing = [module for module in modules if find_spec(module) is None]
        if missing:
            yield Skipped(f"federation/{name}", f"no module {missing[0]!r} here; `make bench` installs it.")
            continue
        yield from compared(f"federation/{name}-overhead", partial(_overhead, name))
        yield from compared(f"federation/{name}-trained", partial(_training, name, make))


def compared(name: str, measure: Callable[[str], Iterator[Row]]) -> Iterator[Row | Skipped]:
    """The rows of a comparison, or why there are none."""
    try:
        yield from measure(name)
    except peer.PeerError as error:
        yield Skipped(name, str(error))


def _overhead(framework: str, name: str) -> Iterator[Row]:
    world = crowded_world(STUBBED.clients)
    updates = STUBBED.per_round * STUBBED.rounds
    yield from costs_in_turn(
        name,
        "ms an update",
        lambda: simulated(world),
        lambda: peer.ask(framework, STUBBED).cost.per(updates),
        n=REPEATS,
        per_s=1e3,
    )


def _training(framework: str, make: MakeTrainer, name: str) -> Iterator[Row]:
    run = trained(make, TRAINED)
    ours = run().adapter
    apart: list[float] = []

    def theirs() -> Cost:
        outcome = peer.ask(framework, TRAINED)
        apart.append(difference(ours, outcome.adapter))
        if apart[-1] > SAME:
            raise peer.PeerError(f"{framework} ended with another adapter; parameters differ by up to {apart[-1]:.2g}.")
        return outcome.cost

    note = f"parameters moved by up to {difference(ours, start()):.2g}"
    for row in costs_in_turn(name, "s", lambda: run().cost, theirs, n=REPEATS):
        yield replace(row, note=f"{note} and differ by up to {max(apart):.2g}")


def crowded_world(vehicles: int, *, begin_s: float = 800.0, end_s: float = 1000.0) -> World:
    """A straight road on which about 45 of 1,000 vehicles are in the cell of each RSU, with bandwidth for them all."""
    world = tiny_world(1, vehicles=vehicles, rsus=int(15.0 * end_s / 400.0) + 1, duration_s=end_s)
    radio = replace(world.radio, bandwidth_up_hz=100e6, bandwidth_down_hz=100e6)
    return replace(world, start_s=begin_s, radio=radio, round_period_s=40.0, round_deadline_s=40.0)


def simulated(world: World) -> Cost:
    """A whole run without training, for each update that arrived: what the lost ones took is counted as well."""
    trainer = EchoTrainer()
    method = Method(POLICIES["all-available"](), FedAvg(), KeepBudgets(), HeadingForecast())
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(Path(folder))
        setting = Setting(world, method, trainer, recorder, lambda task, name, adapter, heads: None)

        def run() -> None:
            simulate(setting, lambda done: None)
            recorder.finish()

        spent = cost(run)
    if not trainer.answered:
        raise TrainingError(f"benchmark: no update arrived in world {world.name!r}; give it more time or vehicles.")
    return spent.per(trainer.answered)


@dataclass
class EchoTrainer(FakeTrainer):
    """Clients give back what they got, of RoadViT's size: what a run takes is then the simulator's own work."""

    answered: int = 0

    def initial(self, task: str, rank: int, seed: int, tuning: Tuning = Tuning.LORA) -> Adapter:
        return start()

    def result(self, handle: int) -> Update:
        job = self.waiting.pop(handle)
        self.answered += 1
        return Update(job.adapter, len(job.samples), 1.0, 1.0, 1.0)
