"""SUMO's traffic as it is driven beside the engine: stepped, looked at, acted on, and recorded."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import traci.constants as tc

from iovsim.domain import Drive, Reroute, Rsu, SetSpeed, Station, StopAt, TrafficAction
from iovsim.errors import TraceError
from iovsim.mobility.batteries import OPTIONS, BatteryRule, LiveBatteries
from iovsim.mobility.charging import ChargingPlace, with_places
from iovsim.mobility.coupling import Sumo, by_socket, in_process
from iovsim.mobility.live_contacts import LiveContacts
from iovsim.mobility.samples import Samples
from iovsim.mobility.sumo import chooses_vehicles, is_mesoscopic, options_of, simulation_options
from iovsim.mobility.sumo_config import read_config
from iovsim.mobility.trace import Covered, write_trace
from iovsim.mobility.trace.trace import JUMP_MPS, JUMP_SLACK_M

INSTANT_S = 1e-6
"""Times nearer than this are one; SUMO's clock counts milliseconds."""

SEEN = (tc.VAR_POSITION, tc.VAR_SPEED, tc.VAR_ANGLE)
"""What is read of each vehicle in each step."""


@contextmanager
def driven(
    sumocfg: Path | str,
    folder: Path,
    rsus: Sequence[Rsu],
    *,
    seed: int,
    start_s: float,
    end_s: float,
    step_s: float,
    hysteresis_m: float,
    coupling: str,
    gui: bool,
    mesoscopic: bool | None = None,
    ignore_route_errors: bool = False,
    batteries: BatteryRule | None = None,
    places: Sequence[ChargingPlace] = (),
) -> Iterator[LiveTraffic]:
    """Live traffic with all that is known at `start_s`, driven by a SUMO that is started as for a recording.

    SUMO writes into `folder`. `coupling` is "libsumo" or "traci". `places` are charging stations beside the map's own.
    Raises `TraceError` for a mesoscopic simulation, and for whatever is wrong with SUMO, also in the middle of the
    block.
    """
    where, config = str(sumocfg), with_places(read_config(sumocfg), places, folder)
    chosen = options_of(config, seed, None, end_s + step_s, step_s, mesoscopic, ignore_route_errors)
    if is_mesoscopic(chosen):
        raise TraceError(
            f"{where}: sets mesosim, which drives queues, in which no vehicle can be acted on; set "
            "mobility.mesoscopic = false, or mobility.source = 'replay'."
        )
    options = [*simulation_options(config, folder, chosen), "--no-warnings", "true"]
    options += OPTIONS if batteries is not None else ()
    coupled = (
        in_process(options, where)
        if coupling == "libsumo"
        else by_socket(options, where, gui=gui, errors=folder / "stderr.txt")
    )
    with coupled as sumo, (folder / "samples").open("w+b") as samples:
        traffic = LiveTraffic(
            sumo, rsus, samples, start_s=start_s, end_s=end_s, step_s=step_s, hysteresis_m=hysteresis_m,
            all_vehicles=not chooses_vehicles(config),
            batteries=LiveBatteries(sumo.api, batteries) if batteries is not None else None,
        )  # fmt: skip
        traffic.advance(start_s)
        yield traffic


