"""A scenario and a seed become a city: recorded traffic, RSUs, contacts and links, kept in the cache by content.

Everything here depends on traffic, RSUs and radio alone, never on a policy, so all runs of a seed share it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from iovsim.config import Scenario
from iovsim.domain import Rsu
from iovsim.errors import ScenarioError, TraceError
from iovsim.experiment.code import outside_sha256, package_sha256
from iovsim.experiment.ground import ground_of, sumocfg
from iovsim.experiment.registry import make
from iovsim.experiment.sites import kept_sites, place
from iovsim.files import clear_leftovers, whole_folder
from iovsim.mobility import sumo
from iovsim.mobility.contact_table import ContactTable
from iovsim.mobility.contacts import extract
from iovsim.mobility.roadmap import RoadMap
from iovsim.mobility.samples import Repairs
from iovsim.mobility.survey import connectivity, density, district_stays
from iovsim.mobility.trace import Trace
from iovsim.mobility.trace import trace_sha256 as sha256_of_trace
from iovsim.radio import FADING, PATH_LOSS, SHADOWING, Buildings, Channel, LinkTable, save_parts

DENSITY_CELL_M = 25.0

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, eq=False)
class City:
    """What the traffic of one seed means for its RSUs. Frames are those of the run folder's tables."""

    folder: Path  # in the cache, with what follows from the trace
    sites: Path | None  # in the cache, where the RSUs' places are kept, if they are
    trace: Path
    trace_sha256: str
    map_sha256: str
    roadmap: RoadMap
    rsus: tuple[Rsu, ...]
    contacts: ContactTable
    links: LinkTable
    channel: Channel
    connectivity: pd.DataFrame
    density: pd.DataFrame
    stays: pd.DataFrame  # vehicle, district, start_s, end_s; sorted
    counted: Repairs  # what of a file's sites was joined or left out

    def let_go(self) -> None:
        """Gives back the memory of what was read of contacts and links, which are mapped."""
        self.contacts.let_go()
        self.links.let_go()


def build_city(scenario: Scenario, seed: int, cache: Path, progress: Progress) -> City:
    """Records the traffic if need be, and extracts contacts and links, or takes them from the cache.

    Raises `ScenarioError` or `TraceError` for whatever is wrong with map, trace, RSUs or radio.
    """
    ground = ground_of(scenario)
    roadmap = ground.roadmap

    def planned_for(seed: int) -> Path:
        return recorded(scenario, seed, cache, lambda part: progress("recording traffic to plan RSUs for", part))

    counted = Repairs()
    rsus = place(scenario, ground, cache, planned_for, counted)
    channel = build_channel(scenario, roadmap)
    trace_path = record_trace(scenario, seed, cache, lambda part: progress("recording traffic", part))
    trace_sha256 = sha256_of_trace(trace_path)
    map_sha256 = ground.sha256
    key = _key(
        {
            "code": package_sha256("", "domain", "mobility", "radio", "experiment"),
            "models": models_sha256(scenario),
            "trace": trace_sha256,
            "map": map_sha256,
            "seed": seed,
            "rsus": [repr(r) for r in rsus],
            "scenario": scenario.model_dump(mode="json", include={"time", "contacts", "radio", "districts"}),
        }
    )
    folder = cache / "cities" / key
    clear_leftovers(folder.parent)

    def load() -> City:
        sites = kept_sites(scenario, ground, cache)
        return _load(folder, sites, trace_path, trace_sha256, map_sha256, roadmap, rsus, channel, counted)

    if folder.is_dir():
        try:
            return load()
        except (TraceError, ScenarioError, OSError, pa.ArrowException):
            shutil.rmtree(folder, ignore_errors=True)  # damaged: it is made again
    _derive(scenario, seed, trace_path, roadmap, rsus, channel, folder, progress)
    return load()


def with_traffic(city: City, scenario: Scenario, seed: int, trace: Path, folder: Path, progress: Progress) -> City:
    """The same city under other traffic; what follows from that is kept in `folder`."""
    _derive(scenario, seed, trace, city.roadmap, city.rsus, city.channel, folder, progress)
    held = city.map_sha256, city.roadmap, city.rsus, city.channel, city.counted
    return _load(folder, city.sites, trace, sha256_of_trace(trace), *held)


