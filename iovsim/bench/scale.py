"""Ten thousand vehicles at once among five hundred RSUs become the engine's cost: by the hour, the job and the view.

Vehicles drive about in a square of 11 km, and all hold data of one task; at each RSU four of them train in a round,
with a trainer that does next to nothing. Contacts and links are made beforehand, of a trace, as in any run, and the
engine reads them from their files. Each run is a process of its own (`python -m iovsim.bench.scale VEHICLES MINUTES`).
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from iovsim.bench.rows import STATUS, Row, Skipped, cpu_s, status_mib
from iovsim.domain import RoundPlan, RoundView, Rsu, Shard, Vehicle, World
from iovsim.energy import TIERS
from iovsim.engine import Method, Setting, simulate
from iovsim.learning.aggregators.svd import SvdAggregator
from iovsim.mobility.contact_table import ContactTable
from iovsim.mobility.contacts import extract
from iovsim.mobility.forecast import HeadingForecast
from iovsim.mobility.samples import Samples
from iovsim.mobility.trace import Trace, write_trace
from iovsim.policies import StagedPolicy
from iovsim.policies.budget import KeepBudgets
from iovsim.policies.select import SelectRandom
from iovsim.radio import Channel, LinkTable, save_parts
from iovsim.results import Recorder
from iovsim.rng import stream
from iovsim.testing import FakeTrainer, tiny_world

VEHICLES = (1250, 2500, 5000, 10_000)
RSUS = 500
SIDE_M = 11_000.0
MINUTES = 10
PERIOD_S = 60.0
TASK = "signs"


@dataclass(frozen=True, slots=True)
class Measured:
    """What the engine took, contacts and links being there; memory is the process's, from before that on."""

    cpu_s: float
    peak_mib: int
    contacts: int
    views: int
    jobs: int


def rows() -> Iterator[Row | Skipped]:
    """The most vehicles, by hour, job and view; an hour's memory beside that of ten minutes; growth in vehicles."""
    if not STATUS.exists():
        yield Skipped("scale", f"no {STATUS} here")
        return
    found = {vehicles: asked(vehicles, MINUTES) for vehicles in VEHICLES}
    most = found[VEHICLES[-1]]
    hour = asked(VEHICLES[-1], 60)
    told = f"{VEHICLES[-1]} vehicles, {RSUS} RSUs, {hour.contacts} contacts, {hour.views} views, {hour.jobs} jobs"
    for name, value, unit in (
        ("hour", hour.cpu_s, "CPU s an hour"),
        ("job", 1e3 * hour.cpu_s / hour.jobs, "CPU ms a job"),
        ("view", 1e6 * hour.cpu_s / hour.views, "CPU us a view"),
    ):
        yield Row(f"scale/{name}", value, None, None, unit, 1, "", told)
    ratio = hour.peak_mib / most.peak_mib
    yield Row("scale/memory", hour.peak_mib, most.peak_mib, ratio, "MiB", 1, "", f"an hour beside {MINUTES} minutes")
    costs = [found[vehicles].cpu_s for vehicles in VEHICLES]
    slope = float(np.polyfit(np.log(VEHICLES), np.log(costs), 1)[0])
    told = ", ".join(f"{n}: {cost:.3g} s" for n, cost in zip(VEHICLES, costs, strict=True))
    yield Row("scale/growth-vehicles", slope, None, None, "exponent", 1, "", told)


def asked(vehicles: int, minutes: int) -> Measured:
    """`measured` in a process of its own."""
    command = [sys.executable, "-m", "iovsim.bench.scale", str(vehicles), str(minutes)]
    return Measured(**json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))


def measured(vehicles: int, minutes: int) -> Measured:
    """One run, in this process, which should be a fresh one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world, contacts, links = _world(folder, vehicles, minutes)
        counted = _Counted(StagedPolicy((SelectRandom(4),)))
        method = Method(counted, SvdAggregator(), KeepBudgets(), HeadingForecast())
        recorder = Recorder(folder / "run")
        jobs = 0

        def passed(done: float) -> None:
            contacts.let_go()
            links.let_go()

        def run() -> None:
            nonlocal jobs
            setting = Setting(world, method, FakeTrainer(), recorder, lambda task, name, adapter, heads: None)
            jobs = simulate(setting, passed).jobs
            recorder.finish()

        seconds = cpu_s(run)
        return Measured(seconds, round(status_mib("VmHWM")), len(contacts), counted.views, jobs)


class _Counted:
    """A policy, and how many clients it was shown."""

    def __init__(self, policy: StagedPolicy) -> None:
        self._policy = policy
        self.views = 0

    def plan(self, view: RoundView) -> RoundPlan:
        self.views += len(view.clients)
        return self._policy.plan(view)

    def feedback(self, outcome: object) -> None:
        """Nothing is learnt."""


def _world(folder: Path, vehicles: int, minutes: int) -> tuple[World, ContactTable, LinkTable]:
    """The tiny world's task and radio, with this traffic and these RSUs."""
    side = math.ceil(math.sqrt(RSUS))
    apart_m = SIDE_M / side
    rsus = tuple(
        Rsu(f"r{k:03d}", apart_m * (k % side + 0.5), apart_m * (k // side + 0.5), 5.0, 250.0, (TASK,))
        for k in range(RSUS)
    )
    _traffic(folder / "trace", vehicles, minutes)
    contacts = extract(Trace(folder / "trace"), rsus, hysteresis_m=10.0, folder=folder / "contacts")
    save_parts(folder / "links", Channel().parts(contacts, rsus, 1, lambda done, total: contacts.let_go()))
    links = LinkTable.load(folder / "links")
    shard = Shard(TASK, np.arange(8, 56), np.arange(8), np.full(48, -np.inf), np.full(8, -np.inf))
    world = replace(
        tiny_world(1, vehicles=1),
        end_s=60.0 * minutes,
        rsus=rsus,
        contacts=contacts,
        links=links,
        vehicles={v: Vehicle(v, TIERS["orin-nx"], 0, {TASK: shard}) for v in contacts.vehicles},
        round_period_s=PERIOD_S,
        round_deadline_s=PERIOD_S - 5.0,
        merge_every_rounds=5,
        evaluated_vehicles={TASK: ()},
    )
    return world, contacts, links


def _traffic(path: Path, vehicles: int, minutes: int) -> None:
    """Vehicles at 10 m/s, a new direction every half minute, towards the middle near the edge."""
    rng = stream(1, "bench scale", vehicles)
    middle_m = SIDE_M / 2
    names = [f"v{v}" for v in range(vehicles)]

    def steps() -> Iterator[Samples]:
        x_m, y_m = rng.uniform(0.0, SIDE_M, (2, vehicles))
        angle = np.zeros(vehicles)
        for step in range(60 * minutes + 1):
            if step % 30 == 0:
                inwards = np.arctan2(middle_m - x_m, middle_m - y_m)
                inside = np.maximum(abs(x_m - middle_m), abs(y_m - middle_m)) < middle_m - 300.0
                angle = np.where(inside, rng.uniform(0.0, 2 * np.pi, vehicles), inwards)
            speed_mps = np.full(vehicles, 10.0)
            yield Samples(np.full(vehicles, float(step)), names, x_m, y_m, speed_mps, np.rad2deg(angle) % 360.0)
            x_m, y_m = x_m + 10.0 * np.sin(angle), y_m + 10.0 * np.cos(angle)

    write_trace(path, steps(), source="benchmark", net=False, step_s=1.0)


if __name__ == "__main__":
    print(json.dumps(asdict(measured(int(sys.argv[1]), int(sys.argv[2])))))
