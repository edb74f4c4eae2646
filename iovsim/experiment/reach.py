"""A scenario and a seed become figures of where its RSUs stand: what they cover, for how long, who is handed over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from iovsim.config import Scenario
from iovsim.experiment.city import Progress, build_city
from iovsim.experiment.world import city_contacts, city_shapes
from iovsim.mobility.placement import PLANNED
from iovsim.results import reach


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """Tables as in a run folder, the RSUs with what each is worth, and whether they were planned for this traffic."""

    rsus: pd.DataFrame  # rsu, x_m, y_m, height_m, range_m, contacts, contact_s, attached_h, seen_share
    contacts: pd.DataFrame
    connectivity: pd.DataFrame
    density: pd.DataFrame
    shapes: pd.DataFrame
    optimistic: bool
    counted: Mapping[str, int]  # what of a file's sites was joined or left out

    def figures(self) -> dict[str, float | None]:
        """The metrics of `iovsim metrics` that follow from the RSUs alone, by name."""
        return {
            "connected_share": reach.connected_share(self.connectivity),
            "seen_share": reach.seen_share(self.contacts, self.connectivity),
            "covered_road_share": reach.covered_road_share(self.rsus, self.shapes),
            "contact_s": reach.contact_s(self.contacts),
            "handovers_per_vehicle_h": reach.handovers_per_vehicle_h(self.contacts, self.connectivity),
        }


def reached(scenario: Scenario, seed: int, cache: Path, progress: Progress) -> Reach:
    """What the RSUs of a scenario are worth in the traffic of a seed. Raises as `build_city` does."""
    city = build_city(scenario, seed, cache, progress)
    contacts = pd.concat(city_contacts(city), ignore_index=True)
    length_s = contacts["end_s"] - contacts["start_s"]
    by_rsu = pd.DataFrame(
        {
            "rsu": contacts["rsu"],
            "length_s": length_s,
            "seen_s": length_s * (1.0 - contacts["nlos_share"]),
            "contacts": 1,
        }
    )
    sums = by_rsu.groupby("rsu").sum()
    rsus = pd.DataFrame([asdict(rsu) for rsu in city.rsus]).drop(columns="tasks").join(sums, on="rsu")
    rsus["contacts"] = rsus["contacts"].fillna(0).astype("int64")
    rsus["contact_s"] = rsus["length_s"] / rsus["contacts"]
    rsus["attached_h"] = rsus["length_s"].fillna(0.0) / 3600.0
    rsus["seen_share"] = rsus["seen_s"] / rsus["length_s"]
    return Reach(
        rsus=rsus.drop(columns=["length_s", "seen_s"]),
        contacts=contacts,
        connectivity=city.connectivity,
        density=city.density,
        shapes=city_shapes(city.roadmap),
        optimistic=_planned_for(scenario, seed),
        counted=dict(city.counted.counts),
    )


def _planned_for(scenario: Scenario, seed: int) -> bool:
    """Whether the RSUs were placed for the very traffic of the seed."""
    rsus, mobility = scenario.rsus, scenario.mobility
    if rsus.placement not in PLANNED:
        return False
    if rsus.traffic_trace is not None or mobility.trace is not None:
        given = [None if path is None else scenario.resolved(path) for path in (rsus.traffic_trace, mobility.trace)]
        return given[0] == given[1]
    return rsus.traffic_seed == (seed if mobility.seed is None else mobility.seed)
