"""Real input that nobody in this project wrote: Bologna's peak hour and photographs of traffic signs."""

from __future__ import annotations

from pathlib import Path

import pytest

from iovsim.config import load_policy, scenario_from
from iovsim.experiment.run import RunSpec, run_one
from iovsim.results import Run, compare, open_run


@pytest.fixture(scope="module")
def runs(shared: Path, tmp_path_factory: pytest.TempPathFactory, session_cache: Path) -> list[Run]:
    """The demo's two policies on the city, each training on the signs."""
    folder = tmp_path_factory.mktemp("bologna")
    scenario = scenario_from(
        {
            "name": "bologna",
            "time": {"start_s": 900.0, "duration_s": 100.0},
            "mobility": {"sumocfg": str(shared / "scenarios/bologna_joined/run.sumocfg")},
            "rsus": {"placement": "junctions", "count": 3, "spacing_m": 500.0, "range_m": 150.0},
            "sensors": {"camera": 0.35},
            "tasks": [
                {
                    "name": "signs",
                    "data": {"kind": "npz", "path": str(shared / "data/gtsrb32/gtsrb32.npz")},
                    "sensor": "camera",
                    "shards": {"samples": 40, "label_alpha": 1.0},
                    "training": {"learning_rate": 5e-3},
                    "charge_as": "vit-base-patch16-224",
                    "round_energy_j": 300.0,
                }
            ],
            "rounds": {"period_s": 20.0, "deadline_s": 18.0, "merge_every": 1},
            "evaluation": {"every_merges": 5, "vehicles": 20},
        },
        folder / "bologna.toml",
    )
    specs = [RunSpec(scenario, load_policy(p), 1, folder / p) for p in ("all-available", "energy-budget")]
    return [open_run(run_one(s, session_cache, lambda step, done: None)) for s in specs]


def test_some_jobs_are_delivered_and_some_are_lost(runs: list[Run]) -> None:
    statuses = runs[0].table("jobs")["status"]
    assert (statuses == "delivered").sum() > 10
    assert statuses.str.startswith("lost").sum() > 0


def test_held_out_accuracy_rises_clearly_above_the_start(runs: list[Run]) -> None:
    for run in runs:
        curve = run.table("evaluations").query("scope == 'global'")["accuracy"].tolist()
        assert curve[0] < 0.1, "the untrained head guesses among 43 classes"
        assert curve[-1] > curve[0] + 0.15


def test_the_policies_can_be_compared(runs: list[Run]) -> None:
    result = compare(runs)
    assert result.policies == ("all-available", "energy-budget")
    energy = {r.policy: r.value.mean for r in result.rows if r.metric.name == "energy_j" and r.value}
    assert energy["energy-budget"] < energy["all-available"]
