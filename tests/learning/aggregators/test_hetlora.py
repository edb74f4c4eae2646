"""HetLoRA: padding with zeros, weights by the updates' norms, truncation."""

from __future__ import annotations

import numpy as np
import pytest

from iovsim.domain import Pruning
from iovsim.errors import ScenarioError
from iovsim.learning.aggregators.hetlora import HetLora, product_norm
from tests.learning.aggregators.adapters import LAYERS, an_adapter, an_update, dense


def test_factors_are_padded_and_weighted_by_size_and_samples() -> None:
    """By the definition, layer by layer, with dense products."""
    updates = [an_update(2, 1, samples=30), an_update(5, 2, samples=20, fraction=0.5)]
    merged = HetLora().aggregate(an_adapter(4, 0), updates)
    assert merged.rank == 5
    for layer in LAYERS:
        sized = [w * np.linalg.norm(dense(u.adapter, layer)) for w, u in zip((0.75, 0.25), updates, strict=True)]
        shares = np.array(sized) / sum(sized)
        left, right = np.zeros((LAYERS[layer][0], 5)), np.zeros((5, LAYERS[layer][1]))
        for share, u in zip(shares, updates, strict=True):
            rank = u.adapter.rank
            left[:, :rank] += share * u.adapter.scale * u.adapter.tensors[f"{layer}.lora_B.weight"]
            right[:rank] += share * u.adapter.tensors[f"{layer}.lora_A.weight"]
        np.testing.assert_allclose(dense(merged, layer), left @ right, atol=1e-5)


def test_updates_that_have_learnt_nothing_weigh_by_samples() -> None:
    updates = [an_update(2, 1, samples=30), an_update(2, 2, samples=10)]
    for u in updates:
        for layer in LAYERS:
            u.adapter.tensors[f"{layer}.lora_B.weight"][:] = 0
    merged = HetLora().aggregate(an_adapter(2, 0), updates)
    one, other = (u.adapter.tensors["a.lora_A.weight"] for u in updates)
    np.testing.assert_allclose(merged.tensors["a.lora_A.weight"], 0.75 * one + 0.25 * other, atol=1e-6)


@pytest.mark.parametrize("rank", [1, 3])
def test_a_client_gets_the_first_directions_as_they_are(rank: int) -> None:
    current = an_adapter(4, 0)
    cut = HetLora().redistribute(current, rank, seed=0)
    assert cut.rank == rank
    for layer in LAYERS:
        a, b = (current.tensors[f"{layer}.lora_{x}.weight"] for x in "AB")
        np.testing.assert_allclose(dense(cut, layer), current.scale * b[:, :rank] @ a[:rank], atol=1e-4)


def test_a_higher_rank_changes_nothing_and_can_learn() -> None:
    current = an_adapter(3, 0)
    wide = HetLora().redistribute(current, 6, seed=1)
    for layer in LAYERS:
        np.testing.assert_allclose(dense(wide, layer), dense(current, layer), atol=1e-4)
        assert not wide.tensors[f"{layer}.lora_B.weight"][:, 3:].any()
        assert wide.tensors[f"{layer}.lora_A.weight"][3:].any(axis=1).all()


def test_norms_are_those_of_the_products() -> None:
    adapter = an_adapter(5, 3)
    for layer in LAYERS:
        a, b = (adapter.tensors[f"{layer}.lora_{x}.weight"].astype(np.float64) for x in "AB")
        assert product_norm((b, a)) == pytest.approx(np.linalg.norm(b @ a))


def test_how_clients_prune_is_the_aggregators_to_say() -> None:
    assert HetLora().pruning == Pruning(0.99, 5e-3)
    assert HetLora(keep=1.0).pruning is None
    for wrong in ({"keep": 0.0}, {"keep": 1.1}, {"penalty": -1.0}):
        with pytest.raises(ScenarioError):
            HetLora(**wrong)
