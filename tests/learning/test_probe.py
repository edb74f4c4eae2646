"""What the shipped weights are worth: a linear probe on them against the same probe on random weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from iovsim.learning.datasets import Data, Samples, builtin_signs, load_npz
from iovsim.learning.probe import linear_probe
from iovsim.learning.roadvit import build, untrained

REAL = Path(__file__).parents[2] / "../shared/data/gtsrb32/gtsrb32.npz"


def _margin(data: Data) -> float:
    classes = len(data.train.classes)
    return linear_probe(build(classes, seed=0), data) - linear_probe(untrained(classes, seed=0).eval(), data)


@pytest.mark.skipif(not REAL.is_file(), reason="the reduced GTSRB set is not in ../shared/data")
def test_shipped_weights_beat_random_ones_on_photographs_by_far() -> None:
    data = load_npz(REAL, test_fraction=0.2, seed=0)
    some = Samples(data.train.images[::3], data.train.labels[::3], data.train.classes)
    assert _margin(Data(train=some, test=data.test)) > 0.4


def test_shipped_weights_beat_random_ones_on_the_builtin_signs_by_far() -> None:
    assert _margin(builtin_signs(train=768, test=256, districts=2, seed=0)) > 0.4
