"""A transformer block is described by its parts, whatever its family, as far as the first token's way goes.

Pre-norm blocks (ViT, DeiT, RoadViT) mix normalised tokens, post-norm blocks (BERT, RoBERTa, DistilBERT) the tokens
themselves. Each family's names are those of its modules in transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from iovsim.learning.backbones.roadvit import HEADS


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The layers of a block that attend, and what it does with the first token around that."""

    heads: int
    query: nn.Module
    key: nn.Module
    value: nn.Module
    before: nn.Module | None  # the norm that tokens go through to be mixed; None: they are mixed as they come
    after: Callable[[Tensor, Tensor], Tensor]
    """The heads' mixtures (n, heads * e) and the token as it came (n, width) -> the token as it leaves (n, width)."""


def reads_first_token(trunk: nn.Module) -> bool:
    """Whether the trunk's features are its last block's first token, and nothing of the others."""
    return getattr(trunk, "pooling", None) == "cls"


def parts_of(block: nn.Module) -> Parts | None:
    """None for a block of another family, and where tokens do not see all others (a decoder's)."""
    family = FAMILIES.get(type(block).__name__)
    return None if family is None or getattr(block, "is_decoder", False) else family(block)


def _roadvit(block: Any) -> Parts:
    attention = block.attention

    def after(mixed: Tensor, token: Tensor) -> Tensor:
        x = token + attention.output(mixed)
        left: Tensor = x + block.mlp(block.norm2(x))
        return left

    return Parts(HEADS, attention.query, attention.key, attention.value, block.norm1, after)


def _vit(block: Any) -> Parts:
    attention = block.attention

    def after(mixed: Tensor, token: Tensor) -> Tensor:
        x = token + attention.o_proj(mixed)
        left: Tensor = x + block.mlp(block.layernorm_after(x))
        return left

    heads = attention.num_attention_heads
    return Parts(heads, attention.q_proj, attention.k_proj, attention.v_proj, block.layernorm_before, after)


def _bert(block: Any) -> Parts:
    attention = block.attention.self

    def after(mixed: Tensor, token: Tensor) -> Tensor:
        left: Tensor = block.feed_forward_chunk(block.attention.output(mixed, token))
        return left

    return Parts(attention.num_attention_heads, attention.query, attention.key, attention.value, None, after)


def _distilbert(block: Any) -> Parts:
    attention = block.attention

    def after(mixed: Tensor, token: Tensor) -> Tensor:
        x = block.sa_layer_norm(attention.out_lin(mixed) + token)
        left: Tensor = block.output_layer_norm(block.ffn.ff_chunk(x) + x)
        return left

    return Parts(attention.n_heads, attention.q_lin, attention.k_lin, attention.v_lin, None, after)


FAMILIES: Mapping[str, Callable[[Any], Parts]] = MappingProxyType(
    {
        "Block": _roadvit,
        "ViTLayer": _vit,
        "DeiTLayer": _vit,
        "BertLayer": _bert,
        "RobertaLayer": _bert,
        "TransformerBlock": _distilbert,
    }
)
"""By the name of the block's class, since importing transformers takes seconds."""
