"""Rank self-pruning: the regulariser's gradient is autograd's, and ranks go where their tail has shrunk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from iovsim.domain import Adapter, Pruning, Recipe, TrainJob, Update
from iovsim.learning.adapter import adapted_layers, factors
from iovsim.learning.lora import merged
from iovsim.learning.pruning import add_gradient, kept_rank, pruned, tail_size
from iovsim.learning.trainer import PeftTrainer
from tests.learning.aggregators.adapters import LAYERS, an_adapter, dense


def test_the_gradient_is_that_of_autograd_for_each_vehicle() -> None:
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(4, 6, 5, generator=generator, dtype=torch.float64)
    b = torch.randn(4, 7, 6, generator=generator, dtype=torch.float64)
    b[3] = 0  # as when a client begins
    keep = torch.tensor([5, 3, 6, 4])  # the third has no tail
    into_a, into_b = torch.zeros_like(a), torch.zeros_like(b)
    add_gradient(0.7, keep, a, b, into_a, into_b)
    for vehicle, first in enumerate(keep.tolist()):
        own_a, own_b = (x[vehicle].clone().requires_grad_() for x in (a, b))
        loss = 0.7 * torch.linalg.norm(own_b[:, first:]) * torch.linalg.norm(own_a[first:])
        loss.backward()
        torch.testing.assert_close(into_a[vehicle], own_a.grad)
        torch.testing.assert_close(into_b[vehicle], own_b.grad)
    assert into_a[1].any()
    assert not into_a[3].any()


def test_what_is_kept_of_a_rank() -> None:
    assert [kept_rank(r, Pruning(0.99, 1.0)) for r in (1, 2, 8, 100, 200)] == [1, 1, 7, 99, 198]
    assert kept_rank(8, Pruning(0.5, 1.0)) == 4


@pytest.mark.parametrize(("factor", "rank"), [(0.9, 3), (1.0, 4), (1.1, 4)])
def test_the_last_ranks_go_if_they_have_shrunk_and_the_others_keep_their_product(factor: float, rank: int) -> None:
    before = an_adapter(4, 1)
    tensors = {k: v.copy() for k, v in before.tensors.items()}
    for layer in LAYERS:
        tensors[f"{layer}.lora_B.weight"][:, 3:] *= factor
    after = pruned(before, replace(before, tensors=tensors), Pruning(0.99, 1.0))
    assert after.rank == rank
    for layer in LAYERS:
        a, b = (tensors[f"{layer}.lora_{x}.weight"] for x in "AB")
        np.testing.assert_allclose(dense(after, layer), before.scale * b[:, :rank] @ a[:rank], atol=1e-5)


def _job(adapter: Adapter, pruning: Pruning | None) -> TrainJob:
    recipe = Recipe(learning_rate=3e-3, batch_size=8, weight_decay=0.0)
    return TrainJob("signs", "v0", 0, "r0", adapter, np.arange(10, 30), 2, recipe, 0.0, 3, pruning=pruning)


def test_a_client_trains_with_the_regulariser_and_sends_its_lower_rank(trainer: PeftTrainer) -> None:
    start = trainer.initial("signs", 4, seed=1)
    learnt = trainer.train(_job(start, None))
    assert isinstance(learnt, Update)

    plain, little, much = (
        trainer.train(_job(learnt.adapter, p)) for p in (None, Pruning(0.75, 1e-6), Pruning(0.75, 10.0))
    )
    assert isinstance(plain, Update)
    assert isinstance(little, Update)
    assert isinstance(much, Update)
    assert plain.adapter.rank == 4
    before, after = tail_size(learnt.adapter, 3), tail_size(plain.adapter, 3)
    assert little.adapter.rank == (4 if after >= before else 3)
    assert much.adapter.rank == 3
    assert much.loss_before == pytest.approx(plain.loss_before, rel=0.1), "the loss is told without the regulariser"

    first = trainer.train(_job(start, Pruning(0.75, 10.0)))
    assert isinstance(first, Update)
    assert first.adapter.rank == 4, "what begins at zero cannot shrink"


def test_what_is_trained_beside_an_adapter_is_trained_on_merged_weights(trainer: PeftTrainer) -> None:
    """Equal to a backbone that has these weights; and the next job without one has the backbone's own again."""
    learnt = trainer.train(_job(trainer.initial("signs", 4, seed=1), None))
    assert isinstance(learnt, Update)
    known = trainer.prepared("signs").learning
    trunk = merged(known.backbone, 43, learnt.adapter).trunk
    other = PeftTrainer({"signs": replace(known, backbone=replace(known.backbone, trunk=trunk))})
    fresh = trainer.initial("signs", 2, seed=2)
    beside = trainer.train(replace(_job(fresh, None), base=learnt.adapter))
    expected, without = other.train(_job(fresh, None)), trainer.train(_job(fresh, None))
    assert isinstance(beside, Update)
    assert isinstance(expected, Update)
    assert isinstance(without, Update)
    assert list(beside.adapter.tensors) == list(expected.adapter.tensors)
    for name, array in expected.adapter.tensors.items():
        np.testing.assert_allclose(beside.adapter.tensors[name], array, atol=1e-5)
    assert beside.loss_before == pytest.approx(expected.loss_before, rel=1e-6)
    assert abs(beside.loss_before - without.loss_before) > 1e-3
    anew = PeftTrainer({"signs": known}).train(_job(fresh, None))
    assert isinstance(anew, Update)
    assert all(np.array_equal(a, without.adapter.tensors[k]) for k, a in anew.adapter.tensors.items())
    assert all(np.linalg.norm(factors(beside.adapter, k)[0]) > 0 for k in adapted_layers(beside.adapter))
