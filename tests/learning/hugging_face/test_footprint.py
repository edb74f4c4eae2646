"""What a backbone costs as measured is what it costs by formula, and by hand."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count
from transformers import BertConfig, BertModel, ViTConfig, ViTModel

from iovsim.domain import ROLES, Architecture, LoraRule
from iovsim.energy import (
    ARCHITECTURES,
    ENCODERS,
    Encoder,
    text_encoder,
    train_flops,
    vision_transformer,
    with_head,
    with_lora,
)
from iovsim.energy.architectures import adapted_widths, kept_bits
from iovsim.errors import TrainingError
from iovsim.learning.backbones.backbone import Backbone
from iovsim.learning.backbones.pretrained import ReadOut, from_folder
from iovsim.learning.backbones.readers import PictureReader, TokenInputs
from iovsim.learning.backbones.roadvit import roadvit
from iovsim.learning.data.samples import Pictures, Texts
from iovsim.learning.footprint import footprint, usual_and_long, usual_and_long_tokens
from iovsim.learning.lora import peft_model

Folder = Callable[[str], Path]
USUAL = LoraRule(alpha=1.0)
EVERYWHERE = LoraRule(alpha=1.0, targets=ROLES)
PICTURE: Pictures = np.zeros((1, 32, 32, 3), dtype=np.uint8)
TEXT: Texts = (("any",),)


def tokens_of_length(length: int) -> Callable[[Pictures | Texts], TokenInputs]:
    return lambda inputs: TokenInputs(np.ones((1, length), dtype=np.int64), None, np.array([length]))


@functools.cache
def vit(encoder: Encoder, attention: str = "sdpa") -> Backbone:
    config = ViTConfig(
        hidden_size=encoder.width,
        num_hidden_layers=encoder.depth,
        num_attention_heads=encoder.heads,
        intermediate_size=encoder.mlp,
    )
    model = ViTModel(config, add_pooling_layer=False)
    model.set_attn_implementation(attention)
    reader = PictureReader("vit", torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1), side=224, patches=196)
    return Backbone("vit", ReadOut(model, "cls"), encoder.width, "", reader)


@functools.cache
def bert(encoder: Encoder, attention: str = "sdpa") -> Backbone:
    config = BertConfig(
        hidden_size=encoder.width,
        num_hidden_layers=encoder.depth,
        num_attention_heads=encoder.heads,
        intermediate_size=encoder.mlp,
    )
    model = BertModel(config, add_pooling_layer=False)
    model.set_attn_implementation(attention)
    return Backbone("bert", ReadOut(model, "mean"), encoder.width, "", tokens_of_length(encoder.tokens))


# Base models with two of their twelve layers: costs are the same in each
VIT_B = Encoder(width=768, depth=2, heads=12, tokens=197)
BERT_B = Encoder(width=768, depth=2, heads=12, tokens=128)
MINILM = ENCODERS["minilm-l6-h384"]
VIT_TI = ENCODERS["vit-tiny-patch16-224"]


@pytest.mark.parametrize(
    ("measured", "inputs", "formula", "encoder"),
    [
        (vit, PICTURE, vision_transformer, VIT_B),
        (vit, PICTURE, vision_transformer, VIT_TI),
        (bert, TEXT, text_encoder, BERT_B),
        (bert, TEXT, text_encoder, MINILM),
    ],
    ids=["ViT-B/16, two layers", "ViT-Ti/16", "BERT-base, two layers", "MiniLM-L6-H384"],
)
@pytest.mark.parametrize(
    ("roles", "dropout"),
    [(("query", "value"), 0.0), (("query", "value"), 0.1), (ROLES, 0.0), (ROLES, 0.1), (("mlp_in",), 0.0)],
    ids=["usual", "usual, dropout", "all", "all, dropout", "mlp_in"],
)
def test_measurement_and_formula_agree(
    measured: Callable[[Encoder], Backbone],
    inputs: Pictures | Texts,
    formula: Callable[[str, Encoder], Architecture],
    encoder: Encoder,
    roles: tuple[str, ...],
    dropout: float,
) -> None:
    rule = LoraRule(alpha=1.0, dropout=dropout, targets=roles)
    found, due = footprint(measured(encoder), inputs, rule, 43), formula("any", encoder)
    pooler = 0 if measured is vit else encoder.width**2 + encoder.width  # counted by formula, not read by a backbone
    assert found.base_parameters == due.base_parameters - pooler
    assert found.forward_flops == pytest.approx(due.forward_flops - 2 * pooler, rel=1e-3)
    assert found.widths == adapted_widths(encoder, roles)
    assert found.tokens == found.long_tokens == due.tokens
    assert found.head_parameters == 43 * encoder.width + 43
    assert found.full_activation_bits == pytest.approx(due.full_activation_bits, rel=0.07)  # embedding: one of 3 layers
    kept = kept_bits(encoder, roles, dropout=dropout > 0)
    if dropout:  # what the first layer reads has no gradient, so no mask is kept for it
        kept -= 32 * encoder.tokens * encoder.width * len({"query", "key", "value"}.intersection(roles))
    if roles == ("mlp_in",):  # attention of the first layer is frozen and has nothing frozen to pass on to
        assert found.activation_bits < kept
    else:
        assert found.activation_bits == pytest.approx(kept, rel=0.06)


def test_roadvit_saves_work_that_the_formula_charges() -> None:
    found, due = footprint(roadvit(), PICTURE, USUAL, 43), ARCHITECTURES["roadvit"]
    stem = 27 * 32 * 256 + 288 * 64 * 64 + 576 * 128 * 16
    layer = 4 * 17 * 128**2 + 2 * 17**2 * 128 + 8 * 17 * 128**2
    last = 2 * 17 * 128**2 + 2 * 128**2 + 2 * 17 * 128 + 8 * 128**2  # keys and values of 17 tokens, the rest of one
    assert found.forward_flops == 2 * (stem + 5 * layer + last)
    assert found.base_parameters == due.base_parameters
    assert found.head_parameters == due.head_parameters
    assert found.widths == due.widths
    assert found.tokens == round((11 * 17 + 1) / 12)
    assert found.activation_bits == pytest.approx(due.activation_bits, rel=0.25)
    assert found.full_activation_bits == pytest.approx(due.full_activation_bits, rel=0.25)


@pytest.mark.parametrize(
    ("make", "inputs", "encoder"),
    [(vit, PICTURE, replace(VIT_TI, depth=4)), (bert, TEXT, replace(MINILM, depth=4))],
    ids=["ViT-Ti/16, four layers", "MiniLM-L6-H384, four layers"],
)
@pytest.mark.parametrize("rule", [USUAL, replace(EVERYWHERE, dropout=0.1)], ids=["usual", "all, dropout"])
def test_each_block_from_the_lowest_adapted_up_costs_what_the_formula_says(
    make: Callable[[Encoder], Backbone], inputs: Pictures | Texts, encoder: Encoder, rule: LoraRule
) -> None:
    one, three, whole = (footprint(make(encoder), inputs, replace(rule, top_blocks=top), 43) for top in (1, 3, None))
    blocks = {count: replace(encoder, depth=count) for count in (1, 2, 3)}
    for found, count in ((one, 1), (three, 3)):
        assert found.forward_flops == whole.forward_flops
        assert found.backward_flops == blocks[count].flops
        assert found.widths == adapted_widths(blocks[count], rule.targets)
        assert (found.base_parameters, found.full_activation_bits) == (
            whole.base_parameters,
            whole.full_activation_bits,
        )
        kept = kept_bits(blocks[count], rule.targets, dropout=rule.dropout > 0)
        # the last norm of a ViT keeps its input, and the lowest block's dropout no masks of what has no gradient
        assert abs(found.activation_bits - kept) < 1.1 * 32 * encoder.tokens * encoder.width * (
            3 if rule.dropout else 1
        )
    for found, count in ((one, 1), (three, 3), (whole, 4)):
        assert (found.blocks, found.block_flops) == (count, encoder.flops / encoder.depth)
        assert found.block_parameters == 12 * encoder.width**2 + 13 * encoder.width
    assert whole.backward_flops == whole.forward_flops
    two_blocks = kept_bits(blocks[2], rule.targets, dropout=rule.dropout > 0)
    assert three.activation_bits - one.activation_bits == pytest.approx(two_blocks, rel=0.01)


def test_the_top_blocks_of_roadvit_by_hand() -> None:
    found = {top: footprint(roadvit(), PICTURE, replace(USUAL, top_blocks=top), 43) for top in (1, 2, 6, None)}
    layer = 4 * 17 * 128**2 + 2 * 17**2 * 128 + 8 * 17 * 128**2
    last = 2 * 17 * 128**2 + 2 * 128**2 + 2 * 17 * 128 + 8 * 128**2  # keys and values of 17 tokens, the rest of one
    assert found[6] == found[None]
    assert [found[top].backward_flops for top in (1, 2)] == [2 * last, 2 * (layer + last)]
    assert found[6].backward_flops == found[6].forward_flops == found[1].forward_flops
    assert [(model.tokens, len(model.widths)) for model in found.values()] == [(9, 2), (13, 4), (16, 12), (16, 12)]
    # Of 17 tokens the first norm's result, keys and values; of the class token alone the softmax, the second norm's
    # input and statistics and the MLP's middle; after the block the last norm's input and statistics and the head's
    # input
    in_the_last = 3 * 17 * 128 + 4 * 17 + (128 + 2) + 512 + (128 + 2) + 128
    assert found[1].activation_bits == 32 * in_the_last
    a_block = kept_bits(replace(ENCODERS["roadvit"], depth=1), USUAL.targets)
    assert (found[6].activation_bits - found[2].activation_bits) / 4 == pytest.approx(a_block, rel=0.05)


def attention_flops(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    flops: int = sdpa_flop_count(query, key, value)  # type: ignore[no-untyped-call]
    return flops


def attention_backward_flops(result: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    flops: int = sdpa_backward_flop_count(result, query, key, value)  # type: ignore[no-untyped-call]
    return flops


FUSED_ON_A_CPU = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: attention_backward_flops,
}


@pytest.mark.parametrize("top", [1, 3])
@pytest.mark.parametrize("name", ["roadvit", "vit", "bert"])
def test_torch_counts_the_flops_of_a_step_as_they_are_charged(name: str, top: int) -> None:
    makers: dict[str, Callable[[], Backbone]] = {
        "roadvit": roadvit,
        "vit": lambda: vit(replace(VIT_TI, depth=4)),
        "bert": lambda: bert(replace(MINILM, depth=4)),
    }
    backbone, inputs, rule = makers[name](), TEXT if name == "bert" else PICTURE, replace(USUAL, top_blocks=top)
    model = peft_model(backbone, 5, rule, 8)
    sample = backbone.prepare(inputs).batch(np.array([0]))
    with FlopCounterMode(display=False, custom_mapping=FUSED_ON_A_CPU) as flops:
        model(*sample).sum().backward()
    # Fused attention works its weights out again; the lowest block's queries, keys and values pass nothing on
    assert train_flops(footprint(backbone, inputs, rule, 5), 8, 1) == pytest.approx(flops.get_total_flops(), rel=0.06)


def test_attention_is_counted_however_it_is_computed() -> None:
    for make, inputs in ((vit, PICTURE), (bert, TEXT)):
        encoder = Encoder(width=64, depth=2, heads=2, tokens=197 if make is vit else 128)
        fused, written_out = (footprint(make(encoder, how), inputs, USUAL, 2) for how in ("sdpa", "eager"))
        assert fused.forward_flops == written_out.forward_flops
        # Softmax weights instead of normalisers and results; the first layer's keys need no gradient, so no queries
        more = 2 * encoder.tokens * (2 * encoder.tokens - 2 - 64) - encoder.tokens * 64
        assert written_out.activation_bits - fused.activation_bits == 32 * more


def test_memory_of_a_tiny_bert_by_hand() -> None:
    tokens, width, mlp, heads, depth = 10, 16, 32, 2, 3
    encoder = Encoder(width=width, depth=depth, heads=heads, tokens=tokens, mlp_ratio=2)
    found = footprint(bert(encoder), TEXT, USUAL, 5)
    norms = 2 * 2 * tokens  # mean and spread of a token, twice a layer
    layer = 7 * tokens * width + heads * tokens + tokens * mlp + norms
    # averaging keeps the mask and its sum, the head its input
    assert found.activation_bits == 32 * (depth * layer + tokens + 1 + width)


def test_layers_need_not_see_equally_many_tokens(saved: Folder, pictures: Pictures) -> None:
    found = footprint(from_folder(saved("swin"), "swin"), pictures, USUAL, 3)
    assert found.widths == ((8, 8),) * 4 + ((16, 16),) * 2
    # two layers of 8 x 8 tokens, one of 4 x 4, twice as wide
    assert found.tokens == (64 * 4 * 16 + 16 * 2 * 32) / (4 * 16 + 2 * 32)
    assert found.head_parameters == 3 * 16 + 3


def test_work_is_that_of_usual_texts_and_memory_that_of_long_ones(saved: Folder, sentences: Texts) -> None:
    backbone = from_folder(saved("bert"), "bert", max_tokens=32)
    lengths = backbone.prepare(sentences).lengths
    found = footprint(backbone, sentences, USUAL, 3)
    assert found.tokens == lengths[lengths >= lengths.mean()].min() < found.long_tokens == lengths.max()
    assert lengths.min() < found.tokens
    assert usual_and_long_tokens(backbone, sentences) == (found.tokens, found.long_tokens)
    usual, long = (
        footprint(backbone, tuple(sentences[row] for row in np.flatnonzero(lengths == count)), USUAL, 3)
        for count in (found.tokens, found.long_tokens)
    )
    assert usual.forward_flops == found.forward_flops < long.forward_flops
    assert usual.activation_bits < found.activation_bits == long.activation_bits
    assert usual.full_activation_bits < found.full_activation_bits == long.full_activation_bits


def test_a_long_text_is_longer_than_99_in_100() -> None:
    lengths = np.concatenate((np.full(50, 10), np.arange(100, 250), [4000]))  # mean 152.6; 199 of 201 below 249
    assert [lengths[place] for place in usual_and_long(lengths)] == [153, 248]
    assert usual_and_long(np.array([3, 10])) == (1, 1)
    assert usual_and_long(np.full(5, 7)) == (0, 0)


def test_measuring_leaves_no_trace(saved: Folder, sentences: Texts) -> None:
    backbone = from_folder(saved("bert"), "bert", max_tokens=32)
    rule = LoraRule(alpha=1.0, dropout=0.1, targets=ROLES)
    state = torch.get_rng_state()
    first = footprint(backbone, sentences, rule, 3)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(parameter.requires_grad for parameter in backbone.trunk.parameters())
    assert not any(module._forward_pre_hooks for module in backbone.trunk.modules())
    assert footprint(backbone, sentences, rule, 3) == first


def test_unknown_targets_and_inputs_of_another_kind() -> None:
    with pytest.raises(
        TrainingError, match=r"backbone roadvit, lora, key 'targets': no layer has the role 'quer'; did you mean"
    ):
        footprint(roadvit(), PICTURE, LoraRule(alpha=1.0, targets=("quer",)), 2)
    with pytest.raises(TrainingError, match="it reads pictures, found sentences"):
        footprint(roadvit(), TEXT, USUAL, 2)


@pytest.mark.parametrize("name", ["roadvit"])
def test_a_scenario_may_charge_the_backbone_or_its_formula(name: str) -> None:
    found = footprint(roadvit(), PICTURE, EVERYWHERE, 7)
    due = with_lora(with_head(ARCHITECTURES[name], 7), EVERYWHERE)
    assert (found.name, found.widths, found.head_parameters) == (due.name, due.widths, due.head_parameters)
