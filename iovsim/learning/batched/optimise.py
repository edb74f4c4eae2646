"""Flat gradients of several vehicles become steps of AdamW or SGD, each vehicle at its own rate and number of steps."""

from __future__ import annotations

import itertools
import math

import torch
from torch.optim.adamw import adamw

from iovsim.domain import Recipe
from iovsim.learning.batched.flat import Flat

BETAS = (0.9, 0.999)
EPSILON = 1e-8
"""torch's defaults for AdamW, as in `learning.trainer.optimiser_of`."""


def step(flat: Flat, steps: list[int], length: int, recipe: Recipe) -> None:
    """One step for every vehicle, after clipping each vehicle's gradient; the same arithmetic as torch.optim.

    `steps` are those that each vehicle has done, `length` the numbers of a row that are not filled up.
    AdamW: Loshchilov and Hutter 2019, Algorithm 2, with decay by learning_rate * weight_decay. SGD without momentum
    adds weight_decay * weights to the gradient, as torch does.
    """
    gradients, values = flat.gradients, flat.values
    if math.isfinite(recipe.clip_norm):
        # Of a copy without the filling, which other tasks' rows decide: sums of other lengths differ in bits.
        norm = torch.linalg.vector_norm(gradients[:, :length].contiguous(), dim=1, keepdim=True)
        gradients *= (recipe.clip_norm / (norm + 1e-6)).clamp_(max=1.0)
    if recipe.optimiser == "sgd":
        values.add_(gradients.add(values, alpha=recipe.weight_decay), alpha=-recipe.learning_rate)
        return
    start = 0
    for done, alike in itertools.groupby(steps):
        end = start + len(list(alike))
        adamw(
            [values[start:end]],
            [gradients[start:end]],
            [flat.first[start:end]],
            [flat.second[start:end]],
            [],
            [torch.full((), float(done), device=values.device)],
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
