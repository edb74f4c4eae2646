"""What a backbone costs as measured is what it costs by formula, and by hand."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, ViTConfig, ViTModel

from iovsim.domain import Architecture
from iovsim.energy import (
    ARCHITECTURES,
    ENCODERS,
    ROLES,
    Encoder,
    text_encoder,
    vision_transformer,
    with_head,
    with_targets,
)
from iovsim.energy.architectures import adapted_widths, kept_bits
from iovsim.errors import TrainingError
from iovsim.learning import backbone as backbones
from iovsim.learning.backbone import Backbone
from iovsim.learning.footprint import footprint
from iovsim.learning.pretrained import ReadOut, from_folder
from iovsim.learning.readers import PictureReader, TokenInputs
from iovsim.learning.roadvit import roadvit
from iovsim.learning.samples import Pictures, Texts

Folder = Callable[[str], Path]
USUAL = ("query", "value")
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
@pytest.mark.parametrize("roles", [USUAL, ROLES, ("mlp_in",)], ids="-".join)
def test_measurement_and_formula_agree(
    measured: Callable[[Encoder], Backbone],
    inputs: Pictures | Texts,
    formula: Callable[[str, Encoder], Architecture],
    encoder: Encoder,
    roles: tuple[str, ...],
) -> None:
    found, due = footprint(measured(encoder), inputs, roles, 43), formula("any", encoder)
    pooler = 0 if measured is vit else encoder.width**2 + encoder.width  # counted by formula, not read by a backbone
    assert found.base_parameters == due.base_parameters - pooler
    assert found.forward_flops == pytest.approx(due.forward_flops - 2 * pooler, rel=1e-3)
    assert found.widths == adapted_widths(encoder, roles)
    assert found.tokens == due.tokens
    assert found.head_parameters == 43 * encoder.width + 43
    assert found.full_activation_bits == pytest.approx(due.full_activation_bits, rel=0.07)  # embedding: one of 3 layers
    if roles == ("mlp_in",):  # attention of the first layer is frozen and has nothing frozen to pass on to
        assert found.activation_bits < kept_bits(encoder, roles)
    else:
        assert found.activation_bits == pytest.approx(kept_bits(encoder, roles), rel=0.06)


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


def test_text_is_charged_at_its_mean_length(saved: Folder, sentences: Texts) -> None:
    backbone = from_folder(saved("bert"), "bert", max_tokens=32)
    lengths = backbone.prepare(sentences).lengths
    found = footprint(backbone, sentences, USUAL, 3)
    assert found.tokens == lengths[lengths >= lengths.mean()].min()
    assert lengths.min() < found.tokens < lengths.max()
    long_ones = tuple(sentences[row] for row in np.flatnonzero(lengths == lengths.max()))
    assert footprint(backbone, long_ones, USUAL, 3).forward_flops > found.forward_flops


def test_measuring_leaves_no_trace(saved: Folder, sentences: Texts) -> None:
    backbone = from_folder(saved("bert"), "bert", max_tokens=32)
    first = footprint(backbone, sentences, ROLES, 3)
    assert not any(parameter.requires_grad for parameter in backbone.trunk.parameters())
    assert not any(module._forward_pre_hooks for module in backbone.trunk.modules())
    assert footprint(backbone, sentences, ROLES, 3) == first


def test_unknown_targets_and_inputs_of_another_kind() -> None:
    with pytest.raises(TrainingError, match=r"backbone roadvit, targets: no layer has the role 'quer'; did you mean"):
        footprint(roadvit(), PICTURE, ("quer",), 2)
    with pytest.raises(TrainingError, match="it reads pictures, found sentences"):
        footprint(roadvit(), TEXT, USUAL, 2)


def test_roles_have_the_same_names_for_charging_and_for_training() -> None:
    assert tuple(backbones.ROLES) == ROLES


@pytest.mark.parametrize("name", ["roadvit"])
def test_a_scenario_may_charge_the_backbone_or_its_formula(name: str) -> None:
    found, due = footprint(roadvit(), PICTURE, ROLES, 7), with_targets(with_head(ARCHITECTURES[name], 7), ROLES)
    assert (found.name, found.widths, found.head_parameters) == (due.name, due.widths, due.head_parameters)
