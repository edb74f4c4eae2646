"""A run with SUMO beside it: the world that the recording tells of, with traffic that is driven as the run goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from iovsim.config import Scenario
from iovsim.domain import Link, Rsu, Vehicle
from iovsim.engine import Setting, simulate
from iovsim.experiment.batteries import battery_rule, places_of
from iovsim.experiment.city import Progress, with_traffic
from iovsim.experiment.fleet import build_fleet
from iovsim.experiment.ground import sumocfg
from iovsim.experiment.world import BuiltWorld
from iovsim.mobility.live import driven
from iovsim.mobility.live_contacts import LiveContacts
from iovsim.mobility.survey import districts_of
from iovsim.radio import Channel, LinkTable


def simulate_live(
    scenario: Scenario, built: BuiltWorld, setting: Setting, folder: Path, progress: Progress
) -> BuiltWorld:
    """Simulates `setting` on live traffic, and returns the world as it came to be, whose files lie in `folder`.

    What the recording decides stays: hash, devices, data, evaluated vehicles; so all methods have one world. Where
    nobody acted, its city is `built.city` itself. Raises `TraceError` where SUMO fails or is lost.
    """
    seed, mobility, where = built.world.seed, scenario.mobility, sumocfg(scenario)
    city = built.city
    with driven(
        where,
        folder.absolute(),
        built.world.rsus,
        seed=seed if mobility.seed is None else mobility.seed,
        start_s=built.world.start_s,
        end_s=built.world.end_s,
        step_s=mobility.step_s,
        mesoscopic=mobility.mesoscopic,
        ignore_route_errors=mobility.ignore_route_errors,
        hysteresis_m=scenario.contacts.hysteresis_m,
        coupling=mobility.coupling,
        gui=mobility.gui,
        batteries=battery_rule(scenario, seed),
        places=places_of(scenario),
    ) as traffic:
        fleet = LiveFleet(scenario, built, traffic.contacts)
        links = LiveLinks(built.city.channel, traffic.contacts, built.world.rsus, seed)
        world = replace(built.world, contacts=traffic.contacts, links=links, vehicles=fleet)
        simulate(replace(setting, world=world, traffic=traffic), lambda done: progress("simulating", done))
        if traffic.acted:
            trace = folder / "traffic.parquet"
            traffic.record(trace, f"a live run on {where.name}")
            city = with_traffic(city, scenario, seed, trace, folder / "city", progress)
        traffic.contacts.check(city.contacts, str(where))
    return replace(built, world=replace(built.world, vehicles=dict(fleet)), city=city)


class LiveLinks:
    """A `domain.LinkBook` over contacts that grow: links grow alike, since random numbers are drawn in order of time.

    All are computed anew, from the beginnings of their contacts, when one is asked for after the contacts have grown.
    """

    def __init__(self, channel: Channel, contacts: LiveContacts, rsus: tuple[Rsu, ...], seed: int) -> None:
        self._channel, self._contacts, self._rsus, self._seed = channel, contacts, rsus, seed
        self._settled = -1
        self._table: LinkTable | None = None

    def link(self, contact: int) -> Link:
        if self._table is None or self._settled != self._contacts.settled:
            self._table = self._channel.links(self._contacts, self._rsus, self._seed)
            self._settled = self._contacts.settled
        return self._table.link(contact)


class LiveFleet(dict[str, Vehicle]):
    """The recording's fleet; whoever meets an RSU only here is made when first asked for, by its name as all are.

    It holds what its way in the recording gives it, or, if that never saw it, what the place gives where it is first
    met. Tasks whose shards are `disjoint`, or for some vehicles only, have been dealt already, so it has none of them.
    """

    def __init__(self, scenario: Scenario, built: BuiltWorld, contacts: LiveContacts) -> None:
        super().__init__(built.world.vehicles)
        open_tasks = tuple(t for t in scenario.tasks if not t.shards.disjoint and t.shards.vehicles is None)
        self._scenario = scenario.model_copy(update={"tasks": open_tasks})
        self._built, self._contacts = built, contacts

    def __missing__(self, vehicle: str) -> Vehicle:
        stays = self._built.city.stays
        stays = stays[stays["vehicle"] == vehicle]
        if stays.empty:
            stays = self._first_met(vehicle)
        data = {task: found.data for task, found in self._built.data.items()}
        made = build_fleet(self._scenario, self._built.world.seed, [vehicle], stays, data)[vehicle]
        self[vehicle] = made
        return made

    def _first_met(self, vehicle: str) -> pd.DataFrame:
        """One stay in the district where its first contact began, to the end."""
        contact = self._contacts.of_vehicle(vehicle)[0]
        per_side, bounds = self._scenario.districts.per_side, self._built.city.roadmap.bounds
        district = districts_of(contact.x_m[:1], contact.y_m[:1], bounds, per_side)
        end_s = np.array([self._built.world.end_s])
        return pd.DataFrame({"vehicle": [vehicle], "district": district, "start_s": contact.time_s[:1], "end_s": end_s})