def _load(
    folder: Path,
    sites: Path | None,
    trace: Path,
    trace_sha256: str,
    map_sha256: str,
    roadmap: RoadMap,
    rsus: tuple[Rsu, ...],
    channel: Channel,
    counted: Repairs,
) -> City:
    """What `_derive` kept in `folder`, with what it was made from."""
    return City(
        folder=folder,
        sites=sites,
        trace=trace,
        trace_sha256=trace_sha256,
        map_sha256=map_sha256,
        roadmap=roadmap,
        rsus=rsus,
        contacts=ContactTable.load(folder / "contacts"),
        links=LinkTable.load(folder / "links"),
        channel=channel,
        connectivity=pd.read_parquet(folder / "connectivity.parquet"),
        density=pd.read_parquet(folder / "density.parquet"),
        stays=pd.read_parquet(folder / "stays.parquet"),
        counted=counted,
    )


def record_trace(scenario: Scenario, seed: int, cache: Path, progress: Callable[[float], None]) -> Path:
    """The floating-car file of the scenario's traffic: the given one, a cached one, or a new recording."""
    if scenario.mobility.trace is not None:
        return scenario.resolved(scenario.mobility.trace)
    return recorded(scenario, seed if scenario.mobility.seed is None else scenario.mobility.seed, cache, progress)


def recorded(scenario: Scenario, seed: int, cache: Path, progress: Callable[[float], None]) -> Path:
    """The floating-car file of the map's traffic with a seed of SUMO's, a cached one or a new recording.

    It holds one step more than the scenario needs: SUMO's last sample stands for the beginning of its last step.
    """
    return sumo.record(
        sumocfg(scenario),
        seed=seed,
        end_s=scenario.time.start_s + scenario.time.duration_s + scenario.mobility.step_s,
        step_s=scenario.mobility.step_s,
        mesoscopic=scenario.mobility.mesoscopic,
        ignore_route_errors=scenario.mobility.ignore_route_errors,
        cache=cache,
        progress=progress,
    )


def models_sha256(scenario: Scenario) -> str:
    """SHA-256 over the user's own radio models, if the scenario names any."""
    return outside_sha256(scenario.radio.path_loss, scenario.radio.shadowing, scenario.radio.fading)


def build_channel(scenario: Scenario, roadmap: RoadMap) -> Channel:
    """The radio channel that the scenario describes, over the map's buildings."""
    section = scenario.radio
    buildings = Buildings(roadmap.buildings) if section.buildings and roadmap.buildings else None
    return Channel(
        path_loss=make(
            section.path_loss, PATH_LOSS, f"{scenario.where}: key 'radio.path_loss'", ("loss_db", "environment")
        ),
        shadowing=make(section.shadowing, SHADOWING, f"{scenario.where}: key 'radio.shadowing'", ("shadow_db",)),
        fading=make(section.fading, FADING, f"{scenario.where}: key 'radio.fading'", ("power",)),
        buildings=buildings,
        carrier_hz=section.carrier_hz,
        rsu_antenna_gain_db=section.rsu_antenna_gain_db,
        vehicle_antenna_gain_db=section.vehicle_antenna_gain_db,
        vehicle_height_m=section.vehicle_height_m,
    )


def _derive(
    scenario: Scenario,
    seed: int,
    trace_path: Path,
    roadmap: RoadMap,
    rsus: tuple[Rsu, ...],
    channel: Channel,
    folder: Path,
    progress: Progress,
) -> None:
    """Makes everything that follows from the trace; the folder gets its name when it is whole."""
    start_s, end_s = scenario.time.start_s, scenario.time.start_s + scenario.time.duration_s
    trace = Trace(trace_path)
    if trace.begin_s > start_s or trace.end_s < end_s:
        raise TraceError(
            f"{trace_path}: covers {trace.begin_s:g} s to {trace.end_s:g} s, but the scenario runs from {start_s:g} s "
            f"to {end_s:g} s; change [time] to lie within the trace."
        )
    with whole_folder(folder) as part:
        contacts = extract(
            trace,
            rsus,
            start_s=start_s,
            end_s=end_s,
            hysteresis_m=scenario.contacts.hysteresis_m,
            progress=lambda done: progress("extracting contacts", done),
            folder=part / "contacts",
        )

        def linked(done: int, total: int) -> None:
            contacts.let_go()
            progress("computing links", done / total)

        save_parts(part / "links", channel.parts(contacts, rsus, seed, linked))
        met = connectivity(trace, contacts, start_s=start_s, end_s=end_s)
        met.to_parquet(part / "connectivity.parquet")
        cells = density(trace, DENSITY_CELL_M, start_s=start_s, end_s=end_s).assign(cell_m=DENSITY_CELL_M)
        cells.to_parquet(part / "density.parquet")
        stays = district_stays(trace, roadmap.bounds, scenario.districts.per_side)
        stays.to_parquet(part / "stays.parquet")


def _key(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
