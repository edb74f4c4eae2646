"""What theory says of every aggregator: where it keeps the weighted mean, and what it is at equal ranks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.domain import Adapter, Aggregator, Update
from iovsim.learning.adapter import adapted_layers, beside, factors
from iovsim.learning.aggregators.adalora import AdaLora
from iovsim.learning.aggregators.fedavg import FedAvg
from iovsim.learning.aggregators.fedra import FedRa
from iovsim.learning.aggregators.flora import Flora
from iovsim.learning.aggregators.hetlora import HetLora
from iovsim.learning.aggregators.kinds import AGGREGATORS
from iovsim.learning.aggregators.svd import SvdAggregator
from tests.learning.aggregators.adapters import LAYERS, an_adapter, an_update, dense, mean_of

EXACT = ("svd", "flora", "adalora")
"""Those that keep the weighted mean of the updates at whatever ranks."""

CLIENTS = st.lists(
    st.tuples(st.integers(1, 6), st.integers(1, 500), st.sampled_from([0.25, 0.5, 1.0])), min_size=1, max_size=5
)


def same(one: Adapter, other: Adapter, tolerance: float = 1e-5) -> bool:
    """Whether two adapters do the same: to a part of the largest update."""
    return all(
        np.allclose(dense(one, layer), dense(other, layer), atol=tolerance * (1 + np.abs(dense(other, layer)).max()))
        for layer in LAYERS
    )


def mixed(clients: list[tuple[int, int, float]], seed: int) -> list[Update]:
    return [an_update(rank, seed + k, samples=n, fraction=f) for k, (rank, n, f) in enumerate(clients)]


@pytest.mark.parametrize("name", EXACT)
@settings(derandomize=True, max_examples=20, deadline=None)
@given(clients=CLIENTS, seed=st.integers(0, 10**6))
def test_these_keep_the_weighted_mean_of_updates_of_any_ranks(
    name: str, clients: list[tuple[int, int, float]], seed: int
) -> None:
    updates = mixed(clients, seed)
    merged = AGGREGATORS[name]().aggregate(an_adapter(4, seed - 1), updates)
    for layer in LAYERS:
        expected = mean_of(updates, layer)
        np.testing.assert_allclose(dense(merged, layer), expected, atol=1e-5 * float(np.linalg.norm(expected)))


@pytest.mark.parametrize("name", ["fedavg", "hetlora", "fedra"])
def test_these_do_not_where_both_factors_differ(name: str) -> None:
    """The product of the means is not the mean of the products."""
    updates = [an_update(3, seed) for seed in (1, 2)]
    merged = AGGREGATORS[name]().aggregate(an_adapter(3, 0), updates)
    off = max(
        np.linalg.norm(dense(merged, k) - mean_of(updates, k)) / np.linalg.norm(mean_of(updates, k)) for k in LAYERS
    )
    assert off > 0.1


@pytest.mark.parametrize("name", AGGREGATORS)
def test_all_do_where_a_is_shared_and_updates_are_equally_large(name: str) -> None:
    first = an_adapter(3, 1)
    turned = replace(first, tensors={k: v[::-1].copy() if ".lora_B" in k else v for k, v in first.tensors.items()})
    updates = [Update(first, 30, 1.0, 0.5, 1.0), Update(turned, 20, 1.0, 0.5, 0.5)]
    merged = AGGREGATORS[name]().aggregate(an_adapter(3, 0), updates)
    for layer in LAYERS:
        np.testing.assert_allclose(dense(merged, layer), mean_of(updates, layer), atol=1e-5)


def test_flora_adds_what_is_trained_to_what_has_been_merged() -> None:
    base, fresh = an_adapter(5, 0), [an_update(rank, seed, samples=rank) for rank, seed in ((2, 1), (4, 2))]
    updates = [replace(u, adapter=beside(base, u.adapter)) for u in fresh]
    merged = Flora().aggregate(base, updates)
    for layer in LAYERS:
        np.testing.assert_allclose(dense(merged, layer), dense(base, layer) + mean_of(fresh, layer), atol=1e-4)


@pytest.mark.parametrize("rank", [1, 4, 20])
def test_flora_begins_anew_beside_what_has_been_merged(rank: int) -> None:
    current = an_adapter(4, 0)
    started = Flora().redistribute(current, rank, seed=1)
    assert started.rank == rank
    assert not any(dense(started, layer).any() for layer in LAYERS)
    assert all(started.tensors[f"{layer}.lora_A.weight"].any(axis=1).all() for layer in LAYERS)
    assert same(beside(current, started), current)
    other = Flora().redistribute(current, rank, seed=2)
    assert not np.array_equal(started.tensors["a.lora_A.weight"], other.tensors["a.lora_A.weight"])


@settings(derandomize=True, max_examples=20, deadline=None)
@given(ranks=st.tuples(st.integers(1, 6), st.integers(1, 6)), seed=st.integers(0, 10**6))
def test_an_adapter_beside_another_does_what_both_do(ranks: tuple[int, int], seed: int) -> None:
    one, other = (an_adapter(rank, seed + k) for k, rank in enumerate(ranks))
    both = beside(one, other)
    assert both.rank == sum(ranks)
    for layer in adapted_layers(both):
        left, right = factors(both, layer)
        np.testing.assert_allclose(left @ right, dense(one, layer) + dense(other, layer), atol=1e-4)


# At equal ranks every method for mixed ranks is one for equal ranks.

AT_EQUAL_RANKS: list[tuple[Aggregator, Aggregator, bool]] = [
    (Flora(), SvdAggregator(), False),  # both are the exact mean
    (AdaLora(), SvdAggregator(), False),
    (FedRa(), FedAvg(), False),  # everybody has all layers
    (HetLora(), FedAvg(), True),  # the norms' weights are equal where updates are equally large
]


@pytest.mark.parametrize(("mixed_ranks", "equal_ranks", "equally_large"), AT_EQUAL_RANKS)
@settings(derandomize=True, max_examples=20, deadline=None)
@given(
    rank=st.integers(1, 6), weights=st.lists(st.integers(1, 500), min_size=1, max_size=4), seed=st.integers(0, 10**6)
)
def test_at_equal_ranks_they_are_their_homogeneous_form(
    mixed_ranks: Aggregator, equal_ranks: Aggregator, equally_large: bool, rank: int, weights: list[int], seed: int
) -> None:
    updates = [an_update(rank, seed + k, samples=n) for k, n in enumerate(weights)]
    if equally_large:
        updates = [replace(u, adapter=_at_norm_one(u.adapter)) for u in updates]
    current = an_adapter(rank, seed - 1)
    assert same(mixed_ranks.aggregate(current, updates), equal_ranks.aggregate(current, updates))


def _at_norm_one(adapter: Adapter) -> Adapter:
    tensors = dict(adapter.tensors)
    for layer in LAYERS:
        tensors[f"{layer}.lora_B.weight"] = tensors[f"{layer}.lora_B.weight"] / np.linalg.norm(dense(adapter, layer))
    return replace(adapter, tensors={k: v.astype(np.float32) for k, v in tensors.items()})


@settings(derandomize=True, max_examples=20, deadline=None)
@given(
    rank=st.integers(1, 6), weights=st.lists(st.integers(1, 500), min_size=1, max_size=4), seed=st.integers(0, 10**6)
)
def test_at_equal_ranks_leaving_the_scale_out_changes_nothing_but_the_cut(
    rank: int, weights: list[int], seed: int
) -> None:
    updates = [an_update(rank, seed + k, samples=n) for k, n in enumerate(weights)]
    sound, unscaled = (SvdAggregator(scaled).aggregate(an_adapter(rank, 0), updates) for scaled in (True, False))
    assert unscaled.rank == rank
    assert same(unscaled, SvdAggregator().redistribute(sound, rank, seed=0), 1e-4)


def test_without_the_scale_an_update_changes_in_size_from_rank_to_rank() -> None:
    """The defect of the rank-scheduling paper's code, which `scaled = false` repeats."""
    update = an_update(4, 1)
    given_out = {}
    for scaled in (True, False):
        aggregator = SvdAggregator(scaled)
        merged = aggregator.aggregate(an_adapter(4, 0), [update])
        assert same(merged, update.adapter)
        given_out[scaled] = aggregator.redistribute(merged, 8, seed=0)
    assert same(given_out[True], update.adapter)
    for layer in LAYERS:
        np.testing.assert_allclose(dense(given_out[False], layer), dense(update.adapter, layer) / 2, atol=1e-4)
