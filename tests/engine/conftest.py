"""Hand-made worlds: one straight contact with a constant gain, whose every second and joule can be computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from iovsim.domain import (
    Aggregator,
    BudgetPolicy,
    Contact,
    ContactEnd,
    Fallback,
    Forecast,
    Link,
    Policy,
    PriceRule,
    Traffic,
    Tuning,
    World,
)
from iovsim.engine import Method, Setting, State, simulate
from iovsim.engine.state import KeepAdapter
from iovsim.engine.terms import Terms
from iovsim.learning.aggregators.svd import SvdAggregator
from iovsim.mobility.forecast import HeadingForecast
from iovsim.policies.budget import KeepBudgets
from iovsim.policies.price import NoPrice
from iovsim.results import Charge, Manifest, PolicyRecord, Run, RunFolder, open_run
from iovsim.testing import FakeTrainer, tiny_world

GAIN = 1e-9


def straight_contact(end_s: float, end: ContactEnd = ContactEnd.RANGE) -> tuple[Contact, Link]:
    """A standing vehicle, 100 m from its RSU, from 0 s to `end_s`, at a constant gain."""
    time_s = np.array([0.0, end_s])
    still = np.zeros(2)
    contact = Contact(0, "v0", "rsu0", 0.0, end_s, end, time_s, still + 100.0, still, still, still)
    return contact, Link(0, time_s, np.full(2, GAIN), np.ones(2), np.zeros(2, dtype=np.int8))


@pytest.fixture
def world() -> World:
    return tiny_world(3, vehicles=12)


@pytest.fixture
def terms(world: World) -> Callable[[float], Terms]:
    """Terms of a contact that ends at the given second."""

    def make(end_s: float) -> Terms:
        contact, link = straight_contact(end_s)
        vehicle = world.vehicles["v00"]
        return Terms(
            contact, link, vehicle.device, world.tasks[0], vehicle.shards["signs"].train, world.radio, Tuning.LORA
        )

    return make


Runner = Callable[..., tuple[Run, State]]


@pytest.fixture
def run_world(tmp_path: Path) -> Runner:
    """Runs a world under a policy with the fake trainer, and opens the finished folder."""
    count = 0

    def go(
        world: World,
        policy: Policy,
        forecast: Forecast | None = None,
        trainer: FakeTrainer | None = None,
        tuning: Tuning = Tuning.LORA,
        kept: KeepAdapter | None = None,
        budget: BudgetPolicy | None = None,
        price: PriceRule | None = None,
        fallback: Fallback | None = None,
        aggregator: Aggregator | None = None,
        traffic: Traffic | None = None,
    ) -> tuple[Run, State]:
        nonlocal count
        count += 1
        joining = aggregator or SvdAggregator()
        method = Method(
            policy,
            joining,
            budget or KeepBudgets(),
            forecast or HeadingForecast(),
            tuning,
            price or NoPrice(),
            stacks=getattr(joining, "stacks", False),
            pruning=getattr(joining, "pruning", None),
            partial=getattr(joining, "partial", False),
            fallback=fallback,
        )
        manifest = Manifest(
            world=world.name,
            world_hash=world.hash,
            seed=world.seed,
            policy=PolicyRecord(name="p", kind="p", forecast="heading", parameters={}),
            scenario={},
            charge_as={"signs": Charge("fake", "vit-base-patch16-224")},
        )
        folder = tmp_path / f"run-{count}"
        with RunFolder.create(folder, manifest) as made:
            setting = Setting(
                world, method, trainer or FakeTrainer(), made.recorder, kept or (lambda *_: None), traffic
            )
            state = simulate(setting, lambda done: None)
        return open_run(folder), state

    return go


@pytest.fixture
def short_world(world: World) -> World:
    """A world whose horizon cuts the last round in the middle of its jobs."""
    return replace(world, end_s=41.5)


def two_task_world() -> World:
    """Both RSUs host signs and lights; every vehicle holds signs, every other one lights too."""
    world = tiny_world(4, vehicles=12)
    lights = replace(world.tasks[0], task="lights", round_energy_j=100.0)
    vehicles = {
        name: replace(
            v, shards={**v.shards, "lights": replace(v.shards["signs"], task="lights")} if i % 2 else v.shards
        )
        for i, (name, v) in enumerate(world.vehicles.items())
    }
    rsus = tuple(replace(r, tasks=("signs", "lights")) for r in world.rsus)
    evaluated = {"signs": tuple(vehicles), "lights": tuple(v for v, x in vehicles.items() if "lights" in x.shards)}
    return replace(world, tasks=(world.tasks[0], lights), vehicles=vehicles, rsus=rsus, evaluated_vehicles=evaluated)
