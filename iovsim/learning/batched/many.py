"""A frozen linear layer becomes one that adds to each vehicle's rows the product of the vehicle's own low-rank factors.

Rows come grouped by vehicle: an input (vehicles * batch, ..., inputs) is (vehicles, rows, inputs) to the factors. The
frozen product runs over all rows at once; its weight gets no gradient, and where nothing below is trained the input
gets none either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(slots=True, eq=False)
class Dropout:
    """How V vehicles' adapters drop inputs out."""

    probability: float
    generators: Sequence[torch.Generator]  # each vehicle's own
    counts: Sequence[int] = ()  # of each vehicle's batch: the samples that are not filled in; draws are for these
    size: int = 0  # of a batch with what is filled in


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """The factors of V vehicles for one layer, in the type of the frozen model, and where gradients are added."""

    a: Tensor  # (V, rank, inputs)
    b: Tensor  # (V, outputs, rank)
    a_gradient: Tensor
    b_gradient: Tensor
    scale: Tensor  # (V, 1, 1)
    dropout: Dropout


class ManyLinear(nn.Module):
    """Stands where the frozen layer stood; in training it holds `factors`, and perhaps a `merged` weight."""

    def __init__(self, frozen: nn.Linear) -> None:
        super().__init__()
        self.frozen = frozen
        self.factors: Factors | None = None
        self.merged: Tensor | None = None  # (outputs, inputs), in place of the frozen weight

    def forward(self, x: Tensor) -> Tensor:
        if self.factors is None:
            return functional.linear(x, self.weight, self.frozen.bias)
        dropout = self.factors.dropout
        dropped = x if dropout.probability == 0 else x * dropout_mask(x, dropout)
        parts = x, dropped, root(x), self.weight, self.frozen.bias, self.factors
        joined: Tensor = _Joined.apply(*parts)  # type: ignore[no-untyped-call]
        return joined

    @property
    def weight(self) -> Tensor:
        """What multiplies the rows of all vehicles."""
        return self.frozen.weight if self.merged is None else self.merged


def dropout_mask(x: Tensor, dropout: Dropout) -> Tensor:
    """What an adapter's input (V * batch, ...) is multiplied with: 0, or 1 / (1 - p).

    Drawn for each vehicle from its own generator, in the shape of its own samples: the same numbers as torch's dropout
    draws for that vehicle alone on a processor. For a GPU they are drawn there too, so that devices agree.
    """
    mask = torch.zeros(x.shape, dtype=x.dtype).view(len(dropout.counts), -1, *x.shape[1:])
    keep = 1.0 - dropout.probability
    parts = mask.shape[1] // dropout.size  # of one sample; more than one where a model cuts pictures into windows
    for vehicle, (count, generator) in enumerate(zip(dropout.counts, dropout.generators, strict=True)):
        own = torch.empty_like(mask[vehicle, : count * parts]).bernoulli_(keep, generator=generator)
        mask[vehicle, : count * parts] = own.div_(keep)
    return mask.view(x.shape).to(x.device)


def root(x: Tensor) -> Tensor:
    """An input that makes autograd call a function's backward even where its others are constants."""
    return torch.zeros((), dtype=x.dtype, device=x.device, requires_grad=True)


class _Joined(torch.autograd.Function):
    """x W^T + bias + scale (dropped A^T) B^T; gradients of A and B are added where `Factors` says."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, dropped: Tensor, root: Tensor, weight: Tensor, bias: Tensor | None, factors: Factors
    ) -> Tensor:
        vehicles = len(factors.scale)
        rows = dropped.reshape(vehicles, -1, x.shape[-1])
        low = torch.bmm(rows, factors.a.transpose(1, 2)).mul_(factors.scale)  # (V, rows, rank)
        y = functional.linear(x, weight, bias)
        y.view(vehicles, -1, y.shape[-1]).baddbmm_(low, factors.b.transpose(1, 2))
        ctx.kept = (rows, low, weight, factors, x.shape)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, low, weight, factors, shape = ctx.kept
        flat = gradients[0].reshape(-1, weight.shape[0])
        own = flat.view(len(rows), -1, weight.shape[0])  # (V, rows, outputs)
        add_product(factors.b_gradient, own.transpose(1, 2), low)
        into_low = torch.bmm(own, factors.b).mul_(factors.scale)  # (V, rows, rank)
        add_product(factors.a_gradient, into_low.transpose(1, 2), rows)
        into_x: Tensor | None = None
        into_dropped: Tensor | None = None
        if ctx.needs_input_grad[0]:
            into_x = flat @ weight
            if factors.dropout.probability == 0:
                into_x.view(rows.shape).baddbmm_(into_low, factors.a)
            into_x = into_x.view(shape)
        if factors.dropout.probability > 0 and ctx.needs_input_grad[1]:
            into_dropped = torch.bmm(into_low, factors.a).view(shape)
        return into_x, into_dropped, None, None, None, None


def add_product(sum_: Tensor, left: Tensor, right: Tensor) -> None:
    """Adds matrix products (V, m, n) to a sum of perhaps higher precision."""
    # Not baddbmm: into rows of a flat buffer torch would multiply one vehicle after the other.
    sum_.add_(torch.bmm(left, right))
