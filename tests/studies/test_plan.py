"""A study file becomes exactly the runs that it asks for, in folders that can be told apart, or one clear complaint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from iovsim.config import study_from
from iovsim.errors import ScenarioError
from iovsim.studies.plan import Plan, plan_of


def planned(tmp_path: Path, **changes: Any) -> Plan:
    content = {"name": "mine", "scenario": "tiny", "policies": ["random", "all-available"], "seeds": "1-2"} | changes
    return plan_of(study_from(content, tmp_path / "mine.toml"), tmp_path / "out", None)


def test_every_combination_is_planned_once_and_those_of_a_world_stand_together(tmp_path: Path) -> None:
    grid = {"tasks.lights.round_energy_j": [40.0, 80.0], "rounds.merge_every": [1, 2, 3]}
    plan = planned(tmp_path, grid=grid)
    assert len(plan.runs) == len({run.out for run in plan.runs}) == 2 * 3 * 2 * 2
    worlds = [(run.variant, run.seed) for run in plan.runs]
    assert worlds == sorted(worlds, key=worlds.index)  # no world is come back to
    first = plan.runs[0]
    assert first.out == tmp_path / "out" / "round_energy_j=40.0,merge_every=1" / "random" / "seed-1"
    assert first.label == "round_energy_j=40.0,merge_every=1, random, seed 1"
    assert {(r.scenario.tasks[0].round_energy_j, r.scenario.rounds.merge_every) for r in plan.runs} == {
        (energy, every) for energy in (40.0, 80.0) for every in (1, 2, 3)
    }


def test_without_a_grid_folders_are_those_of_run(tmp_path: Path) -> None:
    plan = planned(tmp_path, set={"time.duration_s": 60.0})
    assert [run.out.relative_to(tmp_path / "out").as_posix() for run in plan.runs] == [
        f"{policy}/seed-{seed}" for seed in (1, 2) for policy in ("random", "all-available")
    ]
    assert {run.scenario.time.duration_s for run in plan.runs} == {60.0}


def test_keys_of_policies_change_every_policy_file(tmp_path: Path) -> None:
    plan = planned(tmp_path, grid={"policies.forecast.kind": ["heading", "oracle"]})
    assert {(run.variant, run.policy.forecast.kind) for run in plan.runs} == {
        ("kind=heading", "heading"),
        ("kind=oracle", "oracle"),
    }


def test_keys_may_be_written_as_tables(tmp_path: Path) -> None:
    plan = planned(tmp_path, set={"time": {"duration_s": 60.0}, "radio": {"fading": {"kind": "none"}}})
    scenario = plan.runs[0].scenario
    assert (scenario.time.duration_s, scenario.radio.fading.kind) == (60.0, "none")


def test_variants_with_long_or_similar_names_are_numbered(tmp_path: Path) -> None:
    sites = [{"kind": "rician", "k_db": float(k)} for k in range(2)]
    assert [v.name for v in planned(tmp_path, grid={"radio.fading": sites}).variants] == [
        "fading=rician_0.0",
        "fading=rician_1.0",
    ]
    long = planned(tmp_path, grid={"title": ["x" * 100, "y" * 100]})
    assert [v.name for v in long.variants] == ["variant-1", "variant-2"]
    alike = planned(tmp_path, grid={"title": ["A b", "a_B"]})  # one folder where capitals do not count
    assert [v.name for v in alike.variants] == ["variant-1", "variant-2"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scenario": "tinny"}, r"no such built-in scenario; did you mean 'tiny'\?"),
        ({"policies": ["randon"]}, r"no such built-in policy; did you mean 'random'\?"),
        ({"policies": []}, r"key 'policies'.*at least 1"),
        ({"policies": ["random", "random"]}, "two policies are named 'random'"),
        ({"baseline": "all"}, r"'baseline': 'all' is none of the study's policies; did you mean 'all-available'\?"),
        ({"targets": {"light": 0.5}}, r"key 'targets': no task 'light'; did you mean 'lights'\?"),
        ({"targets": {"lights": 60.0}}, r"key 'targets.lights': found 60.0; .*less than or equal to 1"),
        ({"seeds": "1-"}, r"key 'seeds': found '1-'; cannot read '1-'"),
        ({"grid": {"rounds.merge_every": []}}, r"'rounds.merge_every' has no values"),
        ({"grid": {"rounds.merge_every": [1, 1]}}, r"'rounds.merge_every' gives a value twice"),
        ({"grid": {"rounds.merge_evry": [1]}}, r"unknown key 'rounds.merge_evry'; did you mean 'merge_every'\?"),
        ({"set": {"tasks.signs.ranks": [4]}}, r"none that is named 'signs'; .*'lights'"),
        ({"polices": ["random"]}, r"unknown key 'polices'; did you mean 'policies'\?"),
        ({"training": {"trainer": "pft"}}, r"key 'training.trainer': found 'pft'; .*'batched' or 'peft'"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        planned(tmp_path, **changes)
