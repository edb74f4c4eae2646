"""SUMO's battery devices, read after every step: who has one, what driving takes, what jobs took in the last period.

SUMO's own energy model drives them, so that what a job takes is missing when the vehicle drives on, and the other way
round. A device neither draws random numbers nor changes how anybody drives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from iovsim.domain import Battery, BatteryUse, FloatArray
from iovsim.rng import stream

J_PER_WH = 3600.0
"""SUMO counts watt-hours."""

OPTIONS = ("--device.battery.deterministic", "true", "--device.battery.probability", "1", "--precision", "9")
"""A device for everybody, without a draw of SUMO's (a share of 1 has none), since one that was given when the vehicle
was loaded is all there can be. Nine decimals of what is read are 3.6 microjoules; without them it is 36 J."""

ELECTRIC = ("Energy", "MMPEVEM")
"""Emission classes with an electric drive. All others would drive for nothing, so they get SUMO's `Energy/default`:
Kurczveil, López and Schnieder 2014 with the parameters of a Kia Soul EV of 2020 (SUMO's Models/Electric)."""

PARAMETERS = (
    "mass",
    "loading",
    "frontSurfaceArea",
    "airDragCoefficient",
    "rotatingMass",
    "radialDragCoefficient",
    "rollDragCoefficient",
    "constantPowerIntake",
    "propulsionEfficiency",
    "recuperationEfficiency",
    "recuperationEfficiencyByDecel",
)
"""Of SUMO's energy model, under its own names and in its units, which are SI."""

NOISE_J = 1e-3
"""Less than that is not charging but rounding: at a station it would be a milliwatt."""

INSTANT_S = 1e-6


@dataclass(frozen=True, slots=True)
class BatteryRule:
    """Who has a battery, and what it is like. Shares of the capacity lie in [0, 1]."""

    seed: int  # draws by name who has one, and how full it is
    vehicle_share: float
    capacity_j: float
    initial_share: tuple[float, float]  # uniform between them
    reserve_share: float
    parameters: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def initial_j(self, vehicle: str) -> float | None:
        """The charge with which a vehicle sets out; None for one without a battery."""
        if stream(self.seed, "battery", vehicle).random() >= self.vehicle_share:
            return None
        return self.capacity_j * float(stream(self.seed, "battery charge", vehicle).uniform(*self.initial_share))


@dataclass(frozen=True, slots=True)
class _Flow:
    """What a battery took and gave in one step, in joules; the names are those of `BatteryUse`."""

    driving: float = 0.0
    recuperated: float = 0.0
    charged: float = 0.0
    unmet: float = 0.0
    surplus: float = 0.0


@dataclass(slots=True, eq=False)
class _Book:
    """One battery since the last step before the period. The three lists have one entry a step."""

    times_s: list[float]
    charges_j: list[float]
    flows: list[_Flow]
    consumed_j: float = 0.0  # SUMO's counter, as last read
    regenerated_j: float = 0.0


class LiveBatteries:
    """A `domain.Batteries` over the devices of a SUMO that was started with `OPTIONS`."""

    def __init__(self, api: Any, rule: BatteryRule) -> None:
        self._api, self._rule = api, rule
        self._books: dict[str, _Book] = {}
        self._left: set[str] = set()  # vehicles that are off the road for good
        self.empty: list[str] = []  # the vehicles whose battery the last step has emptied

    def equip(self, vehicle: str, time_s: float) -> None:
        """Gives a vehicle that has just set out its battery, if it has one."""
        rule, vehicles = self._rule, self._api.vehicle
        initial_j = rule.initial_j(vehicle)
        if initial_j is None:
            return
        emission_class = vehicles.getEmissionClass(vehicle)
        electric = emission_class.startswith(ELECTRIC)
        if rule.parameters or not electric:
            kind = vehicles.getTypeID(vehicle)
            for name, value in rule.parameters.items():
                self._api.vehicletype.setParameter(kind, name, repr(value))
            # from here on the vehicle has a type of its own, which reads the parameters of the one that it is made from
            vehicles.setEmissionClass(vehicle, emission_class if electric else "Energy/default")
            if "mass" in rule.parameters:
                vehicles.setMass(vehicle, rule.parameters["mass"])
        self._set(vehicle, "capacity", rule.capacity_j)
        self._set(vehicle, "chargeLevel", initial_j)
        self._books[vehicle] = _Book([time_s], [initial_j], [_Flow()])

    def look(self, time_s: float, vehicles: Iterable[str]) -> None:
        """Takes down what the step did to the batteries of those vehicles that are on the road."""
        self.empty = []
        for vehicle in vehicles:
            book = self._books.get(vehicle)
            if book is None or book.times_s[-1] == time_s:
                continue
            charge_j, consumed_j, regenerated_j = (
                self._get(vehicle, name) for name in ("chargeLevel", "totalEnergyConsumed", "totalEnergyRegenerated")
            )
            driving_j, recuperated_j = consumed_j - book.consumed_j, regenerated_j - book.regenerated_j
            ideal_j = book.charges_j[-1] - driving_j + recuperated_j
            held_j = min(max(ideal_j, 0.0), self._rule.capacity_j)
            # SUMO's own `energyCharged` goes on telling of the last step of charging while the vehicle drives off
            charged_j = charge_j - held_j if charge_j - held_j > NOISE_J else 0.0
            unmet_j, surplus_j = max(-ideal_j, 0.0), max(ideal_j - self._rule.capacity_j, 0.0)
            book.times_s.append(time_s)
            book.charges_j.append(charge_j)
            book.flows.append(_Flow(driving_j, recuperated_j, charged_j, unmet_j, surplus_j))
            book.consumed_j, book.regenerated_j = consumed_j, regenerated_j
            if charge_j <= 0.0:
                self.empty.append(vehicle)

    def leave(self, vehicle: str) -> None:
        """Its vehicle is off the road for good."""
        self._left.add(vehicle)

    def of(self, vehicle: str) -> Battery | None:
        """As it was at the last step before the period began."""
        book, rule = self._books.get(vehicle), self._rule
        if book is None:
            return None
        return Battery(book.charges_j[0], rule.capacity_j, rule.reserve_share * rule.capacity_j)

    def lasts_s(self, vehicle: str, *, from_s: float, power_w: float, spent_j: float) -> float:
        """When it comes down to its reserve; between steps the charge is taken to change evenly."""
        book = self._books.get(vehicle)
        if book is None:
            return np.inf
        times_s: FloatArray = np.array([from_s, *(t for t in book.times_s if t > from_s)])
        spare_j = np.interp(times_s, book.times_s, book.charges_j) - self._rule.reserve_share * self._rule.capacity_j
        spare_j -= spent_j + power_w * (times_s - from_s)
        (low,) = np.nonzero(spare_j <= 0.0)
        if not len(low):
            return float(times_s[-1]) + float(spare_j[-1]) / power_w if power_w > 0 else np.inf
        if low[0] == 0:
            return from_s
        return float(np.interp(0.0, spare_j[[low[0], low[0] - 1]], times_s[[low[0], low[0] - 1]]))

    def settle(self, until_s: float, jobs_j: Mapping[str, float]) -> Sequence[BatteryUse]:
        """Ends a period: SUMO, which is a step or two ahead, drives on with what jobs have left."""
        uses = []
        for vehicle, book in sorted(self._books.items()):
            past = sum(time_s <= until_s + INSTANT_S for time_s in book.times_s)
            over = vehicle in self._left and past == len(book.times_s)
            if past:
                uses.append(_closed(vehicle, book, past, jobs_j.get(vehicle, 0.0)))
                if uses[-1].jobs_j > 0 and vehicle not in self._left:
                    self._set(vehicle, "chargeLevel", book.charges_j[-1])
            if over:
                del self._books[vehicle]
        self._left &= self._books.keys()
        return uses

    def _get(self, vehicle: str, name: str) -> float:
        return float(self._api.vehicle.getParameter(vehicle, f"device.battery.{name}")) * J_PER_WH

    def _set(self, vehicle: str, name: str, energy_j: float) -> None:
        self._api.vehicle.setParameter(vehicle, f"device.battery.{name}", repr(energy_j / J_PER_WH))


def _closed(vehicle: str, book: _Book, past: int, jobs_j: float) -> BatteryUse:
    """The books of the first `past` steps, with what jobs took; leaves `book` with the last of them and the rest."""
    before_j, end_j, flows = book.charges_j[0], book.charges_j[past - 1], book.flows[1:past]
    unmet_j = max(jobs_j - end_j, 0.0)
    for column in (book.times_s, book.charges_j, book.flows):
        del column[: past - 1]
    _taken(book, jobs_j - unmet_j)
    return BatteryUse(
        vehicle=vehicle,
        before_j=before_j,
        driving_j=sum(flow.driving for flow in flows),
        recuperated_j=sum(flow.recuperated for flow in flows),
        charged_j=sum(flow.charged for flow in flows),
        jobs_j=jobs_j,
        unmet_j=sum(flow.unmet for flow in flows) + unmet_j,
        surplus_j=sum(flow.surplus for flow in flows),
        after_j=book.charges_j[0],
    )


def _taken(book: _Book, energy_j: float) -> None:
    """Takes what jobs got from the first charge on; what a later step then finds too little of counts as unmet."""
    for step, charge_j in enumerate(book.charges_j):
        lacking_j = max(energy_j - charge_j, 0.0)
        energy_j -= lacking_j
        book.charges_j[step] = charge_j - energy_j
        book.flows[step] = replace(book.flows[step], unmet=book.flows[step].unmet + lacking_j)
