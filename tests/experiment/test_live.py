"""A run with SUMO beside it equals the replayed one where nobody acts, and a replay of its own traffic where somebody
does."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from iovsim.config import PolicyFile, Scenario, load_policy, scenario_from
from iovsim.domain import Reroute, RoundPlan, RoundView, SetSpeed, TrafficAction, TrafficView
from iovsim.errors import ScenarioError, TraceError
from iovsim.experiment.live import LiveFleet
from iovsim.experiment.method import method_for
from iovsim.experiment.run import RunSpec, run_one
from iovsim.experiment.world import build_world
from iovsim.mobility.live_contacts import LiveContacts
from iovsim.results import Run, RunStatus, open_run, read_manifest

SCENARIO: dict[str, Any] = {
    "name": "small",
    "time": {"start_s": 120.0, "duration_s": 75.0},
    "mobility": {"map": "portside"},
    "rsus": {"placement": "junctions", "count": 3, "spacing_m": 400.0, "range_m": 150.0},
    "sensors": {"camera": 0.5},
    "tasks": [
        {
            "name": "signs",
            "sensor": "camera",
            "data": {"kind": "signs", "train": 400, "test": 40},
            "charge_as": "vit-base-patch16-224",
            "lora": {"top_blocks": 1},
            "training": {"learning_rate": 5e-3, "local_epochs": 4},
            "shards": {"samples": 20, "label_alpha": 0.5},
            "round_energy_j": 200.0,
        },
        {
            "name": "lights",
            "data": {"kind": "lights", "train": 400, "test": 40},
            "charge_as": "vit-base-patch16-224",
            "head": "local",
            "lora": {"top_blocks": 1},
            "training": {"learning_rate": 5e-3, "local_epochs": 4},
            "shards": {"samples": 20, "arrival_per_s": 0.4},
            "round_energy_j": 200.0,
        },
    ],
    "rounds": {"period_s": 20.0, "deadline_s": 18.0, "merge_every": 1},
}
"""The last period is cut by the horizon; jobs take seconds, so that some are lost and fallbacks have work."""


def scenario(tasks: slice = slice(None), **mobility: Any) -> Scenario:
    changes = {"mobility": {"map": "portside"} | mobility, "tasks": SCENARIO["tasks"][tasks]}
    return scenario_from(SCENARIO | changes, Path("small.toml"))


def policy(name: str = "with-fallback", traffic: Mapping[str, Any] | None = None) -> PolicyFile:
    return load_policy(name, {"traffic": dict(traffic)} if traffic else {})


def run(world: Scenario, method: PolicyFile, out: Path, cache: Path) -> Run:
    run_one(RunSpec(world, method, 1, out), cache, lambda step, done: None)
    return open_run(out)


def contents(folder: Path) -> dict[str, bytes]:
    """All that a run wrote but its manifest."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "manifest.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("name", ["with-fallback", "p1"])
def test_a_live_run_in_which_nobody_acts_is_the_replayed_one(name: str, tmp_path: Path, session_cache: Path) -> None:
    replay = run(scenario(), policy(name), tmp_path / "replay", session_cache)
    jobs = replay.table("jobs")
    assert len(jobs) > 40
    assert name == "p1" or (jobs["fallback"].ne("").any() and jobs["reason"].eq("contact").any())
    for coupling in ("libsumo", "traci"):
        live = run(scenario(source="live", coupling=coupling), policy(name), tmp_path / coupling, session_cache)
        assert contents(tmp_path / coupling) == contents(tmp_path / "replay")
        assert live.manifest.world_hash == replay.manifest.world_hash
        assert live.table("actions").empty


@dataclass
class Meddling:
    """Slows every third client down and has every third one turn back, all the time."""

    done: list[TrafficAction] = field(default_factory=list)

    def act(self, view: TrafficView) -> list[TrafficAction]:
        slow = [SetSpeed(v, 2.0, view.next_s) for v in list(view.drives)[::3]]
        back = [Reroute(v, view.edges[view.rsu.rsu]) for v in list(view.drives)[1::3]]
        return [*slow, *back]