class LiveTraffic:
    """A `domain.Traffic` over SUMO's functions (`coupling`)."""

    def __init__(
        self,
        sumo: Sumo,
        rsus: Sequence[Rsu],
        samples: IO[bytes],
        *,
        start_s: float,
        end_s: float,
        step_s: float,
        hysteresis_m: float,
        all_vehicles: bool,
        batteries: LiveBatteries | None = None,
    ) -> None:
        self._api = api = sumo.api
        self._refusal = sumo.refusal
        self._samples, self._all_vehicles = samples, all_vehicles
        self._begin_s, self._end_s, self._step_s = api.simulation.getTime(), end_s, step_s
        self._now_s = start_s  # when the engine's latest period began
        self._edges = frozenset(edge for edge in api.edge.getIDList() if not edge.startswith(":"))
        self._kept_until_s: dict[str, float] = {}  # by vehicle whose speed is set
        self.contacts = LiveContacts(
            rsus,
            start_s=start_s,
            end_s=end_s,
            step_s=step_s,
            jump_m=JUMP_MPS * step_s + JUMP_SLACK_M,
            hysteresis_m=hysteresis_m,
        )
        self.batteries = batteries
        self.acted = False  # whether anybody was asked for anything, or was left without charge
        self.time_s = -np.inf
        self.edges: Mapping[str, str] = {rsu.rsu: _edge_at(api, rsu) for rsu in rsus}
        self.stations: Mapping[str, Station] = {
            name: _station(api, name) for name in sorted(api.chargingstation.getIDList())
        }

    def has_edge(self, edge: str) -> bool:
        return edge in self._edges

    def drive(self, vehicle: str) -> Drive | None:
        """How a vehicle drives now; None where it has left the road."""
        seen = self._api.vehicle.getSubscriptionResults(vehicle)
        if not _on_road(seen):
            return None
        speed_mps, angle = seen[tc.VAR_SPEED], math.radians(seen[tc.VAR_ANGLE])
        x_m, y_m = seen[tc.VAR_POSITION]
        return Drive(
            vehicle=vehicle,
            x_m=x_m,
            y_m=y_m,
            vx_mps=speed_mps * math.sin(angle),
            vy_mps=speed_mps * math.cos(angle),
            edge=self._api.vehicle.getRoadID(vehicle),
            allowed_mps=self._api.vehicle.getAllowedSpeed(vehicle),
            station=next(
                (s for stop in self._api.vehicle.getStops(vehicle) if (s := stop.stoppingPlaceID) in self.stations), ""
            ),
        )

    def apply(self, action: TrafficAction) -> str:
        """Has a vehicle do it; returns why it cannot, or an empty text."""
        vehicles = self._api.vehicle
        self.acted = True
        try:
            match action:
                case Reroute(vehicle=vehicle, edge=edge):
                    return self._go_by(vehicle, edge)
                case SetSpeed(vehicle=vehicle, speed_mps=speed_mps, until_s=until_s):
                    vehicles.setSpeed(vehicle, speed_mps)
                    self._kept_until_s[vehicle] = until_s
                case StopAt(vehicle=vehicle, station=station, stay_s=stay_s):
                    edge = self._api.lane.getEdgeID(self._api.chargingstation.getLaneID(station))
                    if edge not in self._ahead(vehicle) and (why := self._go_by(vehicle, edge)):
                        return why
                    vehicles.setChargingStationStop(vehicle, station, stay_s, flags=tc.STOP_PARKING)
        except self._refusal as error:
            return str(error).strip()
        return ""

    def advance(self, until_s: float) -> None:
        """Drives until one step after `until_s`, at most to the end, and has the contacts grow accordingly."""
        target_s = min(until_s + self._step_s, self._end_s)
        while self.time_s < target_s - INSTANT_S:
            self._step()
        self.contacts.settle(self._now_s)
        self._now_s = until_s

    def record(self, trace: Path, source: str) -> None:
        """Writes all that was driven so far as a trace, from SUMO's first step on."""
        self._samples.seek(0)
        covered = Covered(self._begin_s, self.time_s)
        write_trace(trace, _read(self._samples), source=source, step_s=self._step_s, covered=lambda: covered)

    def _step(self) -> None:
        """SUMO's next step; its own clock has then run on to the step after."""
        for vehicle in [v for v, until_s in self._kept_until_s.items() if until_s <= self.time_s + INSTANT_S]:
            self._api.vehicle.setSpeed(vehicle, -1)
            del self._kept_until_s[vehicle]
        self._tow()
        self._api.simulationStep()
        self.time_s = round(self._api.simulation.getTime() - self._step_s, 3)
        for vehicle in self._api.simulation.getArrivedIDList():
            self._kept_until_s.pop(vehicle, None)
            if self.batteries is not None:
                self.batteries.leave(vehicle)
        self._look()

    def _tow(self) -> None:
        """Takes vehicles off the road whose battery is empty: SUMO would let them drive on with nothing."""
        if self.batteries is None:
            return
        for vehicle in self.batteries.empty:
            self._api.vehicle.unsubscribe(vehicle)  # libsumo fails where a vehicle that it looks at is taken away
            self._api.vehicle.remove(vehicle, tc.REMOVE_VAPORIZED)
            self.batteries.leave(vehicle)
            self._kept_until_s.pop(vehicle, None)
            self.acted = True

    def _look(self) -> None:
        """Takes down where all vehicles are, with the two decimals that a trace has."""
        vehicles = self._api.vehicle
        for vehicle in self._api.simulation.getDepartedIDList():
            if self._all_vehicles or vehicles.getParameter(vehicle, "has.fcd.device") == "true":
                vehicles.subscribe(vehicle, SEEN)
                if self.batteries is not None:
                    self.batteries.equip(vehicle, self.time_s)
        seen = {v: values for v, values in vehicles.getAllSubscriptionResults().items() if _on_road(values)}
        rows = [(*values[tc.VAR_POSITION], values[tc.VAR_SPEED], values[tc.VAR_ANGLE]) for values in seen.values()]
        columns = np.rint(np.array(rows).reshape(-1, 4).T * 100.0) / 100.0
        step = Samples(np.full(len(seen), self.time_s), list(seen), *columns)
        pickle.dump(step, self._samples)
        self.contacts.take(self.time_s, step)
        if self.batteries is not None:
            self.batteries.look(self.time_s, seen)
            if self.time_s < self._now_s + INSTANT_S:  # books are kept from the first period on
                self.batteries.settle(self.time_s, {})

    def _ahead(self, vehicle: str) -> Sequence[str]:
        """The edges of its route, from the one that it is on, or comes from."""
        vehicles = self._api.vehicle
        return vehicles.getRoute(vehicle)[max(vehicles.getRouteIndex(vehicle), 0) :]  # type: ignore[no-any-return]

    def _go_by(self, vehicle: str, edge: str) -> str:
        """SUMO's own rerouting by way of an edge ends the simulation where no route leads there."""
        # a vehicle that was told a property has a type of its own, which no route can be asked for
        ahead, kind = self._ahead(vehicle), self._api.vehicle.getTypeID(vehicle).removesuffix(f"@{vehicle}")
        there, on = (
            self._api.simulation.findRoute(begin, end, kind).edges
            for begin, end in ((ahead[0], edge), (edge, ahead[-1]))
        )
        if not there or not on:
            return f"no route leads from {ahead[0]!r} by {edge!r} to {ahead[-1]!r}"
        self._api.vehicle.setRoute(vehicle, [*there, *on[1:]])
        return ""


