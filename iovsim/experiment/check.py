"""A scenario and policies become a list of what was found good, or the first error; nothing is run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from iovsim.config import PolicyFile, Scenario
from iovsim.errors import located
from iovsim.experiment.city import build_channel
from iovsim.experiment.data import load_data
from iovsim.experiment.fleet import check_tiers
from iovsim.experiment.ground import Ground, ground_of
from iovsim.experiment.method import free_energy, method_for
from iovsim.experiment.sites import place, planning_trace
from iovsim.experiment.tasks import build_backbones, build_task
from iovsim.learning.prepared import LearningTask
from iovsim.learning.trainer import PeftTrainer
from iovsim.mobility.placement import PLANNED
from iovsim.mobility.route_check import broken_routes
from iovsim.mobility.samples import Repairs
from iovsim.mobility.trace import Trace


def check_scenario(scenario: Scenario, policies: Sequence[PolicyFile], cache: Path) -> Iterator[str]:
    """Yields a line for each part that is sound. Raises an `IovsimError` at the first that is not."""
    with located(scenario.where):
        ground = ground_of(scenario)
    roadmap = ground.roadmap
    west, south, east, north = roadmap.bounds
    roads = f"{len(roadmap.roads)} roads" if roadmap.roads else "no roads (a trace alone)"
    yield (
        f"map: {ground.name}, {east - west:.0f} m x {north - south:.0f} m, {roads}, {len(roadmap.buildings)} buildings"
    )
    if ground.sumo is not None and (ground.sumo.ignores_route_errors or scenario.mobility.ignore_route_errors):
        broken = broken_routes(ground.sumo)
        yield f"routes: errors are ignored; broken: those of {broken.vehicles} vehicles"
    if scenario.mobility.trace is not None:
        with located(f"{scenario.where}: key 'mobility.trace'"):
            summary = Trace(scenario.resolved(scenario.mobility.trace)).summary()
        yield f"trace: {summary.vehicles} vehicles, {summary.begin_s:g} s to {summary.end_s:g} s"
    yield _rsus(scenario, ground, cache)
    channel = build_channel(scenario, roadmap)
    sight = "buildings" if channel.buildings is not None else "probability law"
    yield f"radio: {scenario.radio.path_loss.kind}, line of sight by {sight}"
    check_tiers(scenario)
    yield f"devices: {', '.join(scenario.devices.tiers)}"
    if scenario.battery is not None:
        battery = scenario.battery
        yield f"batteries: {battery.capacity_j:g} J on {battery.share:.0%}, {len(battery.places)} charging places added"
    backbones = build_backbones(scenario)
    for section in scenario.tasks:
        data = load_data(scenario, section, cache)
        backbone = backbones[section.name]
        task = build_task(scenario, section, data.data, backbone)
        with located(scenario.where):
            PeftTrainer({task.task: LearningTask(task, backbone, data.data, data.validation)})
        yield (
            f"task {section.name}: {len(data.data.train)} training, {len(data.validation)} validation and "
            f"{len(data.data.test)} held-out samples, {task.classes} classes, trained: {backbone.name}, charged as "
            f"{task.charged.name}"
        )
    for policy in policies:
        free = "; no [price], so that its bandit heeds no energy" if free_energy(method_for(scenario, policy)) else ""
        yield f"policy {policy.name}: {policy.policy.kind}{free}"


def _rsus(scenario: Scenario, ground: Ground, cache: Path) -> str:
    """Where the RSUs stand, or, where that is planned for traffic, for which."""
    section = scenario.rsus
    if section.placement in PLANNED:
        trace = planning_trace(scenario)
        planned = f"SUMO's seed {section.traffic_seed}" if trace is None else f"{trace.name}"
        return f"RSUs: {section.count}, to be placed for the traffic of {planned} (see 'iovsim rsus')"
    counted = Repairs()
    with located(scenario.where):
        rsus = place(scenario, ground, cache, _nothing_recorded, counted)
    of_file = f" ({counted})" if section.file is not None and counted.counts else ""
    return f"RSUs: {len(rsus)}{of_file}, " + ", ".join(f"{r.rsu} ({r.x_m:.0f} m, {r.y_m:.0f} m)" for r in rsus)


def _nothing_recorded(seed: int) -> Path:
    raise AssertionError(f"a placement that plans for no traffic asked for that of seed {seed}")
