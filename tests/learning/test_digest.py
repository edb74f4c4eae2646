"""Digests tell apart what differs in value, type, order or length, and nothing else."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from iovsim.domain import Recipe
from iovsim.learning.digest import digest_of

DIFFERENT: tuple[object, ...] = (
    None,
    True,
    1,
    1.0,
    "1",
    0.0,
    -0.0,
    float("nan"),
    float(np.nextafter(1.0, 2.0)),
    (),
    (1,),
    ((1,),),
    (1, 2),
    (2, 1),
    ("ab", "c"),
    ("a", "bc"),
    {"a": 1, "b": 2},
    {"b": 2, "a": 1},
    ("a", 1, "b", 2),
    np.zeros(2, dtype=np.float32),
    np.zeros(2, dtype=np.int32),
    np.zeros((1, 2), dtype=np.float32),
    np.zeros(4, dtype=np.float32),
    np.array([0.0, -0.0], dtype=np.float32),
    Recipe(0.1, batch_size=8),
    Recipe(0.2, batch_size=8),
)


def test_values_that_differ_have_different_digests() -> None:
    for one, two in combinations(DIFFERENT, 2):
        assert digest_of(one) != digest_of(two), (one, two)


def test_equal_values_have_equal_digests_however_they_lie_in_memory() -> None:
    array = np.arange(6.0).reshape(2, 3)
    assert digest_of(array, "x", 1) == digest_of(np.asfortranarray(array), "x", np.int64(1))
    assert len(digest_of(array)) == 64


@pytest.mark.parametrize("value", [object(), {1, 2}, np.array([None]), Recipe])
def test_what_nobody_thought_of_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="has no digest"):
        digest_of(value)
