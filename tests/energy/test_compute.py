"""Cost of LoRA training: arithmetic by hand, and the shape of its dependence on rank."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iovsim.energy import (
    ARCHITECTURES,
    TIERS,
    adapter_bits,
    authors_train_flops,
    feasible_ranks,
    forward_flops,
    lora_flops,
    lora_parameters,
    train_flops,
    train_j,
    train_s,
    training_memory_bits,
    with_head,
)

VIT = with_head(ARCHITECTURES["vit-base-patch16-224"], 10)
NANO = TIERS["orin-nano"]


def test_lora_on_query_and_value_of_vit_b() -> None:
    # Hu et al. 2022: r (d + d) a module, 24 modules: 8 * 1536 * 24, the figure PEFT prints for ViT-B/16 at r = 8
    assert lora_parameters(VIT, 8) == 294_912
    assert adapter_bits(VIT, 8) == 32 * (294_912 + 7_690)


def test_lora_flops_a_rank() -> None:
    # 2 * 1536 * 197 * 48 = 29.05 MFLOP a rank for 48 square modules of 768, here 24
    assert 2 * lora_flops(VIT, 1) == pytest.approx(29.05e6, rel=1e-3)


def test_training_costs_two_forward_passes_of_the_base_and_three_of_the_adapter() -> None:
    assert train_flops(VIT, 8, 5) == 5 * (2 * VIT.forward_flops + 3 * lora_flops(VIT, 8))
    assert forward_flops(VIT, 8, 5) == 5 * (VIT.forward_flops + lora_flops(VIT, 8))


def test_rank_hardly_changes_the_computing_but_scales_the_bits() -> None:
    assert train_flops(VIT, 32, 1) / train_flops(VIT, 4, 1) < 1.02
    without_head = replace(VIT, head_parameters=0)
    assert adapter_bits(without_head, 32) == 8 * adapter_bits(without_head, 4)


def test_half_precision_halves_the_bits() -> None:
    assert adapter_bits(replace(VIT, parameter_bits=16), 8) == adapter_bits(VIT, 8) / 2


@pytest.mark.parametrize(("rank", "psi"), [(8, 0.5), (33, 0.9124), (51, 1.0), (1, 0.5), (200, 1.0)])
def test_the_authors_law(rank: int, psi: float) -> None:
    assert authors_train_flops(VIT, rank, 3) / train_flops(VIT, 51, 3) == pytest.approx(psi, abs=1e-4)


def test_seconds_and_joules_by_hand() -> None:
    # 64 images: 64 * (70.25 + 0.35) GFLOP = 4.518 TFLOP at 3 TFLOP/s and 15 W
    seconds = train_s(NANO, train_flops(VIT, 8, 64))
    assert seconds == pytest.approx(1.506, abs=1e-3)
    assert train_j(NANO, seconds) == pytest.approx(22.59, abs=0.01)


def test_memory_by_hand() -> None:
    without_samples = 32 * (VIT.base_parameters + 4 * (294_912 + 7_690))
    assert training_memory_bits(VIT, 8, 0) == without_samples
    a_layer = 6 * 197 * 768 + 12 * 197**2 + 197 * 3072
    per_sample = 32 * (12 * a_layer + 197 * 8 * 24)
    assert training_memory_bits(VIT, 8, 16) == without_samples + 16 * per_sample


def test_feasible_ranks_are_those_that_fit() -> None:
    ranks = (4, 8, 16, 32)
    assert feasible_ranks(VIT, NANO, ranks, 16) == ranks
    tight = replace(NANO, memory_bits=training_memory_bits(VIT, 16, 16) / 0.75)
    assert feasible_ranks(VIT, tight, ranks, 16) == (4, 8, 16)
    assert feasible_ranks(VIT, replace(NANO, memory_bits=1e6), ranks, 16) == ()


def test_tiers_rise_in_speed_power_and_memory() -> None:
    low, middle, high = TIERS["orin-nano"], TIERS["orin-nx"], TIERS["agx-orin"]
    for name in ("compute_flops", "active_w", "idle_w", "memory_bits"):
        assert getattr(low, name) < getattr(middle, name) < getattr(high, name)
    for name, device in TIERS.items():
        assert device.tier == name
        assert device.idle_w < device.active_w
    assert low.memory_bits == 8 * 8 * 2**30
