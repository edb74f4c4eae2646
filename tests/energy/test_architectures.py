"""Sizes and FLOPs of the charged models against the figures their authors and libraries publish."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iovsim.energy import ARCHITECTURES, adapter_bits, lora_parameters, with_head


@pytest.mark.parametrize(
    ("name", "parameters", "gmacs"),
    [
        # with a head of 1000 classes: torchvision's vit_b_16 has 86,567,656 parameters and 17.56 GMACs;
        # DeiT-S and DeiT-Ti (Touvron et al. 2021, table 5): 22 M and 5 M; timm: 22,050,664, 4.6 and 5,717,416, 1.26
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
    assert [adapter_bits(model, rank) for rank in (8, 33)] == [8 * 301_056 * 8, 8 * 301_056 * 33]


def test_a_head_follows_the_classes() -> None:
    model = with_head(ARCHITECTURES["vit-base-patch16-224"], 43)
    assert model.head_parameters == 768 * 43 + 43
    assert model.base_parameters == ARCHITECTURES["vit-base-patch16-224"].base_parameters


def test_names_are_keys() -> None:
    assert {name: model.name for name, model in ARCHITECTURES.items()} == {name: name for name in ARCHITECTURES}
