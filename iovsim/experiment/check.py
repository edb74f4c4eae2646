"""A scenario and policies become a list of what was found good, or the first error; nothing is run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from iovsim.config import PolicyFile, Scenario
from iovsim.experiment.city import build_channel, place, sumocfg
from iovsim.experiment.data import build_task, load_data
from iovsim.experiment.fleet import check_tiers
from iovsim.experiment.method import build_method
from iovsim.mobility import sumo
from iovsim.mobility.roadmap import read_map
from iovsim.mobility.trace import Trace


def check_scenario(scenario: Scenario, policies: Sequence[PolicyFile], cache: Path) -> Iterator[str]:
    """Yields a line for each part that is sound. Raises an `IovsimError` at the first that is not."""
    inputs = sumo.inputs(sumocfg(scenario))
    roadmap = read_map(inputs)
    west, south, east, north = roadmap.bounds
    yield (
        f"map: {sumocfg(scenario).name}, {east - west:.0f} m x {north - south:.0f} m, {len(roadmap.roads)} roads, "
        f"{len(roadmap.buildings)} buildings"
    )
    if scenario.mobility.trace is not None:
        summary = Trace(scenario.resolved(scenario.mobility.trace)).summary()
        yield f"trace: {summary.vehicles} vehicles, {summary.begin_s:g} s to {summary.end_s:g} s"
    rsus = place(scenario, roadmap)
    yield f"RSUs: {len(rsus)}, " + ", ".join(f"{r.rsu} ({r.x_m:.0f} m, {r.y_m:.0f} m)" for r in rsus)
    channel = build_channel(scenario, roadmap)
    sight = "buildings" if channel.buildings is not None else "probability law"
    yield f"radio: {scenario.radio.path_loss.kind}, line of sight by {sight}"
    check_tiers(scenario)
    yield f"devices: {', '.join(scenario.devices.tiers)}"
    for section in scenario.tasks:
        data = load_data(scenario, section, cache)
        build_task(scenario, section, data)
        yield (
            f"task {section.name}: {len(data.train)} training and {len(data.test)} held-out samples, "
            f"{len(data.train.classes)} classes, trained: {section.backbone}, charged as {section.charge_as}"
        )
    for policy in policies:
        build_method(policy)
        yield f"policy {policy.name}: {policy.policy.kind}"
