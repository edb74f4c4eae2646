"""The batches of an epoch hold every sample once, and sentences of like length together."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.domain import IntArray, Recipe, TrainJob
from iovsim.learning.order import WINDOW, batches, epochs_of
from iovsim.rng import stream
from iovsim.testing import FakeTrainer


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


def job_of(
    n: int, size: int, epochs: int, seed: int, steps: int | None = None, carrier: IntArray | None = None
) -> TrainJob:
    adapter = FakeTrainer().initial("t", 2, 0)
    recipe = Recipe(learning_rate=1e-3, batch_size=size)
    return TrainJob("t", "v", 0, "r", adapter, 3 * np.arange(n), epochs, recipe, 0.0, seed, steps, carrier)


def flat(epochs: list[list[IntArray]]) -> list[list[int]]:
    return [batch.tolist() for epoch in epochs for batch in epoch]


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    n=st.integers(1, 60),
    carried=st.integers(1, 40),
    size=st.integers(1, 9),
    epochs=st.integers(1, 3),
    longest=st.integers(1, 12),
    part=st.floats(0, 1),
    seed=st.integers(0, 9),
)
def test_a_job_stopped_early_does_the_first_steps_of_the_whole_and_a_carrier_those_that_are_left(
    n: int, carried: int, size: int, epochs: int, longest: int, part: float, seed: int
) -> None:
    lengths = stream(seed, "lengths").integers(1, longest + 1, size=3 * n + carried)
    whole = job_of(n, size, epochs, seed)
    made = epochs_of(whole, lengths)
    assert [len(epoch) for epoch in made] == [-(-n // size)] * epochs
    assert whole.planned_steps == len(flat(made))
    for k, epoch in enumerate(made):
        expected = batches(whole.samples, lengths[whole.samples], size, stream(seed, "order", k))
        assert flat([epoch]) == flat([expected])

    steps = max(1, round(part * whole.planned_steps))
    early = epochs_of(job_of(n, size, epochs, seed, steps), lengths)
    assert flat(early) == flat(made)[:steps]
    assert all(early), "an epoch that is not begun is not there"

    others = 3 * n + np.arange(carried)
    handed = epochs_of(job_of(n, size, epochs, seed, steps, others), lengths)
    assert [len(epoch) for epoch in handed] == [len(epoch) for epoch in made], "all that was planned"
    assert flat(handed)[:steps] == flat(made)[:steps]
    theirs = [sample for batch in flat(handed)[steps:] for sample in batch]
    assert set(theirs) <= set(others.tolist())
    full = len(theirs) // carried
    assert all(theirs.count(sample) in (full, full + 1) for sample in others.tolist()), "epoch by epoch"
