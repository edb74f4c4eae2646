"""Sizes and FLOPs of the charged models against the figures their authors and libraries publish."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from iovsim.domain import ROLES, LoraRule
from iovsim.energy import (
    ARCHITECTURES,
    ENCODERS,
    lora_parameters,
    update_bits,
    vision_transformer,
    with_blocks,
    with_head,
    with_lora,
    with_tokens,
)
from iovsim.errors import ScenarioError


def on(*roles: str, dropout: float = 0.0, top_blocks: int | None = None) -> LoraRule:
    return LoraRule(alpha=1.0, dropout=dropout, targets=roles, top_blocks=top_blocks)


@pytest.mark.parametrize(
    ("name", "parameters", "gmacs"),
    [
        # with a head of 1000 classes: torchvision's vit_b_16 has 86,567,656 parameters and 17.56 GMACs,
        # vit_l_16 304,326,632 and 61.55;
        # DeiT-S and DeiT-Ti (Touvron et al. 2021, table 5): 22 M and 5 M; timm: 22,050,664, 4.6 and 5,717,416, 1.26
        ("vit-large-patch16-224", 304_326_632, 61.55),
        ("vit-base-patch16-224", 86_567_656, 17.56),
        ("vit-small-patch16-224", 22_050_664, 4.60),
        ("vit-tiny-patch16-224", 5_717_416, 1.254),
    ],
)
def test_vision_models(name: str, parameters: int, gmacs: float) -> None:
    model = ARCHITECTURES[name]
    assert model.base_parameters + model.head_parameters == parameters
    assert model.forward_flops == pytest.approx(2e9 * gmacs, rel=2e-3)


@pytest.mark.parametrize(
    ("name", "parameters"),
    # transformers' BertModel with these configurations, pooler included
    [("bert-base-uncased", 109_482_240), ("minilm-l6-h384", 22_713_216)],
)
def test_text_models(name: str, parameters: int) -> None:
    assert ARCHITECTURES[name].base_parameters == parameters


def test_bert_flops() -> None:
    # TinyBERT (Jiao et al. 2020, table 1) gives BERT-base 22.5 GFLOPs at 128 tokens
    assert ARCHITECTURES["bert-base-uncased"].forward_flops == pytest.approx(22.5e9, rel=0.01)


def test_roadvit_by_hand() -> None:
    model = ARCHITECTURES["roadvit"]
    stem = 27 * 32 * 256 + 288 * 64 * 64 + 576 * 128 * 16
    layer = 4 * 17 * 128**2 + 2 * 17**2 * 128 + 8 * 17 * 128**2
    assert model.forward_flops == 2 * (stem + 6 * layer)
    assert lora_parameters(model, 8) == 8 * 256 * 12
    assert model.tokens == 17
    assert model.base_parameters + model.head_parameters == 1_291_435  # what the trained network counts, 43 classes


def test_the_lora_size_of_the_rank_scheduling_paper() -> None:
    # Its code adapts 49 square modules of 768 in single precision: 301,056 r bytes, 2.41 MB at r = 8
    model = replace(ARCHITECTURES["vit-base-patch16-224"], widths=((768, 768),) * 49, head_parameters=0)
    assert [update_bits(model, rank) for rank in (8, 33)] == [8 * 301_056 * 8, 8 * 301_056 * 33]


def test_a_head_follows_the_classes() -> None:
    model = with_head(ARCHITECTURES["vit-base-patch16-224"], 43)
    assert model.head_parameters == 768 * 43 + 43
    assert model.base_parameters == ARCHITECTURES["vit-base-patch16-224"].base_parameters


def test_other_targets_widen_what_is_adapted() -> None:
    model = ARCHITECTURES["vit-base-patch16-224"]
    assert with_lora(model, on("value", "query")) == model
    wide = with_lora(model, on("query", "mlp_out", "mlp_in", "mlp_in"))
    assert wide.widths[:3] == ((768, 768), (768, 3072), (3072, 768))
    assert len(wide.widths) == 36
    assert lora_parameters(with_lora(model, on(*ROLES)), 8) == 8 * 12 * (4 * 1536 + 2 * 3840)
    assert wide.base_parameters == model.base_parameters


@pytest.mark.parametrize(
    ("roles", "more"),
    [
        (("key",), 0),  # reads what query and value read
        (("query", "value", "output"), 0),  # reads what attention keeps anyway
        (("query", "mlp_in"), 197 * 768),
        (("query", "mlp_out"), 197 * 3072),
        (("mlp_in",), 0),
    ],
)
def test_other_targets_keep_what_they_read(roles: tuple[str, ...], more: int) -> None:
    model = ARCHITECTURES["vit-base-patch16-224"]
    assert with_lora(model, on(*roles)).activation_bits - model.activation_bits == 32 * 12 * more


@pytest.mark.parametrize(
    ("roles", "kept"),
    [
        (("query",), 2 * 768),
        (("query", "key", "value"), 6 * 768),
        (("query", "output", "mlp_in", "mlp_in"), 6 * 768),
        (("mlp_out",), 2 * 3072),
    ],
)
def test_adapters_that_drop_out_keep_an_input_and_a_mask_each(roles: tuple[str, ...], kept: int) -> None:
    model = ARCHITECTURES["vit-base-patch16-224"]
    bare = model.activation_bits - 32 * 12 * 197 * 768  # without what query and value read together
    for dropout in (0.1, 0.5):
        assert with_lora(model, on(*roles, dropout=dropout)).activation_bits == bare + 32 * 12 * 197 * kept


@pytest.mark.parametrize("top", [1, 2, 11])
def test_top_blocks_of_vit_by_hand(top: int) -> None:
    model = ARCHITECTURES["vit-base-patch16-224"]
    found = with_lora(model, on("query", "mlp_in", top_blocks=top))
    layer = 4 * 197 * 768**2 + 2 * 197**2 * 768 + 8 * 197 * 768**2
    assert found.backward_flops == 2 * top * layer  # what cuts the picture into patches lies below
    assert found.widths == ((768, 768), (768, 3072)) * top
    assert found.activation_bits == 32 * top * (8 * 197 * 768 + 12 * 197 + 197 * 3072)
    everywhere = with_lora(model, on("query", "mlp_in"))
    assert found.blocks == top
    assert replace(found, widths=everywhere.widths, activation_bits=0.0, backward_flops=0.0, blocks=12) == replace(
        everywhere, activation_bits=0.0, backward_flops=0.0
    )


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_all_blocks_are_as_many_as_there_are(name: str) -> None:
    model, depth = ARCHITECTURES[name], ENCODERS[name].depth
    rule = on("key", "mlp_out", dropout=0.1)
    assert with_lora(model, replace(rule, top_blocks=depth)) == with_lora(model, rule)
    assert with_lora(model, rule).backward_flops == model.forward_flops
    costs = [with_lora(model, replace(rule, top_blocks=top)) for top in range(1, depth + 1)]
    for fewer, more in pairwise(costs):
        assert fewer.backward_flops < more.backward_flops
        assert fewer.activation_bits < more.activation_bits


def test_the_pooler_lies_above_all_blocks() -> None:
    layer = 4 * 128 * 768**2 + 2 * 128**2 * 768 + 8 * 128 * 768**2
    found = with_lora(ARCHITECTURES["bert-base-uncased"], on("value", top_blocks=3))
    assert found.backward_flops == 2 * (3 * layer + 768**2)


def test_dropout_changes_nothing_of_full_training() -> None:
    model = ARCHITECTURES["bert-base-uncased"]
    dropping = with_lora(model, on("query", "value", dropout=0.1))
    assert dropping.activation_bits == pytest.approx(1.2724 * model.activation_bits, rel=1e-3)
    assert replace(dropping, activation_bits=model.activation_bits) == model


def test_texts_are_charged_at_their_own_length() -> None:
    model = ARCHITECTURES["bert-base-uncased"]
    short = with_tokens(model, 25, 40)
    layer = 4 * 25 * 768**2 + 2 * 25**2 * 768 + 8 * 25 * 768**2
    assert short.forward_flops == 2 * (768**2 + 12 * layer)
    assert (short.tokens, short.long_tokens) == (25, 40)
    a_layer = 7 * 40 * 768 + 12 * 40 + 40 * 3072
    assert short.activation_bits == pytest.approx(32 * 12 * a_layer)
    assert short.full_activation_bits == pytest.approx(32 * 12 * (8 * 40 * 768 + 12 * 40 + 2 * 40 * 3072))
    assert (short.widths, short.base_parameters) == (model.widths, model.base_parameters)
    again = with_tokens(short, 128, 128)
    assert again == replace(
        model, activation_bits=again.activation_bits, full_activation_bits=again.full_activation_bits
    )
    assert again.activation_bits == pytest.approx(model.activation_bits)


@pytest.mark.parametrize("top", [None, 1, 4])
def test_adapters_and_lengths_may_be_set_in_any_order(top: int | None) -> None:
    model, rule = ARCHITECTURES["minilm-l6-h384"], on("key", "mlp_out", dropout=0.1, top_blocks=top)
    one, other = with_lora(with_tokens(model, 30, 50), rule), with_tokens(with_lora(model, rule), 30, 50)
    assert one.activation_bits == pytest.approx(other.activation_bits)
    assert one.backward_flops == pytest.approx(other.backward_flops)
    neither = [replace(model, activation_bits=0.0, backward_flops=0.0) for model in (one, other)]
    assert neither[0] == neither[1]


@pytest.mark.parametrize("name", ["vit-base-patch16-224", "vit-tiny-patch16-224", "roadvit"])
def test_pictures_have_as_many_tokens_as_ever(name: str) -> None:
    assert with_tokens(ARCHITECTURES[name], 25, 40) == ARCHITECTURES[name]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_adapters_on_every_layer_keep_what_full_training_keeps(name: str) -> None:
    model = with_lora(ARCHITECTURES[name], on(*ROLES))
    assert model.activation_bits == model.full_activation_bits


def test_a_head_stays_as_wide_whatever_is_adapted() -> None:
    model = with_lora(ARCHITECTURES["minilm-l6-h384"], on("mlp_out"))
    assert with_head(model, 4).head_parameters == 384 * 4 + 4


def test_unknown_targets_and_models() -> None:
    model = ARCHITECTURES["roadvit"]
    with pytest.raises(ScenarioError, match="role 'queri'; did you mean 'query'"):
        with_lora(model, on("queri"))
    with pytest.raises(ScenarioError, match="targets: empty"):
        with_lora(model, on())
    for top in (0, -1, 7):
        with pytest.raises(
            ScenarioError,
            match=f"top_blocks: found {top}, but roadvit has 6 transformer blocks; set 1 to 6, or charge a deeper",
        ):
            with_lora(model, on("query", top_blocks=top))
    with pytest.raises(ScenarioError, match=r"'roadvitt': no formula is known.*did you mean 'roadvit'"):
        with_lora(replace(model, name="roadvitt"), on("query"))
    with pytest.raises(ScenarioError, match="no formula is known"):
        with_head(replace(model, name="my/model"), 2)
    with pytest.raises(ScenarioError, match="no formula is known"):
        with_tokens(replace(model, name="my/model"), 2, 3)


def test_names_are_keys() -> None:
    assert {name: model.name for name, model in ARCHITECTURES.items()} == {name: name for name in ARCHITECTURES}


@pytest.mark.parametrize("top", [None, 4])
def test_blocks_that_are_left_out_cost_nothing(top: int | None) -> None:
    """By hand for ViT-B/16, and equal to a shallower model where all blocks are adapted."""
    model = with_lora(ARCHITECTURES["vit-base-patch16-224"], on("query", "value", top_blocks=top))
    assert with_blocks(model, 1.0) == model
    half = with_blocks(model, 0.5)
    adapted = top or 12
    block = 4 * 197 * 768**2 + 2 * 197**2 * 768 + 8 * 197 * 768**2
    assert model.block_flops == 2 * block
    assert half.blocks == adapted // 2
    assert half.forward_flops == model.forward_flops - adapted * block
    assert half.backward_flops == model.backward_flops - adapted * block
    assert len(half.widths) == adapted
    assert update_bits(half, 8) == 32 * (8 * 1536 * adapted + model.head_parameters)
    assert half.base_parameters == model.base_parameters - adapted // 2 * (12 * 768**2 + 13 * 768)
    assert half.activation_bits == model.activation_bits / 2
    if top is None:
        shallow = vision_transformer("shallow", replace(ENCODERS["vit-base-patch16-224"], depth=6))
        assert replace(half, name="shallow", full_activation_bits=0.0) == replace(shallow, full_activation_bits=0.0)
    assert with_blocks(model, 1e-3).blocks == 1


def test_of_a_model_without_known_blocks_none_can_be_left_out() -> None:
    with pytest.raises(ScenarioError, match="its blocks are not known"):
        with_blocks(replace(ARCHITECTURES["roadvit"], blocks=0), 0.5)


def test_blocks_of_longer_texts_cost_more() -> None:
    text = with_lora(ARCHITECTURES["bert-base-uncased"], on("query"))
    usual = with_tokens(text, mean=64, long=128)
    halves = with_blocks(text, 0.5), with_blocks(usual, 0.5)
    for half, model in zip(halves, (text, usual), strict=True):
        pooler = 2 * 768**2
        assert half.forward_flops - pooler == pytest.approx((model.forward_flops - pooler) / 2)
