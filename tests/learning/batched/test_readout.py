"""A block worked out for its first token gives what the whole block gives there, and the same gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import BertConfig, DeiTConfig, DistilBertConfig, RobertaConfig, SwinConfig, SwinModel, ViTConfig
from transformers.models.bert.modeling_bert import BertLayer
from transformers.models.deit.modeling_deit import DeiTLayer
from transformers.models.distilbert.modeling_distilbert import TransformerBlock
from transformers.models.roberta.modeling_roberta import RobertaLayer
from transformers.models.vit.modeling_vit import ViTLayer

from iovsim.learning.backbones.backbone import blocks_of
from iovsim.learning.backbones.blocks import parts_of
from iovsim.learning.backbones.roadvit import WIDTH, Block
from iovsim.learning.batched.readout import ReadoutBlock, with_read_token

SIZES: dict[str, Any] = {"hidden_size": 24, "num_attention_heads": 3, "intermediate_size": 40}
DISTIL: dict[str, Any] = {"dim": 24, "n_heads": 3, "hidden_dim": 40}

PICTURES: dict[str, Callable[[], nn.Module]] = {
    "roadvit": Block,
    "vit": lambda: _block(ViTLayer, ViTConfig(**SIZES)),
    "vit without biases": lambda: _block(ViTLayer, ViTConfig(**SIZES, qkv_bias=False)),
    "deit": lambda: _block(DeiTLayer, DeiTConfig(**SIZES)),
}
TEXTS: dict[str, Callable[[str], Any]] = {
    "bert": lambda way: _block(BertLayer, BertConfig(**SIZES, chunk_size_feed_forward=1), way),
    "roberta": lambda way: _block(RobertaLayer, RobertaConfig(**SIZES), way),
    "distilbert": lambda way: _block(TransformerBlock, DistilBertConfig(**DISTIL, chunk_size_feed_forward=1), way),
}


def _block(kind: Any, config: Any, way: str = "sdpa") -> Any:
    config._attn_implementation = way
    return kind(config)


def _drawn(block: nn.Module, seed: int) -> nn.Module:
    """In double precision, with weights so large that attention is far from even, and biases that matter."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in block.double().eval().requires_grad_(False).parameters():
        parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return block


def _states(seed: int, count: int, tokens: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, tokens, width, generator=generator, dtype=torch.float64, requires_grad=True)


def _same(found: Tensor, whole: Tensor, states: Tensor) -> None:
    """In value, and in gradient where there is one."""
    first = whole[:, :1]
    torch.testing.assert_close(found, first, rtol=1e-9, atol=1e-11)
    for ours, theirs in zip(
        *(torch.autograd.grad((x**2).sum(), states, retain_graph=True) for x in (found, first)), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("family", PICTURES)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 99), count=st.integers(1, 4), tokens=st.integers(1, 9))
def test_of_pictures(family: str, seed: int, count: int, tokens: int) -> None:
    block = _drawn(PICTURES[family](), seed)
    states = _states(seed, count, tokens, WIDTH if family == "roadvit" else 24)
    whole = block(states, keep=1) if family == "roadvit" else block(states)
    _same(ReadoutBlock(block, normed=False)(states), whole, states)
    _same(ReadoutBlock(block, normed=True)(with_read_token(block, states)), whole, states)


@pytest.mark.parametrize("family", TEXTS)
@pytest.mark.parametrize("mask", ["none", "bool", "added"])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 99), lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_of_texts(family: str, mask: str, seed: int, lengths: list[int]) -> None:
    block = _drawn(TEXTS[family]("eager" if mask == "added" else "sdpa"), seed)
    states = _states(seed, len(lengths), max(lengths), 24)
    real = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None])[:, None, None]
    given_mask = {
        "none": None,
        "bool": real.expand(-1, -1, max(lengths), -1),
        "added": torch.zeros(real.shape).double().masked_fill(~real, torch.finfo(torch.float64).min),
    }[mask]
    whole = block(states, given_mask)
    assert torch.equal(with_read_token(block, states), states)
    for normed in (False, True):
        _same(ReadoutBlock(block, normed=normed)(states, given_mask), whole, states)


def test_other_blocks_have_no_known_parts() -> None:
    decoder = _block(BertLayer, BertConfig(**SIZES, is_decoder=True))
    swin = SwinModel(SwinConfig(image_size=16, patch_size=2, embed_dim=8, depths=[1], num_heads=[2], window_size=4))
    for block in (decoder, swin.get_submodule(blocks_of(swin)[0])):
        assert parts_of(block) is None
        with pytest.raises(TypeError, match=f"the parts of a {type(block).__name__} are not known"):
            ReadoutBlock(block, normed=False)
