"""AdaLoRA's budget: who gets how many directions, and that what they do is what it should be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.domain import Adapter, Scaling
from iovsim.errors import ScenarioError
from iovsim.learning.aggregators.adalora import AdaLora, allocate
from iovsim.learning.aggregators.svd import SvdAggregator
from tests.learning.aggregators.adapters import LAYERS, an_adapter, an_update, dense


@settings(derandomize=True, max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(4, 20), st.integers(4, 20), st.floats(0.0, 3.0)), min_size=1, max_size=5),
    rank=st.integers(1, 4),
    least=st.integers(1, 3),
)
def test_a_client_never_gets_more_than_its_budget(sizes: list[tuple[int, int, float]], rank: int, least: int) -> None:
    shapes = {f"layer {k}": (outputs, inputs) for k, (outputs, inputs, _) in enumerate(sizes)}
    importance = {
        f"layer {k}": size * np.geomspace(1.0, 1e-3, min(outputs, inputs))
        for k, (outputs, inputs, size) in enumerate(sizes)
    }
    ranks = allocate(importance, shapes, rank, least)
    spent = sum(ranks[k] * sum(shape) for k, shape in shapes.items())
    budget = rank * sum(sum(shape) for shape in shapes.values())
    assert spent <= budget
    assert all(min(least, rank) <= ranks[k] <= max(min(shape), rank) for k, shape in shapes.items())
    growing = [sum(shape) for k, shape in shapes.items() if ranks[k] < min(shape)]
    assert not growing or budget - spent < min(growing), "nothing is left that anybody could use"


def test_the_most_important_directions_are_kept_over_all_layers() -> None:
    shapes = dict.fromkeys("xyz", (10, 10))
    importance = {"x": np.array([9.0, 8.0, 7.0, 1.0]), "y": np.array([6.0, 5.0, 0.5]), "z": np.array([0.1])}
    assert allocate(importance, shapes, rank=2, least=1) == {"x": 3, "y": 2, "z": 1}
    assert allocate(importance, shapes, rank=1, least=1) == {"x": 1, "y": 1, "z": 1}
    assert allocate(importance, shapes, rank=3, least=1) == {"x": 4, "y": 3, "z": 2}, (
        "z has a new one, as all known are out"
    )


@pytest.mark.parametrize("scaling", Scaling)
@pytest.mark.parametrize("rank", [1, 2, 5])
def test_what_a_client_gets_is_each_layers_best_approximation_at_its_own_rank(rank: int, scaling: Scaling) -> None:
    updates = [an_update(4, k) for k in range(3)]
    updates = [replace(u, adapter=replace(u.adapter, scaling=scaling)) for u in updates]
    current = AdaLora().aggregate(updates[0].adapter, updates)
    given_out = AdaLora().redistribute(current, rank, seed=0)
    assert given_out.scale == pytest.approx(scaling.scale(current.alpha, rank)), "it learns as fast as any of its rank"
    costs = 0
    for layer, shape in LAYERS.items():
        own = given_out.tensors[f"{layer}.lora_A.weight"].any(axis=1).sum()
        costs += own * sum(shape)
        product = (
            given_out.scale * given_out.tensors[f"{layer}.lora_B.weight"] @ given_out.tensors[f"{layer}.lora_A.weight"]
        )
        b, a = (current.tensors[f"{layer}.lora_{x}.weight"].astype(np.float64) for x in "BA")
        u, s, vt = np.linalg.svd(current.scale * b @ a)
        np.testing.assert_allclose(product, (u[:, :own] * s[:own]) @ vt[:own], atol=1e-3)
    assert costs <= rank * sum(sum(shape) for shape in LAYERS.values())


def test_layers_of_great_updates_get_more() -> None:
    update = an_update(4, 1)
    update.adapter.tensors["a.lora_B.weight"][:] *= 10
    ranks = AdaLora().redistribute(update.adapter, 2, seed=0)
    a, b = (int(ranks.tensors[f"{layer}.lora_A.weight"].any(axis=1).sum()) for layer in "ab")
    assert a > 2 > b


def test_with_one_layer_it_is_redistribution_by_svd() -> None:
    def only_a(adapter: Adapter) -> Adapter:
        return replace(adapter, tensors={k: v for k, v in adapter.tensors.items() if not k.startswith("b.")})

    current = only_a(an_adapter(6, 0))
    for rank in (2, 8):
        one, other = (a.redistribute(current, rank, seed=3) for a in (AdaLora(), SvdAggregator()))
        assert one.rank == other.rank == rank
        for name, array in one.tensors.items():
            np.testing.assert_allclose(array, other.tensors[name], atol=1e-6)


def test_every_layer_keeps_some() -> None:
    with pytest.raises(ScenarioError, match="least = 0: must be at least 1"):
        AdaLora(least=0)
    update = an_update(4, 1)
    update.adapter.tensors["a.lora_B.weight"][:] = 0
    for least, expected in ((1, 1), (2, 3)):  # with 2, the fourth direction of b is too dear, and a gets another one
        given_out = AdaLora(least=least).redistribute(update.adapter, 3, seed=0)
        assert given_out.tensors["a.lora_A.weight"].any(axis=1).sum() == expected
        assert not dense(given_out, "a").any()
