"""The battery table of a scenario becomes what mobility is told of batteries and charging places."""

from __future__ import annotations

from pathlib import Path

from iovsim.config import Scenario
from iovsim.errors import ScenarioError, near_match
from iovsim.mobility.batteries import PARAMETERS, BatteryRule
from iovsim.mobility.charging import ChargingPlace, check_places


def battery_rule(scenario: Scenario, seed: int) -> BatteryRule | None:
    """Who has a battery in a run of this seed; None where nobody has."""
    section = scenario.battery
    if section is None:
        return None
    return BatteryRule(
        seed=seed,
        vehicle_share=section.share,
        capacity_j=section.capacity_j,
        initial_share=section.initial,
        reserve_share=section.reserve,
        parameters=section.parameters,
    )


def check_batteries(scenario: Scenario, net: Path) -> None:
    """Raises `ScenarioError` for a parameter that SUMO's energy model has not, or a place that the net has not."""
    for name in scenario.battery.parameters if scenario.battery is not None else ():
        if name not in PARAMETERS:
            raise ScenarioError(
                f"{scenario.where}: key 'battery.parameters': SUMO's energy model has no {name!r}; "
                f"{near_match(name, PARAMETERS)}"
            )
    check_places(places_of(scenario), net)


def places_of(scenario: Scenario) -> tuple[ChargingPlace, ...]:
    """The charging places that the scenario adds to its map."""
    section = scenario.battery
    return tuple(ChargingPlace(**place.model_dump()) for place in section.places) if section is not None else ()
