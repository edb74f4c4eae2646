"""States below the cut are worked out once a sample, and are the same in memory, on disk and in any order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from iovsim.domain import IntArray
from iovsim.learning.batched.kept import GROUP, Kept


class Sentences:
    """Samples of unequal lengths whose states are known."""

    def __init__(self, lengths: IntArray) -> None:
        self.lengths = lengths
        self.asked: list[int] = []

    def batch(self, rows: IntArray) -> tuple[Tensor, ...]:
        self.asked += rows.tolist()
        states = torch.zeros(len(rows), int(self.lengths[rows].max()), 3)
        for place, row in enumerate(rows):
            states[place, : self.lengths[row]] = float(row + 1)
        return (states,)

    def digest(self) -> str:
        return "sentences"


@pytest.mark.parametrize("in_memory_bytes", [10**9, 0], ids=["memory", "disk"])
def test_states_are_filled_up_with_zeros_to_the_longest(in_memory_bytes: int) -> None:
    sentences = Sentences(np.random.default_rng(0).integers(1, 9, 3 * GROUP))
    kept = Kept(sentences, lambda states: states, in_memory_bytes)
    rows = np.array([5, 130, 77])
    expected = Sentences(sentences.lengths).batch(rows)[0]
    assert torch.equal(kept.states(rows), expected)
    assert torch.equal(kept.states(rows[::-1]), expected.flip(0)[:, : int(sentences.lengths[rows].max())])


def test_each_sample_is_worked_out_once() -> None:
    sentences = Sentences(np.full(2 * GROUP + 5, 4))
    kept = Kept(sentences, lambda states: states)
    kept.states(np.array([3]))
    assert sorted(sentences.asked) == list(range(GROUP))
    for _ in range(2):
        kept.states(np.arange(2 * GROUP + 5))
    assert sorted(sentences.asked) == list(range(2 * GROUP + 5))


def test_a_class_token_beside_those_counted_is_kept() -> None:
    sentences = Sentences(np.full(4, 2))
    kept = Kept(sentences, lambda states: torch.cat((states[:, :1], states), dim=1))
    assert kept.states(np.array([1, 2])).shape == (2, 3, 3)


def test_features_have_one_row_each() -> None:
    sentences = Sentences(np.array([1, 4, 2]))
    kept = Kept(sentences, lambda states: states.sum(dim=1))
    assert kept.states(np.array([2, 0])).tolist() == [[6.0] * 3, [1.0] * 3]


def test_half_precision_goes_through_the_disk() -> None:
    sentences = Sentences(np.full(4, 2))
    kept = Kept(sentences, lambda states: states.bfloat16(), in_memory_bytes=0)
    found = kept.states(np.array([1]))
    assert found.dtype == torch.bfloat16
    assert found.float().tolist() == [[[2.0] * 3] * 2]
