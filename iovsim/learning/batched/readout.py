"""The last block of RoadViT is worked out for the one token that is read, without keys and values of the others.

With one query q a head, q . (W_k x_t) = (W_k^T q) . x_t and sum_t p_t (W_v x_t) = W_v (sum_t p_t x_t): projections of
all tokens become two of one vector a head; the key's bias adds the same to every score and drops out of the softmax.
Exact, ours. Low-rank terms of key and value follow in the same way, since they are linear too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from iovsim.learning.backbones.roadvit import HEADS, WIDTH, Block
from iovsim.learning.batched.many import Factors, ManyLinear, add_product, root

PER_HEAD = WIDTH // HEADS


def with_read_token(block: nn.Module, states: Tensor) -> Tensor:
    """Normalised tokens and, after them, the read token as it was (n, t + 1, width): constants of a sample."""
    normed: Tensor = block.get_submodule("norm1")(states)
    return torch.cat((normed, states[:, :1]), dim=1)


class ReadoutBlock(nn.Module):
    """Stands where the last block stood; takes the states of `with_read_token` and gives the read token (n, 1, width).

    The block's names are kept, so that its layers can be adapted as before.
    """

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.attention, self.norm2, self.mlp = block.attention, block.norm2, block.mlp

    def forward(self, states: Tensor, keep: int = 1) -> Tensor:
        tokens, read = states[:, :-1], states[:, -1]
        attention = self.attention
        query = attention.query(tokens[:, 0].contiguous()).view(len(states), HEADS, PER_HEAD) * PER_HEAD**-0.5
        asked = _into_inputs(attention.key, query)
        # Tokens in rows, heads in columns: in bfloat16 the transposed product takes half as long again.
        weights = torch.softmax(torch.bmm(tokens, asked.transpose(1, 2)), dim=1)
        mixed = _into_outputs(attention.value, torch.bmm(weights.transpose(1, 2), tokens))
        x = read + attention.output(mixed.reshape(len(states), WIDTH))
        deeper: Tensor = x + self.mlp(self.norm2(x))
        return deeper.view(len(states), keep, WIDTH)


def _into_inputs(layer: nn.Module, heads: Tensor) -> Tensor:
    """Rows of one head each, (n, heads, e), times the layer's weight: (n, heads, width)."""
    weight, _, factors = _parts(layer)
    weight = weight.view(HEADS, PER_HEAD, WIDTH)
    whole = torch.bmm(heads.transpose(0, 1), weight).transpose(0, 1)
    if factors is None:
        return whole
    beside: Tensor = _BesideInputs.apply(heads, root(heads), factors)  # type: ignore[no-untyped-call]
    return whole + beside


def _into_outputs(layer: nn.Module, mixed: Tensor) -> Tensor:
    """Each head's mixture of inputs, (n, heads, width), through the head's part of the layer: (n, heads, e)."""
    weight, bias, factors = _parts(layer)
    weight = weight.view(HEADS, PER_HEAD, WIDTH).transpose(1, 2)
    whole = torch.bmm(mixed.transpose(0, 1), weight).transpose(0, 1) + bias.view(HEADS, PER_HEAD)
    if factors is None:
        return whole
    beside: Tensor = _BesideOutputs.apply(mixed, root(mixed), factors)  # type: ignore[no-untyped-call]
    return whole + beside


def _parts(layer: nn.Module) -> tuple[Tensor, Tensor, Factors | None]:
    """Weight, bias and, if it has any, the vehicles' factors of a layer."""
    if isinstance(layer, ManyLinear):
        return layer.weight, layer.frozen.bias, layer.factors
    if not isinstance(layer, nn.Linear):
        raise TypeError(f"a linear layer is expected, found {type(layer).__name__}")
    return layer.weight, layer.bias, None


def _by_head(rows: Tensor, vehicles: int) -> Tensor:
    """(V * batch, heads, k), however shaped, as matrices of one vehicle and head: (V * heads, batch, k).

    Always copied: a view would lie otherwise for one vehicle than for several, and products of it differ in bits.
    """
    own = rows.reshape(vehicles, -1, HEADS, rows.shape[-1]).transpose(1, 2)
    return own.contiguous().view(vehicles * HEADS, -1, rows.shape[-1])


def _by_vehicle(matrices: Tensor, vehicles: int) -> Tensor:
    """The way back: (V * heads, batch, k) as (V, batch * heads, k)."""
    own = matrices.view(vehicles, HEADS, -1, matrices.shape[-1]).transpose(1, 2)
    return own.contiguous().view(vehicles, -1, matrices.shape[-1])


def _columns(factors: Factors) -> Tensor:
    """Each vehicle's and head's part of B: (V * heads, e, rank)."""
    return factors.b.contiguous().view(-1, PER_HEAD, factors.b.shape[2])


class _BesideInputs(torch.autograd.Function):
    """scale (heads B_head) A; gradients of A and B are added where `Factors` says."""

    @staticmethod
    def forward(ctx: Any, heads: Tensor, _: Tensor, factors: Factors) -> Tensor:
        own, b = _by_head(heads, len(factors.a)), _columns(factors)
        low = _by_vehicle(torch.bmm(own, b), len(factors.a)).mul_(factors.scale)
        ctx.kept = (own, b, low, factors, heads.shape)
        return torch.bmm(low, factors.a).view(len(heads), HEADS, WIDTH)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        own, b, low, factors, shape = ctx.kept
        vehicles = len(factors.a)
        given = gradients[0].contiguous().view(vehicles, -1, WIDTH)
        add_product(factors.a_gradient, low.transpose(1, 2), given)
        into_low = _by_head(torch.bmm(given, factors.a.transpose(1, 2)).mul_(factors.scale), vehicles)
        into_b = torch.bmm(own.transpose(1, 2), into_low)
        factors.b_gradient.add_(into_b.view(vehicles, WIDTH, -1))
        return _by_vehicle(torch.bmm(into_low, b.transpose(1, 2)), vehicles).view(shape), None, None


class _BesideOutputs(torch.autograd.Function):
    """scale (mixed A^T) B_head^T; gradients of A and B are added where `Factors` says."""

    @staticmethod
    def forward(ctx: Any, mixed: Tensor, _: Tensor, factors: Factors) -> Tensor:
        vehicles = len(factors.a)
        rows, b = mixed.contiguous().view(vehicles, -1, WIDTH), _columns(factors)
        low = _by_head(torch.bmm(rows, factors.a.transpose(1, 2)).mul_(factors.scale), vehicles)
        ctx.kept = (rows, b, low, factors, mixed.shape)
        return _by_vehicle(torch.bmm(low, b.transpose(1, 2)), vehicles).view(len(mixed), HEADS, PER_HEAD)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, b, low, factors, shape = ctx.kept
        vehicles = len(factors.a)
        given = _by_head(gradients[0], vehicles)
        into_b = torch.bmm(given.transpose(1, 2), low)
        factors.b_gradient.add_(into_b.view(vehicles, WIDTH, -1))
        into_low = _by_vehicle(torch.bmm(given, b), vehicles).mul_(factors.scale)
        add_product(factors.a_gradient, into_low.transpose(1, 2), rows)
        return torch.bmm(into_low, factors.a).view(shape), None, None
