"""The last block of a trunk is worked out for the one token that is read, without keys and values of the others.

With one query q a head, q . (W_k x_t) = (W_k^T q) . x_t and sum_t p_t (W_v x_t) = W_v (sum_t p_t x_t): projections of
all tokens become two of one vector a head; the key's bias adds the same to every score and drops out of the softmax.
Exact, ours. Low-rank terms of key and value follow in the same way, since they are linear too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from iovsim.learning.backbones.blocks import Parts, parts_of
from iovsim.learning.batched.many import Factors, ManyLinear, add_product, root


def with_read_token(block: nn.Module, states: Tensor) -> Tensor:
    """What is constant of a sample where the last block alone is adapted: its input as it is mixed.

    Where that is normalised, the read token follows as it came: (n, t + 1, width).
    """
    before = _parts_of(block).before
    return states if before is None else torch.cat((before(states), states[:, :1]), dim=1)


class ReadoutBlock(nn.Module):
    """Stands where the last block stood and gives the read token alone, (n, 1, width).

    Takes what the block took, or with `normed` the states of `with_read_token`.
    """

    def __init__(self, block: nn.Module, *, normed: bool) -> None:
        super().__init__()
        self.block = block
        self.normed = normed
        self.parts = _parts_of(block)

    def forward(self, states: Tensor, attention_mask: Tensor | None = None, *_: object, **__: object) -> Tensor:
        """The mask (n, 1, t, t) tells which tokens each token sees, or what is added to its scores."""
        parts = self.parts
        tokens, read = states, states[:, 0]
        if parts.before is not None:
            tokens, read = (states[:, :-1], states[:, -1]) if self.normed else (parts.before(states), read)
        query = parts.query(tokens[:, 0].contiguous()).view(len(states), parts.heads, -1)
        asked = _into_inputs(parts.key, query * query.shape[-1] ** -0.5)
        # Tokens in rows, heads in columns: in bfloat16 the transposed product takes half as long again.
        scores = torch.bmm(tokens, asked.transpose(1, 2))
        if attention_mask is not None:
            own = attention_mask[:, 0, 0, :, None]
            scores = scores.masked_fill(~own, -torch.inf) if own.dtype == torch.bool else scores + own
        weights = torch.softmax(scores, dim=1)
        mixed = _into_outputs(parts.value, torch.bmm(weights.transpose(1, 2), tokens))
        return parts.after(mixed.flatten(1), read)[:, None]


def _parts_of(block: nn.Module) -> Parts:
    parts = parts_of(block)
    if parts is None:
        raise TypeError(f"the parts of a {type(block).__name__} are not known")
    return parts


def _into_inputs(layer: nn.Module, rows: Tensor) -> Tensor:
    """Rows of one head each, (n, heads, e), times the layer's weight: (n, heads, width)."""
    weight, _, factors = _layer(layer)
    by_head = weight.view(rows.shape[1], rows.shape[2], -1)
    whole = torch.bmm(rows.transpose(0, 1), by_head).transpose(0, 1)
    if factors is None:
        return whole
    beside: Tensor = _BesideInputs.apply(rows, root(rows), factors)  # type: ignore[no-untyped-call]
    return whole + beside


def _into_outputs(layer: nn.Module, mixed: Tensor) -> Tensor:
    """Each head's mixture of inputs, (n, heads, width), through the head's part of the layer: (n, heads, e)."""
    weight, bias, factors = _layer(layer)
    heads, width = mixed.shape[1:]
    by_head = weight.view(heads, -1, width).transpose(1, 2)
    whole = torch.bmm(mixed.transpose(0, 1), by_head).transpose(0, 1)
    if bias is not None:
        whole = whole + bias.view(heads, -1)
    if factors is None:
        return whole
    beside: Tensor = _BesideOutputs.apply(mixed, root(mixed), factors)  # type: ignore[no-untyped-call]
    return whole + beside


