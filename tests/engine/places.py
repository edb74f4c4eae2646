"""Hand-made worlds for fallbacks: vehicles stand beside RSUs for given times, at constant gains; and runs of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from iovsim.domain import (
    Batteries,
    Battery,
    BatteryUse,
    Contact,
    ContactEnd,
    Drive,
    Fallback,
    FallbackView,
    Link,
    Reroute,
    RoundPlan,
    RoundView,
    Rsu,
    Station,
    TrafficAction,
    TrainJob,
    Way,
    WayKind,
    World,
)
from iovsim.energy import TIERS, train_flops
from iovsim.engine import State
from iovsim.mobility.forecast import OracleForecast
from iovsim.policies.draft import draft
from iovsim.policies.fallback import way_of
from iovsim.results import Run
from iovsim.testing import FakeTrainer, tiny_world

GAIN = 1e-9
DEVICE = TIERS["orin-nano"]

Stay = tuple[str, str, float, float]
"""Vehicle, RSU, and from when until when they are in contact."""


class Book(tuple[Contact, ...]):
    """A `domain.ContactBook`."""

    def active(self, rsu: str, time_s: float) -> Sequence[Contact]:
        here = [c for c in self if c.rsu == rsu and c.start_s <= time_s < c.end_s]
        return sorted(here, key=lambda c: c.vehicle)

    def of_vehicle(self, vehicle: str) -> Sequence[Contact]:
        return sorted((c for c in self if c.vehicle == vehicle), key=lambda c: c.start_s)


@dataclass(frozen=True)
class Links:
    """Links to RSUs and between vehicles, with a gain that never changes."""

    contacts: Book
    gain: float = GAIN

    def of(self, contact: int, start_s: float, end_s: float) -> Link:
        return Link(contact, np.array([start_s, end_s]), np.full(2, self.gain), np.ones(2), np.zeros(2, dtype=np.int8))


class RsuLinks(Links):
    def link(self, contact: int) -> Link:
        return self.of(contact, self.contacts[contact].start_s, self.contacts[contact].end_s)


class VehicleLinks(Links):
    def link(self, one: Contact, other: Contact) -> Link:
        return self.of(one.contact, max(one.start_s, other.start_s), min(one.end_s, other.end_s))


def place(
    stays: Sequence[Stay],
    ends: Mapping[str, ContactEnd] | None = None,
    *,
    epochs: int = 10,
    end_s: float = 40.0,
) -> World:
    """Rounds of 20 s with a deadline at 18; every vehicle has an `orin-nano` and 48 samples: 3 steps an epoch.

    A contact's end is `RANGE`, unless `ends` says otherwise for the vehicle's last one.
    """
    base = tiny_world(1, vehicles=1)
    contacts = []
    for number, (vehicle, rsu, start_s, stop_s) in enumerate(sorted(stays, key=lambda s: (s[2], s[1], s[0]))):
        last = stop_s == max(s[3] for s in stays if s[0] == vehicle)
        end = (ends or {}).get(vehicle, ContactEnd.RANGE) if last else ContactEnd.RANGE
        still = np.zeros(2)
        times_s = np.array([start_s, stop_s])
        contacts.append(
            Contact(number, vehicle, rsu, start_s, stop_s, end, times_s, still + 100.0, still, still, still)
        )
    book = Book(contacts)
    sites = tuple(Rsu(name, 0.0, 0.0, 5.0, 200.0, ("signs",)) for name in sorted({s[1] for s in stays}))
    some = base.vehicles["v00"]
    names = sorted({s[0] for s in stays})
    return replace(
        base,
        end_s=end_s,
        rsus=sites,
        contacts=book,
        links=RsuLinks(book),
        sidelinks=VehicleLinks(book),
        vehicles={name: replace(some, vehicle=name, device=DEVICE) for name in names},
        tasks=(replace(base.tasks[0], local_epochs=epochs),),
        evaluated_vehicles={"signs": tuple(names)},
    )


@dataclass
class Road:
    """Traffic that only takes notes; `gone` vehicles have left it, and `closed` edges lie where no route leads."""

    gone: set[str] = field(default_factory=set)
    told: list[TrafficAction | float] = field(default_factory=list)
    time_s: float = 1.0
    edges: Mapping[str, str] = field(default_factory=lambda: {"rsu0": "a", "rsu1": "b"})
    stations: Mapping[str, Station] = field(default_factory=lambda: {"plug": Station(500.0, 0.0, 20e3)})
    batteries: Batteries | None = None

    def has_edge(self, edge: str) -> bool:
        return edge in ("a", "b", "closed")

    def drive(self, vehicle: str) -> Drive | None:
        return None if vehicle in self.gone else Drive(vehicle, 0.0, 0.0, 10.0, 0.0, "a", 14.0)

    def apply(self, action: TrafficAction) -> str:
        self.told.append(action)
        return "no route" if action == Reroute(action.vehicle, "closed") else ""

    def advance(self, until_s: float) -> None:
        self.told.append(until_s)
        self.time_s = until_s + 1.0


@dataclass
class Cells:
    """Batteries of vehicles that stand: only jobs draw from them. Capacity 1000 J, and a tenth of it is the reserve."""

    charges_j: dict[str, float]
    drawn: list[tuple[float, dict[str, float]]] = field(default_factory=list)

    def of(self, vehicle: str) -> Battery | None:
        return Battery(self.charges_j[vehicle], 1000.0, 100.0) if vehicle in self.charges_j else None

    def lasts_s(self, vehicle: str, *, from_s: float, power_w: float, spent_j: float) -> float:
        spare_j = self.charges_j.get(vehicle, math.inf) - 100.0 - spent_j
        if spare_j <= 0.0:
            return from_s
        return from_s + spare_j / power_w if power_w else math.inf

    def settle(self, until_s: float, jobs_j: Mapping[str, float]) -> Sequence[BatteryUse]:
        self.drawn.append((until_s, dict(jobs_j)))
        uses = []
        for vehicle, before_j in sorted(self.charges_j.items()):
            asked_j = jobs_j.get(vehicle, 0.0)
            after_j = self.charges_j[vehicle] = max(before_j - asked_j, 0.0)
            uses.append(
                BatteryUse(vehicle, before_j, 0.0, 0.0, 0.0, asked_j, after_j - before_j + asked_j, 0.0, after_j)
            )
        return uses


@dataclass
class Wants:
    """Takes a way of the kind that is wanted, once so many steps are done; goes on before, and gives up in the end."""

    kind: WayKind
    steps: int = 0
    only: str = ""  # the vehicle it wants it for; empty: all

    def __post_init__(self) -> None:
        self.views: list[FallbackView] = []

    def choose(self, view: FallbackView) -> Way:
        self.views.append(view)
        wanted = way_of(view, self.kind) if view.vehicle == self.only or not self.only else None
        if wanted is not None and view.steps >= self.steps:
            return wanted
        return way_of(view, WayKind.GO_ON) or view.ways[-1]


class Keeping(FakeTrainer):
    """Keeps the jobs that it was asked to train, by vehicle."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, TrainJob] = {}

    def submit(self, job: TrainJob) -> int:
        self.jobs[job.vehicle] = job
        return super().submit(job)


