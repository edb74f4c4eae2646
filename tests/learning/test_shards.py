"""Shards: drawn by the vehicle's name, disjoint inside, skewed as asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from iovsim.domain import Shard
from iovsim.errors import TrainingError
from iovsim.learning.shards import make_shards
from iovsim.rng import stream

LABELS = stream(0, "labels").integers(10, size=4000)
DISTRICTS = stream(0, "districts").integers(4, size=4000)
FLEET = {f"v{k}": k % 4 for k in range(40)}


def _shards(vehicles: dict[str, int] = FLEET, districts: Any = DISTRICTS, **changes: Any) -> dict[str, Shard]:
    options: dict[str, Any] = {
        "task": "signs",
        "samples_per_vehicle": 40,
        "dirichlet_alpha": 0.5,
        "test_fraction": 0.25,
        "seed": 1,
    }
    return make_shards(LABELS, districts, vehicles, **(options | changes))


def test_training_and_held_out_samples_of_a_vehicle_are_disjoint_and_complete() -> None:
    for shard in _shards().values():
        assert not np.intersect1d(shard.train, shard.test).size
        assert len(np.unique(shard.train)) == len(shard.train)
        assert len(shard.train) + len(shard.test) == 40
        assert len(shard.test) == 10


def test_a_shard_does_not_depend_on_the_other_vehicles() -> None:
    all_, alone = _shards(), _shards({"v7": FLEET["v7"]})
    assert np.array_equal(all_["v7"].train, alone["v7"].train)
    assert np.array_equal(all_["v7"].test, alone["v7"].test)
    assert not np.array_equal(all_["v7"].train, all_["v11"].train)  # the same district, another name


def test_samples_come_from_the_vehicles_district() -> None:
    for vehicle, shard in _shards().items():
        assert (DISTRICTS[shard.train] == FLEET[vehicle]).all()


def test_without_districts_samples_come_from_everywhere_but_districts_still_differ_in_classes() -> None:
    shards = _shards(districts=None, dirichlet_alpha=0.3)
    assert len({int(d) for shard in shards.values() for d in DISTRICTS[shard.train]}) == 4
    mixes = [
        np.bincount(np.concatenate([LABELS[s.train] for v, s in shards.items() if FLEET[v] == d]), minlength=10)
        for d in range(4)
    ]
    shares = np.array([mix / mix.sum() for mix in mixes])
    assert np.abs(shares - shares.mean(axis=0)).sum(axis=1).max() > 0.2


def test_a_smaller_alpha_leaves_fewer_classes() -> None:
    def classes(alpha: float) -> float:
        return float(np.mean([len(np.unique(LABELS[s.train])) for s in _shards(dirichlet_alpha=alpha).values()]))

    assert classes(0.05) < 3.5
    assert classes(0.05) < classes(0.5) < classes(100.0)
    assert classes(100.0) > 9


def test_a_large_alpha_gives_the_pools_mix() -> None:
    labels = np.concatenate([np.zeros(900, dtype=np.int64), np.ones(100, dtype=np.int64)])
    shards = make_shards(
        labels, None, FLEET, task="t", samples_per_vehicle=50, dirichlet_alpha=1e4, test_fraction=0.2, seed=0
    )
    share = np.mean([labels[shard.train].mean() for shard in shards.values()])
    assert abs(share - 0.1) < 0.03  # 40 vehicles x 40 samples: standard error 0.0075


def test_an_empty_district_or_shard_names_vehicle_and_task() -> None:
    with pytest.raises(TrainingError, match="task 'signs', vehicle 'far': no sample of its district 9"):
        _shards({"far": 9})
    with pytest.raises(TrainingError, match="task 'signs', vehicle 'v0': its 2 samples leave training or test empty"):
        _shards(samples_per_vehicle=2, test_fraction=0.1)


@pytest.mark.parametrize("changes", [{"samples_per_vehicle": 1}, {"dirichlet_alpha": 0.0}, {"test_fraction": 1.0}])
def test_numbers_out_of_range_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match=r"task 'signs': samples_per_vehicle = .*allowed"):
        _shards(**changes)
