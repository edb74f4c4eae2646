"""Every policy file that is built in runs, from the file to the last merge, on a tiny world with a fake trainer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from iovsim.config import load_policy
from iovsim.config.builtin import builtin_policies
from iovsim.domain import Tuning
from iovsim.engine import Setting, simulate
from iovsim.experiment.method import build_method
from iovsim.learning.adapter import HEAD
from iovsim.results import Charge, Manifest, PolicyRecord, Run, RunFolder, open_run
from iovsim.testing import FakeTrainer, tiny_world

MIXED = ("flexlora", "hetlora", "flora", "adalora")
EQUAL = ("fedit", "fedra")


def run(path: Path, name: str) -> Run:
    """Light models, so that even all weights arrive, and a rank for each tier."""
    world = tiny_world(3, vehicles=12)
    charged = replace(world.tasks[0].charged, base_parameters=10**6)
    world = replace(world, tasks=(replace(world.tasks[0], ranks=(2, 4, 8, 16), charged=charged),))
    manifest = Manifest(
        world=world.name,
        world_hash=world.hash,
        seed=world.seed,
        policy=PolicyRecord(name=name, kind="staged", forecast="heading", parameters={}),
        scenario={},
        charge_as={"signs": Charge("fake", "vit-base-patch16-224")},
    )
    with RunFolder.create(path, manifest) as made:
        method = build_method(load_policy(name))
        setting = Setting(world, method, FakeTrainer(), made.recorder, lambda *_: None)
        state = simulate(setting, lambda done: None)
        for key, array in state.merged["signs"].tensors.items():
            assert np.isfinite(array).all(), key
        assert state.merged["signs"].tensors[f"{HEAD}weight"].any(), "heads are averaged by every method"
    return open_run(path)


@pytest.mark.parametrize("name", builtin_policies())
def test_every_built_in_policy_runs(name: str, tmp_path: Path) -> None:
    jobs = run(tmp_path / name, name).table("jobs")
    assert (jobs["status"] == "delivered").sum() > 10
    if name in MIXED:
        assert jobs["rank"].nunique() > 2
    if name in EQUAL:
        assert set(jobs["rank"]) == {8}
    if name == "fedavg-full":
        assert build_method(load_policy(name)).tuning is Tuning.FULL
        assert jobs.loc[jobs["status"] == "delivered", "uplink_bits"].min() > 32e6


def test_methods_for_mixed_ranks_give_every_tier_the_same_rank(tmp_path: Path) -> None:
    """But for AdaLoRA's schedule and what HetLoRA's clients give up."""
    ranks = {name: run(tmp_path / name, name).table("jobs").groupby("tier")["rank"].min().to_dict() for name in MIXED}
    assert all(found == ranks["flexlora"] for found in ranks.values())
