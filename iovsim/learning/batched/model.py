"""A cut trunk, several vehicles' parameters and a batch of each become losses and one flat gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from iovsim.learning.adapter import HEAD
from iovsim.learning.batched.cut import Recall, embeddings_of
from iovsim.learning.batched.flat import Layout
from iovsim.learning.batched.many import Dropout, Factors, ManyLinear
from iovsim.learning.lora import PREFIX

WEIGHT, BIAS = f"{HEAD}weight", f"{HEAD}bias"


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """What V vehicles of one task are to learn from b samples each, of which the last ones may weigh nothing."""

    labels: Tensor  # (V, b)
    weights: Tensor  # (V, b): of a sample's loss in its vehicle's mean


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """V vehicles' next samples, b each: of vehicles with fewer the last ones are filled in and weigh nothing."""

    states: Tensor  # (V * b, t, width), or (V * b, width) where nothing is computed above the cut
    beside: tuple[Tensor, ...]  # what the trunk takes beside them, each (V * b, ...)
    targets: tuple[Targets, ...]  # of each task's vehicles, in the order of `Parameters.heads`
    counts: tuple[int, ...]  # of each vehicle's real samples
    size: int  # b


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """Where the heads of one task's vehicles lie."""

    rows: slice  # these vehicles, which lie beside each other
    layout: Layout


@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """V vehicles' parameters and gradients (V, n), and what their adapters are multiplied with."""

    heads: tuple[Heads, ...]  # adapters lie at the same places in the layouts of all
    values: Tensor
    gradients: Tensor
    used: Tensor  # the values as the frozen model's type has them; the same tensor where types are equal
    scale: Tensor  # (V, 1, 1)
    dropout: Dropout

    def factors(self, layer: str) -> Factors:
        a, b = f"{PREFIX}trunk.{layer}.lora_A.weight", f"{PREFIX}trunk.{layer}.lora_B.weight"
        view = self.heads[0].layout.view
        return Factors(
            a=view(self.used, a),
            b=view(self.used, b),
            a_gradient=view(self.gradients, a),
            b_gradient=view(self.gradients, b),
            scale=self.scale,
            dropout=self.dropout,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Upper:
    """The computed part of a trunk and its adapted layers by name; None where nothing is computed."""

    tree: nn.Module | None
    adapted: dict[str, ManyLinear] = field(default_factory=dict)
    recalls: bool = True  # its states come from below the cut; else it takes the trunk's own inputs

    def features(self, states: Tensor, beside: tuple[Tensor, ...]) -> Tensor:
        """(n, width) of states (n, t, width)."""
        if self.tree is None:
            return states
        if self.recalls:
            recall = self.tree.get_submodule(embeddings_of(self.tree))
            if isinstance(recall, Recall):
                recall.states = states
        features: Tensor = self.tree(*(beside or (states,)))
        return features


def losses_and_gradients(upper: Upper, parameters: Parameters, batch: Batch) -> Tensor:
    """Each vehicle's loss (V,) before the step; gradients are written into `parameters.gradients`.

    The parameters must have been put in place, see `put_in_place`.
    """
    parameters.gradients.zero_()
    parameters.dropout.counts, parameters.dropout.size = batch.counts, batch.size
    if parameters.used is not parameters.values:
        parameters.used.copy_(parameters.values)
    features = upper.features(batch.states, batch.beside)
    read = features.detach().to(parameters.values.dtype).view(len(parameters.values), batch.size, -1)
    losses, into_read = [], []
    for heads, targets in zip(parameters.heads, batch.targets, strict=True):
        loss, into = _heads(parameters, heads, read[heads.rows], targets)
        losses.append(loss)
        into_read.append(into)
    if features.requires_grad:
        into = joined(into_read).view(features.shape).to(features.dtype)
        start: Tensor = _Start.apply(features, into)  # type: ignore[no-untyped-call]
        start.backward()  # type: ignore[no-untyped-call]
    return joined(losses)


def _heads(parameters: Parameters, heads: Heads, read: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
    """Losses (V,) of one task's vehicles from features (V, b, width), and the loss's gradient of these.

    The head is small and its gradient known: for logits z, labels y and weights w it is w (softmax(z) - onehot(y)).
    """
    values, gradients = parameters.values[heads.rows], parameters.gradients[heads.rows]
    view = heads.layout.view
    weight = view(values, WEIGHT)
    logits = torch.baddbmm(view(values, BIAS)[:, None], read, weight.transpose(1, 2))
    log_probabilities = functional.log_softmax(logits, dim=-1)
    chosen = targets.labels[:, :, None]
    losses = -(log_probabilities.gather(2, chosen)[:, :, 0] * targets.weights).sum(dim=1)
    into_logits = log_probabilities.exp_().scatter_add_(2, chosen, torch.full_like(chosen, -1.0, dtype=values.dtype))
    into_logits.mul_(targets.weights[:, :, None])
    view(gradients, WEIGHT).copy_(torch.bmm(into_logits.transpose(1, 2), read))
    view(gradients, BIAS).copy_(into_logits.sum(dim=1))
    return losses, torch.bmm(into_logits, weight)


class _Start(torch.autograd.Function):
    """A number from which the backward pass gives `features` the gradient `into`.

    Given the gradient itself, torch would first import a second's worth of its own modules to compare the shapes.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, into: Tensor) -> Tensor:
        ctx.into = into
        return features.new_zeros(())

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor, None]:
        return ctx.into, None


def joined(parts: Sequence[Tensor]) -> Tensor:
    """One below the other; a single one as it is."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def put_in_place(upper: Upper, parameters: Parameters) -> None:
    """From now on the adapted layers compute with these parameters."""
    for name, layer in upper.adapted.items():
        layer.factors = parameters.factors(name)


def release(upper: Upper) -> None:
    """Lets go of the vehicles' tensors."""
    for layer in upper.adapted.values():
        layer.factors = None
