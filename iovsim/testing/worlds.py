"""A tiny world, views of it, and a trainer without torch: what contracts are checked on, in milliseconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from iovsim.domain import (
    Adapter,
    Battery,
    Contact,
    ContactEnd,
    Evaluation,
    Failure,
    Float32Array,
    Head,
    IntArray,
    LoraRule,
    LossReason,
    Metrics,
    Radio,
    Recipe,
    RoundView,
    Rsu,
    Shard,
    Task,
    TrainJob,
    Tuning,
    Update,
    Vehicle,
    World,
)
from iovsim.energy.architectures import ARCHITECTURES
from iovsim.energy.devices import TIERS
from iovsim.engine.observe import observe
from iovsim.engine.simulate import initial_state
from iovsim.engine.state import Method
from iovsim.learning.adapter import HEAD, head_of
from iovsim.learning.aggregators.svd import SvdAggregator
from iovsim.mobility.forecast import HeadingForecast
from iovsim.policies import StagedPolicy
from iovsim.policies.budget import KeepBudgets
from iovsim.radio.channel import Channel
from iovsim.radio.sidelink import Sidelinks
from iovsim.rng import stream
from iovsim.units import dbm_to_w, noise_w_per_hz

LAYERS = {f"layers.{block}.{name}": (6, 6) for block in (0, 1) for name in ("query", "value")}
CLASSES = 4


@dataclass
class FakeTrainer:
    """A trainer without torch: updates are small random steps named by the job, and loss falls with their number.

    Adapters look like real ones, so aggregation and recording do their real work. Equal jobs give equal updates.
    The training of vehicles in `failing` fails for the reason given there.
    """

    failing: Mapping[str, LossReason] = field(default_factory=dict)
    waiting: dict[int, TrainJob] = field(default_factory=dict)
    submitted: int = 0

    def initial(self, task: str, rank: int, seed: int, tuning: Tuning = Tuning.LORA) -> Adapter:
        tensors: dict[str, Float32Array] = {}
        for name, (inputs, outputs) in LAYERS.items() if tuning is Tuning.LORA else ():
            rows = stream(seed, task, name).normal(size=(rank, inputs))
            tensors[f"{name}.lora_A.weight"] = rows.astype(np.float32)
            tensors[f"{name}.lora_B.weight"] = np.zeros((outputs, rank), dtype=np.float32)
        tensors[f"{HEAD}weight"] = np.zeros((CLASSES, 6), dtype=np.float32)
        return Adapter(rank, 16.0, tensors, tuning=tuning)

    def submit(self, job: TrainJob) -> int:
        self.submitted += 1
        self.waiting[self.submitted] = job
        return self.submitted

    def result(self, handle: int) -> Update | Failure:
        job = self.waiting.pop(handle)
        reason = self.failing.get(job.vehicle)
        return fake_update(job) if reason is None else Failure(reason, f"vehicle {job.vehicle!r} was made to fail")

    def evaluate(self, task: str, adapter: Adapter, heads: Sequence[Head] = ()) -> Evaluation:
        overall = self.validate(task, adapter, heads)
        halves = replace(overall, samples=50)
        return Evaluation(overall, {"one": halves, "other": halves}, {0: halves, 1: halves})

    def validate(self, task: str, adapter: Adapter, heads: Sequence[Head] = ()) -> Metrics:
        loss = float(np.mean([_loss(head) for head in heads or (head_of(adapter),)]))
        return Metrics(100, 1.0 - loss, 1.0 - loss, loss, 0.1)

    def evaluate_shards(
        self, task: str, adapter: Adapter, shards: Sequence[IntArray], heads: Sequence[Head | None]
    ) -> list[Metrics]:
        losses = [_loss(head_of(adapter) if head is None else head) for head in heads]
        return [Metrics(len(s), 1.0 - loss, 1.0 - loss, loss, 0.1) for s, loss in zip(shards, losses, strict=True)]


def fake_update(job: TrainJob) -> Update:
    """What `FakeTrainer` makes of a job."""
    rng = stream(job.seed, "fake training")
    moved = {
        k: (v + 0.01 * rng.normal(size=v.shape)).astype(np.float32) for k, v in sorted(job.adapter.tensors.items())
    }
    before = _loss(head_of(job.adapter))
    fraction = 1.0 if job.steps is None or job.carrier_samples is not None else job.steps / job.planned_steps
    return Update(replace(job.adapter, tensors=moved), len(job.samples), before, 0.9 * before, fraction)


def _loss(head: Head) -> float:
    """In (0, 1], falling as the head moves away from zero."""
    return float(np.exp(-np.linalg.norm(head[f"{HEAD}weight"])))


class _Book(tuple[Contact, ...]):
    """Contacts, and those of each RSU, sorted by vehicle."""

    def __init__(self, contacts: Sequence[Contact]) -> None:
        self.by_rsu: dict[str, list[Contact]] = {}
        for contact in sorted(contacts, key=lambda c: c.vehicle):
            self.by_rsu.setdefault(contact.rsu, []).append(contact)

    def active(self, rsu: str, time_s: float) -> Sequence[Contact]:
        return [c for c in self.by_rsu.get(rsu, ()) if c.start_s <= time_s < c.end_s]

    def of_vehicle(self, vehicle: str) -> Sequence[Contact]:
        return sorted((c for c in self if c.vehicle == vehicle), key=lambda c: c.start_s)


def tiny_world(seed: int = 0, *, vehicles: int = 8, rsus: int = 2, duration_s: float = 120.0) -> World:
    """A straight road, an RSU every 400 m, vehicles at constant speeds, one task, no files: built in milliseconds."""
    task = Task(
        task="signs",
        classes=CLASSES,
        ranks=(2, 4, 8),
        lora=LoraRule(16.0),
        recipe=Recipe(learning_rate=1e-3, batch_size=16),
        learning_rates=dict.fromkeys(Tuning, 1e-3),
        local_epochs=1,
        local_head=False,
        round_energy_j=500.0,
        charged=ARCHITECTURES["vit-base-patch16-224"],
        blocks=("layers.0", "layers.1"),
    )
    sites = tuple(Rsu(f"rsu{i}", 200.0 + 400.0 * i, 20.0, 5.0, 200.0, ("signs",)) for i in range(rsus))
    fleet = {f"v{i:02d}": stream(seed, "tiny world", i).uniform(5.0, 15.0) for i in range(vehicles)}
    contacts = _Book(tuple(_straight_contacts(fleet, sites, duration_s)))
    tiers = ("agx-orin", "orin-nano", "orin-nx")
    rng = stream(seed, "tiny shards")
    return World(
        name="tiny",
        hash=f"tiny-{seed}",
        seed=seed,
        start_s=0.0,
        end_s=duration_s,
        rsus=sites,
        contacts=contacts,
        links=Channel().links(contacts, sites, seed),
        sidelinks=Sidelinks(Channel(), seed),
        vehicles={
            v: Vehicle(
                v,
                TIERS[tiers[i % len(tiers)]],
                0,
                {
                    "signs": Shard(
                        "signs", 8 + rng.permutation(56)[:48], np.arange(8), np.full(48, -np.inf), np.full(8, -np.inf)
                    )
                },
            )
            for i, v in enumerate(fleet)
        },
        tasks=(task,),
        radio=Radio(
            bandwidth_up_hz=20e6,
            bandwidth_down_hz=20e6,
            rsu_power_w=1.0,
            vehicle_power_w=dbm_to_w(23.0),
            rsu_noise_w_per_hz=noise_w_per_hz(5.0),
            vehicle_noise_w_per_hz=noise_w_per_hz(9.0),
            efficiency=0.75,
            max_bps_per_hz=7.4,
            rsu_pa_efficiency=0.3,
            rsu_rx_w=5.0,
            sidelink_bandwidth_hz=20e6,
        ),
        round_period_s=20.0,
        round_deadline_s=18.0,
        merge_every_rounds=2,
        refuse_over_budget=False,
        evaluate_every_merges=1,
        evaluate_vehicles_every_merges=None,
        keep_adapters_every_merges=None,
        evaluated_vehicles={"signs": tuple(fleet)},
    )


def _straight_contacts(fleet: Mapping[str, float], sites: Sequence[Rsu], duration_s: float) -> Iterator[Contact]:
    """Vehicles drive along y = 0 from x = 0, each attached to the RSU whose 400 m stretch it is on."""
    number = 0
    for vehicle, speed_mps in sorted(fleet.items()):
        for i, site in enumerate(sites):
            start_s = 400.0 * i / speed_mps
            end_s = min(400.0 * (i + 1) / speed_mps, duration_s)
            if end_s <= start_s:
                continue
            time_s = np.unique(np.concatenate([[start_s], np.arange(np.ceil(start_s), end_s), [end_s]]))
            last = end_s == duration_s
            yield Contact(
                number,
                vehicle,
                site.rsu,
                start_s,
                end_s,
                ContactEnd.HORIZON if last else ContactEnd.HANDOVER,
                time_s,
                speed_mps * time_s,
                np.zeros_like(time_s),
                np.full_like(time_s, speed_mps),
                np.zeros_like(time_s),
            )
            number += 1


def tiny_views(seed: int = 0) -> Iterator[RoundView]:
    """Views from tiny worlds: crowded, sparse, empty, one vehicle busy, one too small, next to no budget; the last
    with batteries, one of them at its reserve."""
    method = Method(StagedPolicy(()), SvdAggregator(), KeepBudgets(), HeadingForecast())
    batteries = {"v01": Battery(1e5, 1e6, 1e5), "v02": Battery(6e5, 1e6, 1e5), "v04": Battery(1.01e5, 1e6, 1e5)}
    sizes: tuple[tuple[int, float, dict[str, Battery]], ...]
    sizes = ((8, 500.0, {}), (1, 500.0, {}), (0, 500.0, {}), (40, 100.0, {}), (8, 1e-3, {}), (8, 500.0, batteries))
    for vehicles, budget_j, charged in sizes:
        world = tiny_world(seed, vehicles=vehicles)
        small = {v: replace(x, device=TIERS["telematics"]) for v, x in world.vehicles.items() if v == "v03"}
        tasks = tuple(replace(t, round_energy_j=budget_j) for t in world.tasks)
        world = replace(world, tasks=tasks, vehicles={**world.vehicles, **small})
        state = initial_state(world, FakeTrainer())
        state.busy.add("v00")
        for number in range(3):
            for rsu in world.rsus:
                start_s = world.start_s + number * world.round_period_s
                yield observe(world, method, state, rsu, number, start_s, charged.get)[0]
