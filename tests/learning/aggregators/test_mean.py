"""Aggregation: the mean update is exact, cuts are the best ones, and new directions change nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.domain import Adapter, Scaling, Tuning, Update
from iovsim.errors import TrainingError
from iovsim.learning.adapter import adapted_layers, factors
from iovsim.learning.aggregators.fedavg import FedAvg
from iovsim.learning.aggregators.joining import client_weights
from iovsim.learning.aggregators.kinds import AGGREGATORS
from iovsim.learning.aggregators.spectrum import ZERO, decompose, stable_rank
from iovsim.learning.aggregators.svd import SvdAggregator
from iovsim.rng import stream
from tests.learning.aggregators.adapters import ALPHA, HEAD_WEIGHT, LAYERS, an_adapter, an_update, dense, mean_of


@settings(derandomize=True, max_examples=30, deadline=None)
@given(
    clients=st.lists(
        st.tuples(st.integers(1, 6), st.integers(1, 500), st.sampled_from([0.25, 0.5, 1.0])), min_size=1, max_size=6
    ),
    seed=st.integers(0, 10**6),
)
def test_svd_keeps_the_weighted_mean_of_the_updates(clients: list[tuple[int, int, float]], seed: int) -> None:
    updates = [an_update(r, seed + k, samples=n, fraction=f) for k, (r, n, f) in enumerate(clients)]
    merged = SvdAggregator().aggregate(an_adapter(4, seed - 1), updates)
    assert merged.rank <= sum(r for r, _, _ in clients)
    for layer in LAYERS:
        expected = mean_of(updates, layer)
        np.testing.assert_allclose(dense(merged, layer), expected, atol=1e-5 * float(np.linalg.norm(expected)))


def test_equal_clients_do_not_raise_the_rank() -> None:
    update = an_update(3, 1)
    merged = SvdAggregator().aggregate(an_adapter(3, 9), [update, update, update])
    assert merged.rank == 3
    for layer in LAYERS:
        np.testing.assert_allclose(dense(merged, layer), dense(update.adapter, layer), atol=1e-5)


def test_the_rank_is_at_most_the_smallest_width_of_the_widest_layer() -> None:
    merged = SvdAggregator().aggregate(an_adapter(4, 0), [an_update(6, k) for k in range(4)])
    assert merged.rank == 10  # layer a is 12 x 10, layer b 7 x 16


def test_updates_that_are_zero_leave_an_adapter_that_can_be_handed_out() -> None:
    zero = an_adapter(2, 0)
    zero = replace(zero, tensors={n: 0 * a if ".lora_B" in n else a for n, a in zero.tensors.items()})
    merged = SvdAggregator().aggregate(zero, [Update(zero, 5, 1.0, 1.0, 1.0)])
    assert merged.rank == 1
    assert all(not dense(merged, layer).any() for layer in LAYERS)
    started = SvdAggregator().redistribute(merged, 4, seed=1)
    assert all(started.tensors[f"{layer}.lora_A.weight"].any(axis=1).all() for layer in LAYERS)


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_a_cut_is_the_best_approximation_of_its_rank(rank: int) -> None:
    current = SvdAggregator().aggregate(an_adapter(4, 0), [an_update(4, k) for k in range(3)])
    cut = SvdAggregator().redistribute(current, rank, seed=0)
    assert cut.rank == rank
    for layer in LAYERS:
        full = dense(current, layer)
        u, s, vt = np.linalg.svd(full)
        np.testing.assert_allclose(dense(cut, layer), (u[:, :rank] * s[:rank]) @ vt[:rank], atol=1e-4)
        error = np.linalg.norm(dense(cut, layer) - full)
        assert error == pytest.approx(np.sqrt(np.sum(s[rank:] ** 2)), rel=1e-4, abs=1e-4)


def test_a_higher_rank_changes_nothing_and_can_learn() -> None:
    current = an_adapter(3, 0)
    wide = SvdAggregator().redistribute(current, 6, seed=1)
    for layer in LAYERS:
        np.testing.assert_allclose(dense(wide, layer), dense(current, layer), atol=1e-5)
        assert not wide.tensors[f"{layer}.lora_B.weight"][:, 3:].any()
        new = wide.tensors[f"{layer}.lora_A.weight"][3:]
        assert new.any(axis=1).all()  # B's gradient is A times the data, so B can leave zero
        assert np.abs(new).max() <= LAYERS[layer][1] ** -0.5
    again, other = (SvdAggregator().redistribute(current, 6, seed=s) for s in (1, 2))
    assert all(np.array_equal(wide.tensors[n], again.tensors[n]) for n in wide.tensors)
    assert not np.array_equal(wide.tensors["a.lora_A.weight"], other.tensors["a.lora_A.weight"])


def test_the_own_rank_is_handed_out_unchanged() -> None:
    current = an_adapter(3, 0)
    assert SvdAggregator().redistribute(current, 3, seed=1) is current
    assert FedAvg().redistribute(current, 3, seed=1) is current


def test_fedavg_averages_the_factors_by_weight() -> None:
    updates = [an_update(3, 1, samples=30), an_update(3, 2, samples=20, fraction=0.5)]
    merged = FedAvg().aggregate(an_adapter(3, 0), updates)
    for name in merged.tensors:
        expected = 0.75 * updates[0].adapter.tensors[name] + 0.25 * updates[1].adapter.tensors[name]
        np.testing.assert_allclose(merged.tensors[name], expected, atol=1e-6)


@pytest.mark.parametrize("name", sorted(AGGREGATORS))
def test_heads_are_averaged_alike_and_types_are_kept(name: str) -> None:
    updates = [an_update(3, 1, samples=30), an_update(3, 2, samples=10)]
    merged = AGGREGATORS[name]().aggregate(an_adapter(3, 0), updates)
    expected = 0.75 * updates[0].adapter.tensors[HEAD_WEIGHT] + 0.25 * updates[1].adapter.tensors[HEAD_WEIGHT]
    np.testing.assert_allclose(merged.tensors[HEAD_WEIGHT], expected, atol=1e-6)
    assert all(array.dtype == np.float32 for array in merged.tensors.values())
    assert merged.alpha == ALPHA


def test_fedavg_refuses_unequal_ranks() -> None:
    with pytest.raises(TrainingError, match=r'fedavg: the adapters have ranks \[2, 3\].*"svd"'):
        FedAvg().aggregate(an_adapter(3, 0), [an_update(3, 1), an_update(2, 2)])
    with pytest.raises(TrainingError, match="asked to train rank 2, but the global adapter has rank 3"):
        FedAvg().redistribute(an_adapter(3, 0), 2, seed=0)


def test_fedavg_takes_the_rank_of_the_first_updates() -> None:
    fresh = an_adapter(6, 0)
    fresh = replace(fresh, tensors={n: np.zeros_like(a) if "lora_B" in n else a for n, a in fresh.tensors.items()})
    start = FedAvg().redistribute(fresh, 2, seed=0)
    assert start.rank == 2
    np.testing.assert_array_equal(start.tensors["a.lora_A.weight"], fresh.tensors["a.lora_A.weight"][:2])
    assert FedAvg().aggregate(fresh, [an_update(2, 1)]).rank == 2


@pytest.mark.parametrize("name", sorted(AGGREGATORS))
def test_updates_of_another_model_or_without_weight_are_refused(name: str) -> None:
    aggregator, other = AGGREGATORS[name](), an_update(3, 1)
    renamed = replace(other.adapter, tensors={n.replace("b.", "c.", 1): a for n, a in other.adapter.tensors.items()})
    with pytest.raises(TrainingError, match=r"(differ in|unknown tensors) .*'[bc]\.lora_A\.weight'"):
        aggregator.aggregate(an_adapter(3, 0), [Update(renamed, 1, 1.0, 1.0, 1.0)])
    with pytest.raises(TrainingError, match="one must be positive"):
        aggregator.aggregate(an_adapter(3, 0), [an_update(3, 1, fraction=0.0)])


def test_weights_are_samples_times_fraction() -> None:
    updates = [an_update(2, 0, samples=10), an_update(2, 1, samples=40, fraction=0.75)]
    assert client_weights(updates).tolist() == [0.25, 0.75]


@pytest.mark.parametrize("shape", [(12, 4, 9), (12, 8, 9), (12, 9, 9), (9, 30, 12), (12, 30, 9), (1, 1, 5)])
@pytest.mark.parametrize("decay", [0.0, 0.9, 2.0])
def test_decompose_finds_a_known_spectrum_by_either_way(shape: tuple[int, int, int], decay: float) -> None:
    """Singular values fall by a factor of 10^decay from one to the next: with 2, to below what is kept."""
    outputs, rank, inputs = shape
    rng = stream(0, "factors")
    u0, v0, mix = (np.linalg.qr(rng.normal(size=(n, min(shape))))[0] for n in (outputs, inputs, rank))
    spectrum = 10.0 ** (-decay * np.arange(min(shape)))
    dense = (u0 * spectrum) @ v0.T
    u, s, vt = decompose((u0 * spectrum) @ mix.T, mix @ v0.T)
    assert len(s) == np.sum(spectrum > ZERO)
    np.testing.assert_allclose(s, spectrum[: len(s)], rtol=1e-6)
    np.testing.assert_allclose((u * s) @ vt, dense, atol=ZERO)
    for side in (u * s, vt.T * s):  # orthogonal, as far as each direction counts
        np.testing.assert_allclose(side.T @ side, np.diag(s**2), atol=1e-12)
    assert (vt[np.arange(len(s)), np.abs(vt).argmax(axis=1)] > 0).all()


def test_both_ways_to_decompose_give_the_same_merged_update_at_a_real_width() -> None:
    rng = stream(1, "factors")
    left = rng.normal(size=(128, 360)) * np.exp(-12.0 * np.arange(360) / 360)
    right = rng.uniform(-1.0, 1.0, (360, 128))
    found = decompose(left, right)
    q_left, r_left = np.linalg.qr(left)
    q_right, r_right = np.linalg.qr(right.T)
    core = np.linalg.svd(r_left @ r_right.T, full_matrices=False)
    for rank in (128, 16, 2):
        merged = (found[0] * found[1])[:, :rank] @ found[2][:rank]
        other = q_left @ (core.U * core.S)[:, :rank] @ core.Vh[:rank] @ q_right.T
        assert np.linalg.norm(merged - other) < 1e-10 * np.linalg.norm(other)


def test_stable_rank_of_known_spectra() -> None:
    def of(spectrum: list[float]) -> float:
        a = np.eye(4, 6, dtype=np.float32)[: len(spectrum)]
        b = (np.eye(5, 4) * np.array([*spectrum, *[0.0] * (4 - len(spectrum))]))[:, : len(spectrum)]
        return stable_rank(Adapter(len(spectrum), 1.0, {"x.lora_A.weight": a, "x.lora_B.weight": b.astype(np.float32)}))

    assert of([2.0, 2.0, 2.0]) == pytest.approx(3)
    assert of([2.0, 1.0]) == pytest.approx(1.25)
    assert of([0.0, 0.0]) == 0.0


def test_factors_carry_the_scale() -> None:
    adapter = an_adapter(4, 0)
    assert adapted_layers(adapter) == ["a", "b"]
    left, right = factors(adapter, "a")
    np.testing.assert_allclose(left @ right, dense(adapter, "a"))


def test_rank_stabilised_adapters_keep_their_scale_through_aggregation() -> None:
    updates = [
        replace(u, adapter=replace(u.adapter, scaling=Scaling.RSLORA))
        for u in (an_update(2, 1), an_update(6, 2, samples=30))
    ]
    joined = SvdAggregator().aggregate(updates[0].adapter, updates)
    assert joined.scaling is Scaling.RSLORA
    for layer in LAYERS:
        left, right = factors(joined, layer)
        parts = [factors(u.adapter, layer) for u in updates]
        assert parts[1][0] == pytest.approx(ALPHA / np.sqrt(6) * updates[1].adapter.tensors[f"{layer}.lora_B.weight"])
        expected = 0.25 * parts[0][0] @ parts[0][1] + 0.75 * parts[1][0] @ parts[1][1]
        np.testing.assert_allclose(left @ right, expected, atol=1e-4)
        cut_left, cut_right = factors(SvdAggregator().redistribute(joined, 12, seed=0), layer)
        np.testing.assert_allclose(cut_left @ cut_right, expected, atol=1e-4)


def test_untrained_adapters_are_cut_alike_by_every_aggregator() -> None:
    fresh = an_adapter(6, 1)
    fresh = replace(fresh, tensors={n: np.zeros_like(a) if "lora_B" in n else a for n, a in fresh.tensors.items()})
    one, other = (AGGREGATORS[name]().redistribute(fresh, 2, seed) for seed, name in enumerate(("fedavg", "svd")))
    assert one.rank == other.rank == 2
    for name, array in one.tensors.items():
        assert np.array_equal(array, other.tensors[name])
    assert np.array_equal(one.tensors["a.lora_A.weight"], fresh.tensors["a.lora_A.weight"][:2])


@pytest.mark.parametrize("name", AGGREGATORS)
def test_without_adapters_everything_is_averaged(name: str) -> None:
    def plain(seed: int) -> Adapter:
        return Adapter(0, ALPHA, {HEAD_WEIGHT: an_adapter(1, seed).tensors[HEAD_WEIGHT]}, tuning=Tuning.HEAD)

    updates = [replace(an_update(1, 0, samples=n), adapter=plain(n)) for n in (10, 30)]
    joined = AGGREGATORS[name]().aggregate(plain(0), updates)
    assert (joined.rank, joined.tuning) == (0, Tuning.HEAD)
    np.testing.assert_allclose(
        joined.tensors[HEAD_WEIGHT],
        0.25 * plain(10).tensors[HEAD_WEIGHT] + 0.75 * plain(30).tensors[HEAD_WEIGHT],
        atol=1e-6,
    )
    assert AGGREGATORS[name]().redistribute(joined, 0, seed=0) is joined
    assert stable_rank(joined) == 0.0
