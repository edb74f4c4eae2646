"""What the shipped weights are worth: a linear probe on them against the same probe on random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from iovsim.learning.backbones.roadvit import as_backbone, roadvit, untrained
from iovsim.learning.data.builtin import generate
from iovsim.learning.data.pictures import load_npz
from iovsim.learning.data.samples import Data, take
from iovsim.learning.pretraining.probe import linear_probe

REAL = Path(__file__).parents[2] / "../shared/data/gtsrb32/gtsrb32.npz"


def _margin(data: Data) -> float:
    return linear_probe(roadvit(), data) - linear_probe(as_backbone(untrained(seed=0), "random", ""), data)


@pytest.mark.skipif(not REAL.is_file(), reason="the reduced GTSRB set is not in ../shared/data")
def test_shipped_weights_beat_random_ones_on_photographs_by_far() -> None:
    data = load_npz(REAL, test_fraction=0.2, seed=0)
    assert _margin(Data(train=take(data.train, np.arange(0, len(data.train), 3)), test=data.test)) > 0.4


def test_shipped_weights_beat_random_ones_on_the_builtin_signs_by_far() -> None:
    assert _margin(generate("signs", train=768, test=256, districts=2, seed=0)) > 0.4
