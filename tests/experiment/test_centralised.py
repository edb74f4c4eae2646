"""Centralised references: all data in one place, the scenario's own recipe, repeatable, on any number of workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from iovsim.analysis.centralised import write_centralised

from iovsim.config import Scenario, scenario_from
from iovsim.domain import TrainerSpec, Tuning
from iovsim.errors import ScenarioError, TrainingError
from iovsim.experiment.batch import train_all
from iovsim.experiment.centralised import plan, train_centrally

WORLD: dict[str, Any] = {
    "name": "small",
    "time": {"start_s": 0.0, "duration_s": 60.0},
    "mobility": {"map": "portside"},
    "rsus": {"placement": "junctions", "count": 1},
    "tasks": [
        {
            "name": "signs",
            "data": {"kind": "signs", "train": 240, "test": 80},
            "round_energy_j": 1.0,
            "training": {"learning_rate": {"lora": 5e-3, "head": 1e-2}},
        },
        {
            "name": "lights",
            "data": {"kind": "lights", "train": 120, "test": 40},
            "round_energy_j": 1.0,
            "training": {"learning_rate": {"lora": 5e-3, "head": 1e-2}},
        },
    ],
}


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return scenario_from(WORLD, Path("small.toml"))


def test_everything_asked_for_is_planned_once(scenario: Scenario) -> None:
    specs = plan(scenario, (), (Tuning.LORA, Tuning.HEAD), (2, 8), 1, (1, 2), TrainerSpec())
    with pytest.raises(ScenarioError, match=r"task 'signs', key 'training.learning_rate': no rate for tuning full"):
        plan(scenario, (), (Tuning.FULL,), (), 1, (1,), TrainerSpec())
    asked = {(s.task, s.tuning, s.rank, s.seed) for s in specs}
    assert len(asked) == len(specs) == 2 * (2 + 1) * 2
    assert {s.rank for s in specs if s.tuning is Tuning.HEAD} == {0}
    with pytest.raises(ScenarioError, match=r"small\.toml: no task 'sings'; did you mean 'signs'"):
        plan(scenario, ("sings",), (Tuning.LORA,), (8,), 1, (1,), TrainerSpec())


def test_training_in_one_place_learns_and_repeats(scenario: Scenario, session_cache: Path) -> None:
    (spec,) = plan(scenario, ("signs",), (Tuning.LORA,), (4,), 4, (1,), TrainerSpec())
    before, after = train_centrally(spec, session_cache).to_dict("records")
    assert (before["epoch"], before["steps"]) == (0, 0)
    assert (after["epoch"], after["steps"], after["samples"]) == (4, 4 * 14, 80)  # 216 left after validation
    assert after["accuracy"] > before["accuracy"] + 0.2
    again = train_centrally(spec, session_cache).to_dict("records")[1]
    assert again["loss"] == after["loss"]


def test_training_that_diverges_ends_in_a_message(session_cache: Path) -> None:
    lights = {**WORLD["tasks"][1], "training": {"learning_rate": 1.0, "weight_decay": 1e30}}
    (spec,) = plan(
        scenario_from({**WORLD, "tasks": [lights]}, Path("small.toml")),
        (),
        (Tuning.LORA,),
        (2,),
        2,
        (1,),
        TrainerSpec(),
    )
    with pytest.raises(TrainingError, match=r"task 'lights', .*; lower learning_rate = 1.0"):
        train_centrally(spec, session_cache)


def test_workers_give_the_same_rows_and_a_figure_shows_them(
    scenario: Scenario, session_cache: Path, tmp_path: Path
) -> None:
    specs = plan(scenario, ("lights",), (Tuning.LORA, Tuning.HEAD), (2, 4), 1, (1,), TrainerSpec())
    one, two = (train_all(specs, session_cache, lambda *_: None, jobs=jobs) for jobs in (1, 2))
    pd.testing.assert_frame_equal(one, two)
    written = write_centralised(two, tmp_path / "out")
    assert [path.name for path in written] == ["centralised.csv", "rank.png", "rank.pdf", "rank.svg"]
    back = pd.read_csv(written[0])
    assert back["accuracy"].tolist() == two["accuracy"].tolist()
    assert len(back) == 2 * len(specs)


def test_a_rank_above_a_layers_width_is_refused(scenario: Scenario, session_cache: Path) -> None:
    (spec,) = plan(scenario, ("signs",), (Tuning.LORA,), (512,), 1, (1,), TrainerSpec())
    with pytest.raises(ScenarioError, match="task 'signs', key 'ranks': found 512, but the narrowest adapted layer"):
        train_centrally(spec, session_cache)