class OnlyTheFirstRound:
    """Plans the given vehicles, in the first period alone."""

    def __init__(self, *vehicles: str) -> None:
        self.vehicles = vehicles

    def plan(self, view: RoundView) -> RoundPlan:
        return draft(view, [c for c in view.clients if c.vehicle in self.vehicles and view.round == 0])

    def feedback(self, outcome: object) -> None: ...


def rows(run: Run, table: str) -> list[dict[str, Any]]:
    return run.table(table).to_dict("records")  # type: ignore[return-value]


def phases(run: Run, job: int = 0) -> list[tuple[str, str, str, bool]]:
    return [(p["phase"], p["vehicle"], p["rsu"], p["completed"]) for p in rows(run, "phases") if p["job"] == job]


def lengths_s(run: Run, job: int = 0) -> list[float]:
    return [p["end_s"] - p["start_s"] for p in rows(run, "phases") if p["job"] == job]


def work_s(world: World, epochs: int = 10) -> float:
    return train_flops(world.tasks[0].charged, 2, 48 * epochs) / DEVICE.compute_flops


def one(
    run_world: Callable[..., tuple[Run, State]], stays: list[Stay], fallback: Fallback | None, *planned: str, **how: Any
) -> tuple[Run, Keeping]:
    """Runs the place of `stays` under a fallback, with the truth as forecast; `v` alone has a job, unless told."""
    trainer = Keeping()
    policy = OnlyTheFirstRound(*(planned or ("v",)))
    run, _ = run_world(place(stays, **how), policy, OracleForecast(), trainer=trainer, fallback=fallback)
    spent_j = [j for p in rows(run, "phases") for j in (p["vehicle_j"], p["rsu_j"])]
    assert math.fsum(spent_j) == math.fsum(run.table("energy")["energy_j"])
    assert trainer.waiting == {}
    return run, trainer