def _edge_at(api: Any, rsu: Rsu) -> str:
    """The edge nearest to an RSU; of a junction, one that leads away from it."""
    edge, _, lane = api.simulation.convertRoad(rsu.x_m, rsu.y_m, False, "passenger")
    while edge.startswith(":"):
        lane_id = api.lane.getLinks(f"{edge}_{lane}")[0][0]
        edge, lane = lane_id.rsplit("_", 1)
    return str(edge)


def _station(api: Any, name: str) -> Station:
    station = api.chargingstation
    middle_m = (station.getStartPos(name) + station.getEndPos(name)) / 2.0
    edge, lane = station.getLaneID(name).rsplit("_", 1)
    x_m, y_m = api.simulation.convert2D(edge, middle_m, int(lane))
    return Station(x_m, y_m, station.getChargingPower(name) * station.getEfficiency(name))


def _on_road(seen: Mapping[int, Any]) -> bool:
    """False for a vehicle that is not there, or that SUMO moves through the air (teleports)."""
    return bool(seen) and seen[tc.VAR_POSITION][0] > tc.INVALID_DOUBLE_VALUE


def _read(samples: IO[bytes]) -> Iterator[Samples]:
    """What `_look` has taken down, up to the end of the file."""
    with suppress(EOFError):
        while True:
            yield pickle.load(samples)
