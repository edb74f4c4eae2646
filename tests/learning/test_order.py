"""The batches of an epoch hold every sample once, and sentences of like length together."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.learning.order import WINDOW, batches
from iovsim.rng import stream


@settings(derandomize=True, max_examples=60, deadline=None)
@given(n=st.integers(1, 400), size=st.integers(1, 9), longest=st.integers(1, 30), seed=st.integers(0, 9))
def test_every_sample_comes_once_and_all_batches_but_one_in_a_stretch_are_full(
    n: int, size: int, longest: int, seed: int
) -> None:
    samples = 3 * np.arange(n)
    lengths = stream(seed, "lengths").integers(1, longest + 1, size=n)
    made = batches(samples, lengths, size, stream(seed, "order"))
    assert sorted(np.concatenate(made).tolist()) == samples.tolist()
    assert len(made) == -(-n // size)
    assert sum(len(batch) < size for batch in made) <= 1


def test_equal_lengths_come_in_the_order_of_one_permutation() -> None:
    samples = np.arange(50)
    made = batches(samples, np.full(50, 17), 8, stream(1, "order"))
    assert np.concatenate(made).tolist() == stream(1, "order").permutation(50).tolist()


def test_padding_nearly_goes_and_batches_are_not_sorted() -> None:
    lengths = stream(0, "lengths").geometric(0.08, size=16 * WINDOW * 4)
    made = batches(np.arange(len(lengths)), lengths, 16, stream(0, "order"))
    longest = np.array([lengths[batch].max() for batch in made])
    padded = sum(len(batch) * top for batch, top in zip(made, longest, strict=True))
    assert padded < 1.35 * lengths.sum(), "plain batches would be padded to several times the tokens"
    assert abs(np.corrcoef(longest, np.arange(len(longest)))[0, 1]) < 0.4
