"""A scenario's map becomes its RSUs: placed by hand, by a file, by the map alone, or for traffic, which is recorded.

What takes long to place is kept in the cache by content, so that the runs of a study, and their worlds, share it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from iovsim.config import Scenario, SiteSection
from iovsim.domain import Rsu
from iovsim.errors import ScenarioError
from iovsim.experiment.code import package_sha256
from iovsim.experiment.ground import Ground, sumocfg
from iovsim.files import sha256_of, write_whole
from iovsim.mobility.placement import PLANNED, Site, check_sites, place_rsus, read_sites, traffic_of
from iovsim.mobility.roadmap import RoadMap
from iovsim.mobility.samples import Repairs
from iovsim.mobility.sumo import traffic_sha256
from iovsim.mobility.sumo_config import sumo_version
from iovsim.mobility.trace import Trace, trace_sha256
from iovsim.radio import Buildings

KEPT = ("centrality", *PLANNED)

Record = Callable[[int], Path]
"""Gives the recorded traffic of a seed of SUMO's."""


def place(
    scenario: Scenario, ground: Ground, cache: Path, record: Record, counted: Repairs | None = None
) -> tuple[Rsu, ...]:
    """The RSUs, sorted by name. `counted` is told what of a file's sites was merged or left out.

    Raises `ScenarioError` for a site outside the map, and as `place_rsus` does.
    """
    section = scenario.rsus
    by_hand = {s.name: s for s in section.sites}
    if section.placement == "sites":
        sites = tuple(Site(s.name, s.x_m, s.y_m, s.range_m, s.height_m) for s in section.sites)
        check_sites(sites, ground.roadmap)
    elif section.file is not None:
        sites = read_sites(
            scenario.resolved(section.file),
            ground.roadmap,
            ground.plane.metres if ground.plane else None,
            count=section.count,
            spacing_m=section.spacing_m,
            counted=counted,
        )
    elif section.placement in KEPT:
        sites = _kept(scenario, ground, cache, record)
    else:
        sites = _placed(scenario, ground.roadmap, record)
    return tuple(sorted((_rsu(scenario, s, by_hand.get(s.rsu)) for s in sites), key=lambda r: r.rsu))


def kept_sites(scenario: Scenario, ground: Ground, cache: Path) -> Path | None:
    """The file in the cache in which the places of the scenario's RSUs are kept; None where they are not."""
    section = scenario.rsus
    if section.placement not in KEPT:
        return None
    content: dict[str, object] = {
        "code": package_sha256("", "mobility", "radio", "experiment"),
        "map": [sha256_of(file) for file in ground.files],
        "rsus": section.model_dump(mode="json", include={"placement", "count", "spacing_m", "range_m"}),
    }
    if section.placement in PLANNED:
        given = planning_trace(scenario)
        content["seed"] = section.traffic_seed
        content["time"] = scenario.time.model_dump(mode="json")
        content["traffic"] = (
            trace_sha256(given)
            if given is not None
            else [
                traffic_sha256(sumocfg(scenario)),
                scenario.mobility.step_s,
                scenario.mobility.mesoscopic,
                sumo_version(),
            ]
        )
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return cache / "sites" / f"{key}.json"


def planning_trace(scenario: Scenario) -> Path | None:
    """The trace that RSUs are planned for; None where SUMO records it, with the seed `rsus.traffic_seed`.

    Raises `ScenarioError` where a scenario replays a trace and does not say for which one its RSUs are planned.
    """
    if scenario.rsus.traffic_trace is not None:
        return scenario.resolved(scenario.rsus.traffic_trace)
    if scenario.mobility.trace is not None:
        raise ScenarioError(
            f"{scenario.where}: key 'rsus.traffic_trace': missing; placement {scenario.rsus.placement!r} plans for "
            f"traffic, and a scenario that replays a trace has no other. Name a trace of another day, or "
            f"'mobility.trace' itself, which makes the placement optimistic."
        )
    return None


def _kept(scenario: Scenario, ground: Ground, cache: Path, record: Record) -> tuple[Site, ...]:
    file = kept_sites(scenario, ground, cache)
    if file is None:
        raise ValueError(f"sites of placement {scenario.rsus.placement!r} are not kept")
    try:
        return tuple(Site(name, x_m, y_m) for name, x_m, y_m in json.loads(file.read_text()))
    except (OSError, ValueError):
        sites = _placed(scenario, ground.roadmap, record)
        write_whole(file, json.dumps([(site.rsu, site.x_m, site.y_m) for site in sites]).encode())
        return sites


def _placed(scenario: Scenario, roadmap: RoadMap, record: Record) -> tuple[Site, ...]:
    section, time = scenario.rsus, scenario.time
    traffic = None
    blocked = Buildings(roadmap.buildings).blocked if roadmap.buildings else None
    if section.placement in PLANNED:
        trace = Trace(planning_trace(scenario) or record(section.traffic_seed))
        traffic = traffic_of(trace, section.traffic_seed, start_s=time.start_s, end_s=time.start_s + time.duration_s)
    return place_rsus(
        section.placement,
        roadmap,
        count=section.count,
        spacing_m=section.spacing_m,
        range_m=section.range_m,
        traffic=traffic,
        blocked=blocked,
    )


def _rsu(scenario: Scenario, site: Site, by_hand: SiteSection | None) -> Rsu:
    """An RSU at `site`; what the scenario does not say of it alone comes from `[rsus]`."""
    section = scenario.rsus
    tasks = by_hand.tasks if by_hand else None
    return Rsu(
        rsu=site.rsu,
        x_m=site.x_m,
        y_m=site.y_m,
        height_m=site.height_m or section.height_m,
        range_m=site.range_m or section.range_m,
        tasks=tuple(t.name for t in scenario.tasks) if tasks is None else tasks,
    )
