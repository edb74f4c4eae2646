"""Both trainers end every job alike, and what they learnt is apart by rounding; runs that differ more are no rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from iovsim.bench.agreement import agreement
from iovsim.bench.demo import TASK, VARIANTS
from iovsim.config import load_policy, load_scenario
from iovsim.domain import TrainerKind, TrainerSpec
from iovsim.errors import ResultsError
from iovsim.experiment.run import RunSpec, run_one
from iovsim.paths import shared_dir
from iovsim.results import Run, open_run

WORLD = """
name = "small"
time = { start_s = 60.0, duration_s = 40.0 }
mobility = { map = "portside" }
rsus = { placement = "junctions", count = 2, spacing_m = 400.0, range_m = 250.0 }
rounds = { period_s = 20.0, deadline_s = 18.0, merge_every = 1 }
sensors = { camera = 0.6 }
evaluation = { vehicles_every_merges = 1 }
[[tasks]]
name = "signs"
sensor = "camera"
data = { kind = "signs", train = 200, test = 60 }
charge_as = "vit-base-patch16-224"
round_energy_j = 200.0
training = { learning_rate = 5e-3 }
shards = { samples = 20, label_alpha = 0.5 }
[[tasks]]
name = "lights"
sensor = "camera"
data = { kind = "lights", train = 200, test = 60 }
head = "local"
round_energy_j = 200.0
training = { class_weights = "balanced", learning_rate = 5e-3 }
lora = { top_blocks = 1, dropout = 0.1 }
shards = { samples = 20, arrival_per_s = 0.4 }
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, session_cache: Path) -> dict[TrainerKind, Run]:
    """The same world with either trainer."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "world.toml").write_text(WORLD)
    scenario, policy = load_scenario(folder / "world.toml"), load_policy("all-available")
    found = {}
    for kind in TrainerKind:
        spec = RunSpec(scenario, policy, 1, folder / kind, TrainerSpec(kind))
        found[kind] = open_run(run_one(spec, session_cache, lambda step, done: None))
    return found


def test_the_trainers_agree_in_all_tables(runs: dict[TrainerKind, Run]) -> None:
    ours, theirs = runs[TrainerKind.BATCHED], runs[TrainerKind.PEFT]
    apart = agreement(ours, theirs)
    assert apart.jobs > 10
    assert apart.answers < 1.5, "one sample of a set may be answered otherwise, no more"
    one, other = (run.table("jobs") for run in (ours, theirs))
    assert np.allclose(one["loss_after"], other["loss_after"], rtol=1e-2, atol=1e-4, equal_nan=True)
    assert one["loss_after"].notna().sum() > 8
    assert not one["loss_after"].equals(other["loss_after"]), "two trainers ran, not one twice"


@dataclass(frozen=True)
class Altered(Run):
    """A run in which one job took a joule more."""

    def table(self, name: str) -> pd.DataFrame:
        frame = super().table(name)
        return frame.assign(energy_j=frame["energy_j"] + (frame.index == 3)) if name == "jobs" else frame


def test_a_joule_more_is_no_agreement(runs: dict[TrainerKind, Run]) -> None:
    ours = runs[TrainerKind.BATCHED]
    assert agreement(ours, ours).accuracy == 0.0
    with pytest.raises(ResultsError, match="'energy_j' of 'jobs' differs"):
        agreement(ours, Altered(ours.path, ours.manifest))


def test_the_variant_adapts_the_top_block_of_every_task(tmp_path: Path) -> None:
    demo = (shared_dir("scenarios") / "demo.toml").read_text()
    for variant, blocks in (("all-layers", None), ("top1", 1)):
        (tmp_path / "world.toml").write_text(demo.replace(TASK, VARIANTS[variant]))
        tasks = load_scenario(tmp_path / "world.toml").tasks
        assert [task.lora.top_blocks for task in tasks] == [blocks] * 3
