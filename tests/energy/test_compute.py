"""Cost of LoRA training: arithmetic by hand, and the shape of its dependence on rank."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from iovsim.domain import Architecture, LoraRule, Recipe, Task, Tuning
from iovsim.energy import (
    ARCHITECTURES,
    TIERS,
    authors_train_flops,
    feasible_ranks,
    forward_flops,
    lora_flops,
    lora_parameters,
    optimiser_bits,
    train_flops,
    train_j,
    train_s,
    trained_parameters,
    training_memory_bits,
    update_bits,
    with_head,
    with_lora,
    with_tokens,
)
from iovsim.errors import ScenarioError

VIT = with_head(ARCHITECTURES["vit-base-patch16-224"], 10)
NANO = TIERS["orin-nano"]


def task(
    charged: Architecture, batch: int, ranks: tuple[int, ...] = (4, 8, 16, 32), *, optimiser: str = "adamw"
) -> Task:
    return Task(
        task="t",
        classes=10,
        ranks=ranks,
        lora=LoraRule(alpha=8.0),
        recipe=Recipe(learning_rate=1e-3, batch_size=batch, optimiser=optimiser),
        learning_rates=dict.fromkeys(Tuning, 1e-3),
        local_epochs=1,
        local_head=False,
        round_energy_j=1.0,
        charged=charged,
    )


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


def test_no_gradient_goes_below_the_lowest_adapted_block() -> None:
    top = with_lora(VIT, LoraRule(alpha=8.0, top_blocks=3))
    block = 2 * (4 * 197 * 768**2 + 2 * 197**2 * 768 + 8 * 197 * 768**2)
    adapters = 2 * 197 * 8 * 1536 * 2 * 3
    assert train_flops(top, 8, 5) == 5 * (VIT.forward_flops + 3 * block + 3 * adapters)
    assert forward_flops(top, 8, 5) == 5 * (VIT.forward_flops + adapters)
    for tuning in (Tuning.HEAD, Tuning.FULL):
        assert train_flops(top, 0, 5, tuning) == train_flops(VIT, 0, 5, tuning)


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
    assert training_memory_bits(task(VIT, 0), 8) == without_samples
    a_layer = 7 * 197 * 768 + 12 * 197 + 197 * 3072
    per_sample = 32 * (12 * a_layer + 197 * 8 * 24)
    assert training_memory_bits(task(VIT, 16), 8) == without_samples + 16 * per_sample


def test_memory_of_the_reference_modes_by_hand() -> None:
    assert training_memory_bits(task(VIT, 16), 0, Tuning.HEAD) == 32 * (VIT.base_parameters + 4 * 7_690)
    a_layer = 8 * 197 * 768 + 12 * 197 + 2 * 197 * 3072
    weights = 32 * 4 * (VIT.base_parameters + 7_690)
    assert training_memory_bits(task(VIT, 16), 0, Tuning.FULL) == weights + 16 * 32 * 12 * a_layer


@pytest.mark.parametrize(
    ("tuning", "trained"),
    [(Tuning.LORA, 294_912 + 7_690), (Tuning.HEAD, 7_690), (Tuning.FULL, 85_798_656 + 7_690)],
)
def test_sgd_has_no_moments_to_keep(tuning: Tuning, trained: int) -> None:
    rank = 8 if tuning is Tuning.LORA else 0
    adam, sgd = (training_memory_bits(task(VIT, 4, optimiser=name), rank, tuning) for name in ("adamw", "sgd"))
    assert adam - sgd == 32 * 2 * trained


def test_an_unknown_optimiser() -> None:
    with pytest.raises(ScenarioError, match="task 't': unknown optimiser 'adamv'; did you mean 'adamw'"):
        training_memory_bits(task(VIT, 4, optimiser="adamv"), 8)


def test_dropout_takes_memory() -> None:
    dropping = with_lora(VIT, LoraRule(alpha=8.0, dropout=0.1))
    more = training_memory_bits(task(dropping, 16), 8) - training_memory_bits(task(VIT, 16), 8)
    assert more == 16 * 32 * 12 * 3 * 197 * 768  # two inputs and two masks instead of one input


def test_memory_is_that_of_long_texts_and_work_that_of_all() -> None:
    text = ARCHITECTURES["bert-base-uncased"]
    usual, longer = with_tokens(text, 25, 25), with_tokens(text, 25, 60)
    assert train_flops(usual, 8, 10) == train_flops(longer, 8, 10)
    weights = training_memory_bits(task(text, 0), 8)
    needs = [training_memory_bits(task(model, 16), 8) - weights for model in (usual, longer)]
    assert needs[1] == pytest.approx(60 / 25 * needs[0])


def test_feasible_ranks_are_those_that_fit() -> None:
    ranks = (4, 8, 16, 32)
    assert feasible_ranks(task(VIT, 16, ranks), NANO) == ranks
    tight = replace(NANO, memory_bits=training_memory_bits(task(VIT, 16), 16) / 0.75)
    assert feasible_ranks(task(VIT, 16, ranks), tight) == (4, 8, 16)
    assert feasible_ranks(task(VIT, 17, ranks), tight) == ()
    assert feasible_ranks(task(VIT, 16, ranks), replace(tight, memory_share=0.7)) == ()
    assert feasible_ranks(task(VIT, 16, ranks), replace(NANO, memory_bits=1e6)) == ()
    assert [feasible_ranks(task(VIT, 16, ranks), NANO, tuning) for tuning in (Tuning.HEAD, Tuning.FULL)] == [(0,), (0,)]


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
        assert feasible_ranks(task(model, batch, (rank,)), device, tuning) == (rank,)
        assert feasible_ranks(task(model, batch + 1, (rank,)), device, tuning) == ()
    assert feasible_ranks(task(model, 512), device, Tuning.HEAD) == (0,)


def test_where_memory_binds_the_rank() -> None:
    ranks = (8, 64, 128, 256)
    assert feasible_ranks(task(VIT, 14, ranks), TIERS["telematics"]) == (8, 64, 128)
    assert feasible_ranks(task(VIT, 16, ranks), TIERS["telematics"]) == ()
    everywhere = with_lora(VIT, LoraRule(alpha=8.0, targets=("query", "value", "mlp_in", "mlp_out")))
    assert feasible_ranks(task(everywhere, 9, ranks), TIERS["telematics"]) == (8, 64)


def test_fewer_blocks_need_less_memory() -> None:
    ranks = (8, 64, 256)
    top = with_lora(VIT, LoraRule(alpha=8.0, top_blocks=2))
    without_samples = 32 * (VIT.base_parameters + 4 * (8 * 2 * 1536 * 2 + 7_690))
    per_sample = 32 * (2 * (7 * 197 * 768 + 12 * 197 + 197 * 3072) + 197 * 8 * 4)
    assert training_memory_bits(task(top, 16), 8) == without_samples + 16 * per_sample
    assert update_bits(top, 8) == 32 * (8 * 2 * 1536 * 2 + 7_690)
    assert feasible_ranks(task(VIT, 64, ranks), TIERS["telematics"]) == ()
    assert feasible_ranks(task(top, 64, ranks), TIERS["telematics"]) == ranks


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


@pytest.mark.parametrize("tuning", Tuning)
def test_the_optimisers_state_is_two_moments_of_each_trained_parameter_or_nothing(tuning: Tuning) -> None:
    trained = trained_parameters(VIT, 8, tuning)
    assert optimiser_bits(task(VIT, 16), 8, tuning) == 2 * 32 * trained
    assert optimiser_bits(task(VIT, 16, optimiser="sgd"), 8, tuning) == 0
