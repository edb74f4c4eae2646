"""Sizes and FLOPs of the charged models against the figures their authors and libraries publish."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iovsim.energy import ARCHITECTURES, ROLES, lora_parameters, update_bits, with_head, with_targets
from iovsim.errors import ScenarioError


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
    assert [update_bits(model, rank) for rank in (8, 33)] == [8 * 301_056 * 8, 8 * 301_056 * 33]


def test_a_head_follows_the_classes() -> None:
    model = with_head(ARCHITECTURES["vit-base-patch16-224"], 43)
    assert model.head_parameters == 768 * 43 + 43
    assert model.base_parameters == ARCHITECTURES["vit-base-patch16-224"].base_parameters


def test_other_targets_widen_what_is_adapted() -> None:
    model = ARCHITECTURES["vit-base-patch16-224"]
    assert with_targets(model, ("value", "query")) == model
    wide = with_targets(model, ("query", "mlp_out", "mlp_in", "mlp_in"))
    assert wide.widths[:3] == ((768, 768), (768, 3072), (3072, 768))
    assert len(wide.widths) == 36
    assert lora_parameters(with_targets(model, ROLES), 8) == 8 * 12 * (4 * 1536 + 2 * 3840)
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
    assert with_targets(model, roles).activation_bits - model.activation_bits == 32 * 12 * more


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_adapters_on_every_layer_keep_what_full_training_keeps(name: str) -> None:
    model = with_targets(ARCHITECTURES[name], ROLES)
    assert model.activation_bits == model.full_activation_bits


def test_a_head_stays_as_wide_whatever_is_adapted() -> None:
    model = with_targets(ARCHITECTURES["minilm-l6-h384"], ("mlp_out",))
    assert with_head(model, 4).head_parameters == 384 * 4 + 4


def test_unknown_targets_and_models() -> None:
    model = ARCHITECTURES["roadvit"]
    with pytest.raises(ScenarioError, match="role 'queri'; did you mean 'query'"):
        with_targets(model, ("queri",))
    with pytest.raises(ScenarioError, match="targets: empty"):
        with_targets(model, ())
    with pytest.raises(ScenarioError, match=r"'roadvitt': no formula is known.*did you mean 'roadvit'"):
        with_targets(replace(model, name="roadvitt"), ("query",))
    with pytest.raises(ScenarioError, match="no formula is known"):
        with_head(replace(model, name="my/model"), 2)


def test_names_are_keys() -> None:
    assert {name: model.name for name, model in ARCHITECTURES.items()} == {name: name for name in ARCHITECTURES}
