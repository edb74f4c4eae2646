"""RoadViT: its shipped weights, its shape, its read-out, and the errors around the weights file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from iovsim.domain import ROLES
from iovsim.errors import TrainingError
from iovsim.learning.backbones.backbone import blocks_of, classifier, head_tensors, layers
from iovsim.learning.backbones.roadvit import DEPTH, TOKENS, WEIGHTS, Attention, roadvit, to_input, trained, untrained
from iovsim.rng import stream


def _pictures(n: int) -> torch.Tensor:
    return to_input(stream(0, "pictures").integers(0, 256, (n, 32, 32, 3), dtype=np.uint8))


def test_shipped_weights_are_small_and_say_where_they_come_from() -> None:
    assert WEIGHTS.stat().st_size < 8 * 2**20
    with safe_open(WEIGHTS, framework="numpy") as file:
        assert set(file.metadata()) >= {"seed", "steps", "images", "script_version"}
        assert not any(name.startswith("head.") for name in file.keys())  # noqa: SIM118  (not a mapping)


def test_a_classifier_gives_finite_logits_for_every_class() -> None:
    logits = classifier(roadvit(), 43)(_pictures(3))
    assert logits.shape == (3, 43)
    assert torch.isfinite(logits).all()


def test_leaving_out_unread_tokens_in_the_last_block_changes_nothing() -> None:
    model, x = trained(), _pictures(4)
    with torch.inference_mode():
        tokens = model.embeddings(x)
        assert tokens.shape == (4, TOKENS, 128)
        for block in model.blocks:
            tokens = block(tokens)
        assert torch.allclose(model.norm(tokens[:, 0]), model(x), atol=1e-5)
    assert len(model.blocks) == DEPTH


def test_attention_equals_torchs_own() -> None:
    attention, x = (
        trained().get_submodule("blocks.2.attention"),
        torch.randn(3, TOKENS, 128, generator=torch.Generator()),
    )
    assert isinstance(attention, Attention)
    with torch.inference_mode():
        q, k, v = (
            f(x).view(3, TOKENS, 4, 32).transpose(1, 2) for f in (attention.query, attention.key, attention.value)
        )
        mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        expected = attention.output(mixed.transpose(1, 2).reshape(3, TOKENS, 128))
        assert torch.allclose(attention(x, TOKENS), expected, atol=1e-5)


def test_the_head_is_drawn_by_seed() -> None:
    first, again, other = (head_tensors(128, 7, seed)["weight"] for seed in (3, 3, 4))
    assert first.shape == (7, 128)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.abs(first).max() <= 128**-0.5


def test_pictures_of_another_size_are_resized() -> None:
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, None, :, None] * 4, (2, 64, 64, 3))
    small = to_input(np.ascontiguousarray(ramp))
    assert small.shape == (2, 3, 32, 32)
    expected = ((8 * torch.arange(32) + 2.0) - 115.0) / 64.0
    assert torch.allclose(small[:, :, :, 1:-1], expected[1:-1].expand(2, 3, 32, 30), atol=1e-4)


def test_classifiers_share_the_frozen_weights_and_own_their_modules() -> None:
    backbone = roadvit()
    one, other = classifier(backbone, 3), classifier(backbone, 4)
    for name, weight in backbone.trunk.named_parameters():
        assert one.get_parameter(f"trunk.{name}") is weight
        assert not weight.requires_grad
    assert one.trunk is not other.trunk
    assert one.head.weight.requires_grad


def test_layers_are_found_by_role_first_block_first() -> None:
    found = layers(roadvit().trunk, ("value", "query"), "here")
    assert list(found)[:3] == ["blocks.0.attention.query", "blocks.0.attention.value", "blocks.1.attention.query"]
    assert len(found) == 2 * DEPTH
    wide = layers(roadvit().trunk, ("mlp_in", "mlp_out", "output", "key"), "here")
    assert len(wide) == 4 * DEPTH
    assert [wide[f"blocks.0.mlp.{k}"].out_features for k in (0, 2)] == [512, 128]
    with pytest.raises(TrainingError, match="here, key 'targets': no layer has the role 'qeury'; did you mean 'query'"):
        layers(roadvit().trunk, ("qeury",), "here")


def test_blocks_are_counted_from_the_last() -> None:
    trunk = roadvit().trunk
    assert blocks_of(trunk) == [f"blocks.{k}" for k in range(DEPTH)]
    assert list(layers(trunk, ("mlp_in", "query"), "here", 1)) == ["blocks.5.attention.query", "blocks.5.mlp.0"]
    assert len(layers(trunk, ("mlp_in", "query"), "here", 4)) == 8
    assert layers(trunk, ROLES, "here", DEPTH) == layers(trunk, ROLES, "here")
    with pytest.raises(TrainingError, match=r"here, key 'top_blocks': found 7, but the model has 6 .* set 1 to 6, or"):
        layers(trunk, ("query",), "here", 7)


def test_blocks_of_which_there_are_ten_and_more() -> None:
    trunk = nn.ModuleDict({"blocks": nn.ModuleList(nn.ModuleDict({"query": nn.Linear(2, 2)}) for _ in range(12))})
    assert list(layers(trunk, ["query"], "here", 11)) == [f"blocks.{k}.query" for k in range(1, 12)]


def test_a_trunk_without_blocks() -> None:
    trunk = nn.ModuleDict({"query": nn.Linear(2, 2)})
    assert blocks_of(trunk) == []
    with pytest.raises(TrainingError, match="found 1, but the model has 0 transformer blocks; leave it out"):
        layers(trunk, ["query"], "here", 1)


def test_sentences_are_refused() -> None:
    with pytest.raises(TrainingError, match="roadvit: it reads pictures, found sentences"):
        roadvit().prepare((("a sentence",),))


def test_random_weights_are_drawn_by_seed() -> None:
    a, b, c = (untrained(seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["embeddings.position"], c["embeddings.position"])


def test_a_missing_weights_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"none\.safetensors: the weights file is missing"):
        roadvit(tmp_path / "none.safetensors")


def test_a_damaged_weights_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"not weights")
    with pytest.raises(TrainingError, match=r"bad\.safetensors: not a readable safetensors file"):
        roadvit(path)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    state = load_file(WEIGHTS)
    state["cls"] = torch.zeros(1, 1, 64)
    save_file(state, path)
    with pytest.raises(TrainingError, match=r"other\.safetensors: does not fit this RoadViT"):
        roadvit(path)