def _layer(layer: nn.Module) -> tuple[Tensor, Tensor | None, Factors | None]:
    """Weight, bias and the vehicles' factors of a layer; None for what it has not."""
    if isinstance(layer, ManyLinear):
        return layer.weight, layer.frozen.bias, layer.factors
    if not isinstance(layer, nn.Linear):
        raise TypeError(f"a linear layer is expected, found {type(layer).__name__}")
    return layer.weight, layer.bias, None


def _by_head(rows: Tensor, vehicles: int, heads: int) -> Tensor:
    """(V * batch, heads, k), however shaped, as matrices of one vehicle and head: (V * heads, batch, k).

    Always copied: a view would lie otherwise for one vehicle than for several, and products of it differ in bits.
    """
    own = rows.reshape(vehicles, -1, heads, rows.shape[-1]).transpose(1, 2)
    return own.contiguous().view(vehicles * heads, -1, rows.shape[-1])


def _by_vehicle(matrices: Tensor, vehicles: int) -> Tensor:
    """The way back: (V * heads, batch, k) as (V, batch * heads, k)."""
    batch, size = matrices.shape[1:]
    own = matrices.view(vehicles, -1, batch, size).transpose(1, 2)
    return own.contiguous().view(vehicles, -1, size)


def _columns(factors: Factors, heads: int) -> Tensor:
    """Each vehicle's and head's part of B: (V * heads, e, rank)."""
    vehicles, outputs, rank = factors.b.shape
    return factors.b.contiguous().view(vehicles * heads, outputs // heads, rank)


class _BesideInputs(torch.autograd.Function):
    """scale (rows B_head) A; gradients of A and B are added where `Factors` says."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, _: Tensor, factors: Factors) -> Tensor:
        heads, vehicles, width = rows.shape[1], len(factors.a), factors.a.shape[2]
        own, b = _by_head(rows, vehicles, heads), _columns(factors, heads)
        low = _by_vehicle(torch.bmm(own, b), vehicles).mul_(factors.scale)
        ctx.kept = (own, b, low, factors, rows.shape)
        return torch.bmm(low, factors.a).view(len(rows), heads, width)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        own, b, low, factors, shape = ctx.kept
        vehicles, _, width = factors.a.shape
        given = gradients[0].contiguous().view(vehicles, -1, width)
        add_product(factors.a_gradient, low.transpose(1, 2), given)
        into_low = _by_head(torch.bmm(given, factors.a.transpose(1, 2)).mul_(factors.scale), vehicles, shape[1])
        into_b = torch.bmm(own.transpose(1, 2), into_low)
        factors.b_gradient.add_(into_b.view(factors.b.shape))
        return _by_vehicle(torch.bmm(into_low, b.transpose(1, 2)), vehicles).view(shape), None, None


class _BesideOutputs(torch.autograd.Function):
    """scale (mixed A^T) B_head^T; gradients of A and B are added where `Factors` says."""

    @staticmethod
    def forward(ctx: Any, mixed: Tensor, _: Tensor, factors: Factors) -> Tensor:
        vehicles, heads, width = len(factors.a), *mixed.shape[1:]
        rows, b = mixed.contiguous().view(vehicles, -1, width), _columns(factors, heads)
        low = _by_head(torch.bmm(rows, factors.a.transpose(1, 2)).mul_(factors.scale), vehicles, heads)
        ctx.kept = (rows, b, low, factors, mixed.shape)
        return _by_vehicle(torch.bmm(low, b.transpose(1, 2)), vehicles).view(len(mixed), heads, -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, b, low, factors, shape = ctx.kept
        vehicles = len(factors.a)
        given = _by_head(gradients[0], vehicles, shape[1])
        into_b = torch.bmm(given.transpose(1, 2), low)
        factors.b_gradient.add_(into_b.view(factors.b.shape))
        into_low = _by_vehicle(torch.bmm(given, b), vehicles).mul_(factors.scale)
        add_product(factors.a_gradient, into_low.transpose(1, 2), rows)
        return torch.bmm(into_low, factors.a).view(shape), None, None
