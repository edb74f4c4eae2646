"""Cost of LoRA training: arithmetic by hand, and the shape of its dependence on rank."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from iovsim.domain import Tuning
from iovsim.energy import (
    ARCHITECTURES,
    TIERS,
    authors_train_flops,
    feasible_ranks,
    forward_flops,
    lora_flops,
    lora_parameters,
    train_flops,
    train_j,
    train_s,
    trained_parameters,
    training_memory_bits,
    update_bits,
    with_head,
    with_targets,
)

VIT = with_head(ARCHITECTURES["vit-base-patch16-224"], 10)
NANO = TIERS["orin-nano"]


def test_lora_on_query_and_value_of_vit_b() -> None:
    # Hu et al. 2022: r (d + d) a module, 24 modules: 8 * 1536 * 24, the figure PEFT prints for ViT-B/16 at r = 8
    assert lora_parameters(VIT, 8) == 294_912
    assert update_bits(VIT, 8) == 32 * (294_912 + 7_690)


def test_lora_flops_a_rank() -> None:
    # 2 * 1536 * 197 * 48 = 29.05 MFLOP a rank for 48 square modules of 768, here 24
    assert 2 * lora_flops(VIT, 1) == pytest.approx(29.05e6, rel=1e-3)


def test_training_costs_two_forward_passes_of_the_base_and_three_of_the_adapter() -> None:
    assert train_flops(VIT, 8, 5) == 5 * (2 * VIT.forward_flops + 3 * lora_flops(VIT, 8))
    assert forward_flops(VIT, 8, 5) == 5 * (VIT.forward_flops + lora_flops(VIT, 8))


def test_rank_hardly_changes_the_computing_but_scales_the_bits() -> None:
    assert train_flops(VIT, 32, 1) / train_flops(VIT, 4, 1) < 1.02
    without_head = replace(VIT, head_parameters=0)
    assert update_bits(without_head, 32) == 8 * update_bits(without_head, 4)


def test_half_precision_halves_the_bits() -> None:
    assert update_bits(replace(VIT, parameter_bits=16), 8) == update_bits(VIT, 8) / 2


@pytest.mark.parametrize(("rank", "psi"), [(8, 0.5), (33, 0.9124), (51, 1.0), (1, 0.5), (200, 1.0)])
def test_the_authors_law(rank: int, psi: float) -> None:
    assert authors_train_flops(VIT, rank, 3) / train_flops(VIT, 51, 3) == pytest.approx(psi, abs=1e-4)


def test_seconds_and_joules_by_hand() -> None:
    # 64 images: 64 * (70.25 + 0.35) GFLOP = 4.518 TFLOP at 3 TFLOP/s and 15 W
    seconds = train_s(NANO, train_flops(VIT, 8, 64))
    assert seconds == pytest.approx(1.506, abs=1e-3)
    assert train_j(NANO, seconds) == pytest.approx(22.59, abs=0.01)


@pytest.mark.parametrize(
    ("tuning", "local_head", "parameters"),
    [
        (Tuning.LORA, False, 294_912 + 7_690),
        (Tuning.LORA, True, 294_912),
        (Tuning.HEAD, False, 7_690),
        (Tuning.HEAD, True, 0),
        (Tuning.FULL, False, 85_798_656 + 7_690),
        (Tuning.FULL, True, 85_798_656),
    ],
)
def test_what_goes_over_the_air(tuning: Tuning, local_head: bool, parameters: int) -> None:
    rank = 8 if tuning is Tuning.LORA else 0
    assert update_bits(VIT, rank, tuning, local_head=local_head) == 32 * parameters
    assert trained_parameters(VIT, rank, tuning) == parameters + (7_690 if local_head else 0)


def test_training_a_head_costs_its_features_and_full_training_three_passes() -> None:
    assert train_flops(VIT, 0, 5, Tuning.HEAD) == 5 * VIT.forward_flops
    assert train_flops(VIT, 0, 5, Tuning.FULL) == 15 * VIT.forward_flops


def test_memory_by_hand() -> None:
    without_samples = 32 * (VIT.base_parameters + 4 * (294_912 + 7_690))
    assert training_memory_bits(VIT, 8, 0) == without_samples
    a_layer = 7 * 197 * 768 + 12 * 197 + 197 * 3072
    per_sample = 32 * (12 * a_layer + 197 * 8 * 24)
    assert training_memory_bits(VIT, 8, 16) == without_samples + 16 * per_sample


def test_memory_of_the_reference_modes_by_hand() -> None:
    assert training_memory_bits(VIT, 0, 16, Tuning.HEAD) == 32 * (VIT.base_parameters + 4 * 7_690)
    a_layer = 8 * 197 * 768 + 12 * 197 + 2 * 197 * 3072
    weights = 32 * 4 * (VIT.base_parameters + 7_690)
    assert training_memory_bits(VIT, 0, 16, Tuning.FULL) == weights + 16 * 32 * 12 * a_layer


def test_feasible_ranks_are_those_that_fit() -> None:
    ranks = (4, 8, 16, 32)
    assert feasible_ranks(VIT, NANO, ranks, 16) == ranks
    tight = replace(NANO, memory_bits=training_memory_bits(VIT, 16, 16) / 0.75)
    assert feasible_ranks(VIT, tight, ranks, 16) == (4, 8, 16)
    assert feasible_ranks(VIT, replace(tight, memory_share=0.7), ranks, 16) == ()
    assert feasible_ranks(VIT, replace(NANO, memory_bits=1e6), ranks, 16) == ()


@pytest.mark.parametrize(
    ("tier", "batches"),
    [
        # largest batch at rank 8, 64, 256; of full training
        ("telematics", (15, 15, 13, 2)),
        ("jetson-nano", (35, 34, 32, 15)),
        ("orin-nano-4g", (35, 34, 32, 15)),
        ("orin-nano", (76, 74, 70, 43)),
        ("orin-nx", (156, 153, 146, 98)),
        ("agx-orin", (317, 312, 297, 209)),
    ],
)
def test_the_largest_batch_of_vit_b_on_each_tier(tier: str, batches: tuple[int, ...]) -> None:
    model, device = with_head(ARCHITECTURES["vit-base-patch16-224"], 43), TIERS[tier]
    kinds = [(8, Tuning.LORA), (64, Tuning.LORA), (256, Tuning.LORA), (0, Tuning.FULL)]
    for (rank, tuning), batch in zip(kinds, batches, strict=True):
        assert feasible_ranks(model, device, (rank,), batch, tuning) == (rank,)
        assert feasible_ranks(model, device, (rank,), batch + 1, tuning) == ()
    assert feasible_ranks(model, device, (0,), 512, Tuning.HEAD) == (0,)


def test_where_memory_binds_the_rank() -> None:
    ranks = (8, 64, 128, 256)
    assert feasible_ranks(VIT, TIERS["telematics"], ranks, 14) == (8, 64, 128)
    assert feasible_ranks(VIT, TIERS["telematics"], ranks, 16) == ()
    everywhere = with_targets(VIT, ("query", "value", "mlp_in", "mlp_out"))
    assert feasible_ranks(everywhere, TIERS["telematics"], ranks, 9) == (8, 64)


def test_tiers_rise_in_speed_power_and_memory() -> None:
    tiers = list(TIERS.items())
    for (_, low), (_, high) in pairwise(tiers):
        for name in ("compute_flops", "active_w", "idle_w", "memory_bits"):
            assert getattr(low, name) <= getattr(high, name)
        assert low.compute_flops < high.compute_flops
    for name, device in tiers:
        assert device.tier == name
        assert device.idle_w < device.active_w
    assert NANO.memory_bits == 8 * 8 * 2**30
