"""Charging places that a scenario adds to a map: checked against its net, and handed to SUMO as an additional file."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from iovsim.errors import ScenarioError
from iovsim.mobility.roadmap import parse_xml
from iovsim.mobility.sumo_config import SumoConfig

SHORTEST_M = 1.0
"""A place must be longer (ours; SUMO wants 0.1 m)."""


@dataclass(frozen=True, slots=True)
class ChargingPlace:
    """A stretch of a lane beside which vehicles charge."""

    name: str
    edge: str
    lane: int
    start_m: float  # along the lane
    end_m: float | None  # None: to its end
    power_w: float
    efficiency: float  # part of the power that reaches the battery


def check_places(places: Sequence[ChargingPlace], net: Path) -> None:
    """Raises `ScenarioError` for a place on an edge or lane that the net has not, or that does not fit on it."""
    if not places:
        return
    lanes = {
        edge.get("id", ""): [float(lane.get("length", "0")) for lane in edge.findall("lane")]
        for edge in parse_xml(net).iterfind("edge")
        if edge.get("function", "normal") == "normal"
    }
    for place in places:
        where = f"charging place {place.name!r}"
        lengths_m = lanes.get(place.edge)
        if lengths_m is None:
            near = [f"did you mean {edge!r}? " for edge in get_close_matches(place.edge, lanes, n=1)]
            raise ScenarioError(
                f"{where}: {net.name} has no edge {place.edge!r}; {''.join(near)}Name an edge by its id in the net."
            )
        if place.lane >= len(lengths_m):
            raise ScenarioError(
                f"{where}: edge {place.edge!r} has no lane {place.lane}; allowed are 0 to {len(lengths_m) - 1}."
            )
        length_m = lengths_m[place.lane]
        end_m = length_m if place.end_m is None else place.end_m
        if not place.start_m + SHORTEST_M <= end_m <= length_m:
            raise ScenarioError(
                f"{where}: reaches from start_m = {place.start_m:g} to end_m = {end_m:g}, its lane is {length_m:g} m "
                f"long; make it lie there, and at least {SHORTEST_M:g} m long."
            )


def with_places(config: SumoConfig, places: Sequence[ChargingPlace], folder: Path) -> SumoConfig:
    """The configuration with the places, which are written into `folder`, after its own additional files."""
    if not places:
        return config
    root = ET.Element("additional")
    for place in places:
        given = {
            "id": place.name,
            "lane": f"{place.edge}_{place.lane}",
            "startPos": f"{place.start_m:g}",
            "power": f"{place.power_w:g}",
            "efficiency": f"{place.efficiency:g}",
        }
        end = {} if place.end_m is None else {"endPos": f"{place.end_m:g}"}
        ET.SubElement(root, "chargingStation", given | end)
    path = folder / "charging.add.xml"
    ET.ElementTree(root).write(path, encoding="UTF-8", xml_declaration=True)
    option = "additional-files"
    section = next((name for name, options in config.sections.items() if option in options), "input")
    options = config.sections.get(section, {})
    files = ",".join(part for part in (options.get(option), str(path)) if part)
    return replace(config, sections={**config.sections, section: {**options, option: files}})
