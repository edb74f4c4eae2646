"""Flat gradients of several vehicles become steps of AdamW or SGD, each vehicle at its own rate and number of steps."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from iovsim.domain import Recipe

BETAS = (0.9, 0.999)
EPSILON = 1e-8
"""torch's defaults for AdamW, as in `learning.trainer.optimiser_of`."""


@dataclass(slots=True, eq=False)
class Flat:
    """Parameters of V vehicles (V, n), their gradients, Adam's moments (SGD has none), and steps done by each."""

    values: Tensor
    gradients: Tensor
    first: Tensor
    second: Tensor
    steps: list[int]


def step(flat: Flat, recipe: Recipe) -> None:
    """One step for every vehicle, after clipping each vehicle's gradient; the same arithmetic as torch.optim.

    AdamW: Loshchilov and Hutter 2019, Algorithm 2, with decay by learning_rate * weight_decay. SGD without momentum
    adds weight_decay * weights to the gradient, as torch does.
    """
    gradients, values = flat.gradients, flat.values
    if math.isfinite(recipe.clip_norm):
        norm = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
        gradients *= (recipe.clip_norm / (norm + 1e-6)).clamp_(max=1.0)
    if recipe.optimiser == "sgd":
        values.add_(gradients.add(values, alpha=recipe.weight_decay), alpha=-recipe.learning_rate)
        return
    start = 0
    for steps, alike in itertools.groupby(flat.steps):
        end = start + len(list(alike))
        adamw(
            [values[start:end]],
            [gradients[start:end]],
            [flat.first[start:end]],
            [flat.second[start:end]],
            [],
            [torch.tensor(float(steps), device=values.device)],
            fused=True,  # one pass over memory in place of ten
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            eps=EPSILON,
            maximize=False,
        )
        start = end
    flat.steps = [steps + 1 for steps in flat.steps]
