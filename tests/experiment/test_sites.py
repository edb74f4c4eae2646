"""RSUs planned for traffic: which traffic, kept where, and told apart from those that know what will come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from iovsim.config import Scenario, load_scenario, scenario_from
from iovsim.domain import Rsu
from iovsim.errors import ScenarioError
from iovsim.experiment.check import check_scenario
from iovsim.experiment.city import build_city, recorded
from iovsim.experiment.ground import ground_of
from iovsim.experiment.reach import reached
from iovsim.experiment.sites import kept_sites, place

TASK = {"name": "signs", "data": {"kind": "signs", "train": 400, "test": 40}, "round_energy_j": 200.0}


def scenario(rsus: dict[str, Any], **mobility: Any) -> Scenario:
    content = {
        "name": "small",
        "time": {"start_s": 120.0, "duration_s": 40.0},
        "mobility": {"map": "portside", **mobility},
        "rsus": {"count": 2, "range_m": 200.0, **rsus},
        "tasks": [TASK | {"charge_as": "vit-base-patch16-224"}],
    }
    return scenario_from(content, Path("small.toml"))


def nothing(step: str, done: float) -> None:
    pass


def placed(world: Scenario, cache: Path) -> tuple[tuple[Rsu, ...], list[int]]:
    """The RSUs, and the seeds of traffic that had to be looked at."""
    asked: list[int] = []

    def record(seed: int) -> Path:
        asked.append(seed)
        return recorded(world, seed, cache, lambda done: None)

    return place(world, ground_of(world), cache, record), asked


def test_traffic_of_a_seed_of_its_own_is_looked_at_once(session_cache: Path) -> None:
    world = scenario({"placement": "coverage", "traffic_seed": 77})
    kept = kept_sites(world, ground_of(world), session_cache)
    assert kept is not None
    kept.unlink(missing_ok=True)
    first, asked = placed(world, session_cache)
    assert asked == [77]
    assert placed(world, session_cache) == (first, [])
    kept.write_text("damaged")
    assert placed(world, session_cache) == (first, [77])


@pytest.mark.parametrize("kind", ["centrality", "coverage", "sight", "k-means"])
def test_every_seed_s_run_has_the_same_rsus(session_cache: Path, kind: str) -> None:
    world = scenario({"placement": kind})
    one, two = (build_city(world, seed, session_cache, nothing) for seed in (1, 2))
    assert one.rsus == two.rsus
    assert one.sites is not None
    assert len({(rsu.x_m, rsu.y_m) for rsu in one.rsus}) == 2
    assert one.trace != two.trace


def test_figures_say_whether_the_traffic_was_known(session_cache: Path) -> None:
    known = reached(scenario({"placement": "coverage", "traffic_seed": 1}), 1, session_cache, nothing)
    unseen = reached(scenario({"placement": "coverage", "traffic_seed": 1}), 2, session_cache, nothing)
    fixed = reached(scenario({"placement": "coverage", "traffic_seed": 1}, seed=1), 2, session_cache, nothing)
    by_map = reached(scenario({"placement": "grid"}), 1, session_cache, nothing)
    assert [known.optimistic, unseen.optimistic, fixed.optimistic, by_map.optimistic] == [True, False, True, False]
    figures = {name: value for name, value in known.figures().items() if value is not None}
    assert 0.0 < figures["seen_share"] <= figures["connected_share"] < 1.0
    length_s = known.contacts["end_s"] - known.contacts["start_s"]
    assert figures["contact_s"] == pytest.approx(length_s.mean())
    assert known.rsus["contacts"].sum() == len(known.contacts)
    assert known.rsus["attached_h"].sum() == pytest.approx(length_s.sum() / 3600)


def test_rsus_without_contacts_are_there_too(session_cache: Path) -> None:
    sites = [
        {"name": "far", "x_m": -140.0, "y_m": -140.0, "range_m": 1.0},
        {"name": "mid", "x_m": 1000.0, "y_m": 900.0},
    ]
    found = reached(scenario({"placement": "sites", "count": None, "sites": sites}), 1, session_cache, nothing)
    assert found.rsus.loc[found.rsus["rsu"] == "far", ["contacts", "attached_h"]].to_numpy().tolist() == [[0, 0.0]]


def test_a_replayed_trace_must_say_what_is_planned_for(session_cache: Path) -> None:
    base = scenario({"placement": "coverage"})
    trace = recorded(base, 1, session_cache, lambda done: None)
    silent = scenario({"placement": "coverage"}, trace=str(trace))
    with pytest.raises(ScenarioError, match=r"'rsus.traffic_trace': missing; placement 'coverage' plans for traffic"):
        placed(silent, session_cache)
    with pytest.raises(ScenarioError, match=r"rsus.traffic_trace"):
        [*check_scenario(silent, [], session_cache)]
    told = scenario({"placement": "coverage", "traffic_trace": str(trace)}, trace=str(trace))
    assert placed(told, session_cache)[1] == []
    assert reached(told, 1, session_cache, nothing).optimistic


def test_a_check_records_nothing(tmp_path: Path) -> None:
    lines = [line for line in check_scenario(scenario({"placement": "sight"}), [], tmp_path) if line.startswith("RSUs")]
    assert lines == ["RSUs: 2, to be placed for the traffic of SUMO's seed 0 (see 'iovsim rsus')"]
    assert not (tmp_path / "traces").exists()


def test_what_a_command_writes_is_a_file_of_sites(session_cache: Path, tmp_path: Path) -> None:
    table = reached(scenario({"placement": "k-means"}), 1, session_cache, nothing).rsus
    table.rename(columns={"rsu": "name"}).to_csv(tmp_path / "rsus.csv", index=False)
    again = scenario({"placement": "file", "file": str(tmp_path / "rsus.csv")})
    assert [(r.rsu, r.x_m, r.y_m) for r in placed(again, session_cache)[0]] == [
        (row.rsu, row.x_m, row.y_m) for row in table.itertuples()
    ]


def test_the_built_in_scenario_takes_every_placement() -> None:
    for kind in ("grid", "junctions", "centrality", "coverage", "sight", "k-means"):
        assert load_scenario("tiny", {"rsus.placement": kind}).rsus.placement == kind
