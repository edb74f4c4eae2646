"""The contract of traffic rules."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from iovsim.domain import Battery, Drive, RoundPlan, RoundView, Rsu, Station, TrafficRule, TrafficView
from iovsim.engine.traffic import ask_traffic
from iovsim.errors import PolicyError
from iovsim.policies import POLICIES
from iovsim.rng import stream
from iovsim.testing.worlds import tiny_views, tiny_world

STATIONS = {"plug0": Station(150.0, 0.0, 22e3), "plug1": Station(650.0, 0.0, 150e3)}
EDGES = {rsu.rsu: f"at {rsu.rsu}" for rsu in tiny_world().rsus}


def check_traffic(make: Callable[[], TrafficRule]) -> None:
    """Asks a traffic rule at the starts of many rounds and raises `PolicyError` with the first fault.

    Crowded, sparse and empty rounds; all clients have a job, some, or none; they are about to leave or stay for ever,
    drive, stand, or have left the road meanwhile; batteries full and empty, maps with and without charging stations.
    Every action must be one that can be done (see `engine.traffic`; the map has the edges of `view.edges` and those
    that clients are on), a rule made anew must do the same, and views must stay untouched. `make` is called twice.
    """
    first, second = make(), make()
    name = type(first).__name__
    for view in _views():
        clients, drives = copy.deepcopy(view.round.clients), dict(view.drives)
        known = {*view.edges.values(), *(drive.edge for drive in drives.values())}
        one, other = (
            ask_traffic(rule, replace(view, round=_fresh(view.round)), known.__contains__) for rule in (first, second)
        )
        if one != other:
            raise PolicyError(
                f"{name}: two fresh instances act differently on the same traffic; draw only from view.round.rng, or "
                "from iovsim.rng.stream, by name."
            )
        if view.round.clients != clients or view.drives != drives:
            raise PolicyError(f"{name}: act() changed the view; it is the engine's.")


def _fresh(view: RoundView) -> RoundView:
    return replace(view, rng=stream(0, "traffic rule", view.rsu, view.round))


def _views() -> Iterator[TrafficView]:
    rsus = {rsu.rsu: rsu for rsu in tiny_world().rsus}
    for number, view in enumerate(tiny_views()):
        everybody = POLICIES["all-available"]().plan(view).assignments
        for jobs in range(3):
            rng = stream(0, "check traffic", number, jobs)
            plan = RoundPlan({v: a for v, a in everybody.items() if jobs == 2 or (jobs == 1 and rng.random() < 0.5)})
            yield _view(view, plan, rsus[view.rsu], rng)


def _view(view: RoundView, plan: RoundPlan, rsu: Rsu, rng: np.random.Generator) -> TrafficView:
    """One step after the start of the round."""
    stays_s = (0.0, 0.5, 5.0, 1e6)
    clients = tuple(
        replace(c, residual_contact_s=float(rng.choice(stays_s)), battery=_battery(rng)) for c in view.clients
    )
    there = [c.vehicle for c in clients if rng.random() < 0.8]
    return TrafficView(
        time_s=view.start_s + 1.0,
        next_s=view.start_s + 20.0,
        round=replace(view, clients=clients),
        plan=plan,
        rsu=rsu,
        drives={vehicle: _drive(vehicle, rsu, rng) for vehicle in there},
        edges=EDGES,
        stations=STATIONS if rng.random() < 0.5 else {},
    )


def _battery(rng: np.random.Generator) -> Battery | None:
    """None, or one that is empty, at its reserve, or full."""
    charge = float(rng.choice([-1.0, 0.0, 0.1, 1.0]))
    return None if charge < 0.0 else Battery(charge * 1e8, 1e8, 1e7)


def _drive(vehicle: str, rsu: Rsu, rng: np.random.Generator) -> Drive:
    speed_mps, angle = float(rng.choice([0.0, 3.0, 14.0])), rng.uniform(0.0, 2.0 * np.pi)
    beside_m = rng.uniform(-rsu.range_m, rsu.range_m, 2)
    return Drive(
        vehicle,
        x_m=rsu.x_m + float(beside_m[0]),
        y_m=rsu.y_m + float(beside_m[1]),
        vx_mps=float(speed_mps * np.sin(angle)),
        vy_mps=float(speed_mps * np.cos(angle)),
        edge=f"road {rng.integers(3)}",
        allowed_mps=13.9,
    )