def test_a_run_that_acts_is_a_replay_of_its_own_traffic(tmp_path: Path, session_cache: Path) -> None:
    first = slice(1)  # whose samples are held from the start: what is seen on the way is seen on the recording's
    meddling = policy(traffic={"kind": f"{Meddling.__module__}:Meddling"})
    live = run(scenario(first, source="live"), meddling, tmp_path / "live", session_cache)
    actions = live.table("actions")
    assert set(actions["action"]) == {"speed", "reroute"}
    assert actions["done"].mean() > 0.9
    plain = run(scenario(first), policy(), tmp_path / "plain", session_cache)
    assert not live.table("contacts").equals(plain.table("contacts"))
    assert live.manifest.world_hash == plain.manifest.world_hash

    again = scenario(first, trace=str(tmp_path / "live" / "traffic.parquet"))
    both = live, run(again, policy(), tmp_path / "replay", session_cache)
    for name in ("contacts", "handovers", "connectivity", "density", "jobs", "phases", "energy", "rounds"):
        # in a live run vehicles keep the districts, and so the samples, that they have in the recording
        one, other = (run.table(name).drop(columns=["loss_before", "loss_after"], errors="ignore") for run in both)
        assert one.equals(other), name


def test_whoever_is_met_only_live_is_made_by_name(tmp_path: Path, session_cache: Path) -> None:
    built = build_world(scenario(), 1, session_cache, lambda step, done: None)
    contacts = LiveContacts(built.world.rsus, start_s=120.0, end_s=195.0, step_s=1.0, jump_m=110.0, hysteresis_m=10.0)
    fleet = LiveFleet(scenario(), built, contacts)
    assert fleet == built.world.vehicles
    names = sorted(built.world.vehicles)
    for name in names[::10]:
        made = fleet.__missing__(name)  # as if the recording had not met it
        known = built.world.vehicles[name]
        assert (made.device, made.district, made.shards.keys()) == (known.device, known.district, known.shards.keys())
        for task, shard in known.shards.items():
            assert shard.train.tolist() == made.shards[task].train.tolist()
            assert shard.seen_s.tolist() == made.shards[task].seen_s.tolist()


def test_what_fits_no_live_or_no_replayed_run_is_refused() -> None:
    stays = load_policy("stay-covered")
    method_for(scenario(source="live"), stays)
    with pytest.raises(ScenarioError, match=r"traffic rule 'stay-covered' acts on vehicles, but they are replayed"):
        method_for(scenario(), stays)
    with pytest.raises(ScenarioError, match=r"'oracle' knows when contacts end"):
        method_for(scenario(source="live"), load_policy("with-fallback", {"forecast.kind": "oracle"}))
    with pytest.raises(ScenarioError, match=r"'trace' is traffic of the past"):
        scenario(source="live", trace="old.parquet")
    with pytest.raises(ScenarioError, match=r"gui = true needs source = 'live' and coupling = 'traci'"):
        scenario(source="live", gui=True)
    with pytest.raises(ScenarioError, match=r"mesoscopic = true drives queues, in which no vehicle can be acted on"):
        scenario(source="live", mesoscopic=True)


@dataclass
class Killing:
    """Plans nothing, and kills the SUMO beside the run in the second period."""

    def plan(self, view: RoundView) -> RoundPlan:
        if view.round == 1:
            for process in psutil.Process().children():
                if process.name() == "sumo":
                    os.kill(process.pid, signal.SIGKILL)
        return RoundPlan({})

    def feedback(self, outcome: object) -> None:
        pass


def test_a_sumo_that_is_lost_ends_the_run_and_leaves_nothing_half_written(tmp_path: Path, session_cache: Path) -> None:
    out = tmp_path / "run"
    killing = load_policy("with-fallback", {"policy": {"kind": f"{Killing.__module__}:Killing"}})
    with pytest.raises(TraceError, match=r"portside\.sumocfg: SUMO broke the live run off"):
        run(scenario(source="live", coupling="traci"), killing, out, session_cache)
    manifest = read_manifest(out)
    assert manifest.status is RunStatus.FAILED
    assert "SUMO broke the live run off" in str(manifest.error)
    assert contents(out).keys() <= {".lock"}
    assert not list((session_cache / "live").iterdir())
