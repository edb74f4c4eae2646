"""FedRA: each layer is averaged over those that had it, and keeps what it was where nobody had."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from iovsim.domain import Adapter, Update
from iovsim.errors import TrainingError
from iovsim.learning.adapter import without
from iovsim.learning.aggregators.fedra import FedRa
from tests.learning.aggregators.adapters import HEAD_WEIGHT, an_adapter, an_update


def lacking(update: Update, *layers: str) -> Update:
    return replace(update, adapter=without(update.adapter, layers))


def test_a_layer_is_the_mean_over_those_that_had_it() -> None:
    whole, first, second = an_update(3, 1, samples=10), an_update(3, 2, samples=30), an_update(3, 3, samples=60)
    merged = FedRa().aggregate(an_adapter(3, 0), [whole, lacking(first, "b"), lacking(second, "a")])
    for factor in "AB":
        for layer, other, share in (("a", first, 0.25), ("b", second, 1 / 7)):
            name = f"{layer}.lora_{factor}.weight"
            expected = share * whole.adapter.tensors[name] + (1 - share) * other.adapter.tensors[name]
            np.testing.assert_allclose(merged.tensors[name], expected, atol=1e-6)
    heads = [u.adapter.tensors[HEAD_WEIGHT] for u in (whole, first, second)]
    np.testing.assert_allclose(merged.tensors[HEAD_WEIGHT], 0.1 * heads[0] + 0.3 * heads[1] + 0.6 * heads[2], atol=1e-6)


def test_a_layer_that_nobody_had_keeps_what_it_was() -> None:
    current = an_adapter(3, 0)
    merged = FedRa().aggregate(current, [lacking(an_update(3, 1), "a"), lacking(an_update(3, 2), "a")])
    for factor in "AB":
        name = f"a.lora_{factor}.weight"
        np.testing.assert_array_equal(merged.tensors[name], current.tensors[name])
        assert not np.array_equal(merged.tensors[f"b.lora_{factor}.weight"], current.tensors[f"b.lora_{factor}.weight"])


def test_the_first_updates_settle_the_rank_also_of_layers_that_nobody_had() -> None:
    fresh = an_adapter(6, 0)
    fresh = replace(fresh, tensors={n: np.zeros_like(a) if "lora_B" in n else a for n, a in fresh.tensors.items()})
    merged = FedRa().aggregate(fresh, [lacking(an_update(2, 1), "a")])
    assert merged.rank == 2
    assert {array.shape[0] for name, array in merged.tensors.items() if "lora_A" in name} == {2}
    np.testing.assert_array_equal(merged.tensors["a.lora_A.weight"], fresh.tensors["a.lora_A.weight"][:2])


def test_unequal_ranks_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"fedra: the adapters have ranks \[2, 3\]"):
        FedRa().aggregate(an_adapter(3, 0), [an_update(3, 1), an_update(2, 2)])


def test_an_adapter_without_some_blocks_lacks_what_is_theirs() -> None:
    adapter = Adapter(
        1, 1.0, {f"{block}.x": np.zeros(1, dtype=np.float32) for block in ("blocks.1", "blocks.11", "head")}
    )
    assert list(without(adapter, ["blocks.1"]).tensors) == ["blocks.11.x", "head.x"]
