"""Turns a frozen backbone and labelled samples into one figure: how well a linear classifier reads its features."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from iovsim.domain import FloatArray
from iovsim.learning.backbones.backbone import Backbone
from iovsim.learning.data.samples import Data, Pictures, Texts
from iovsim.learning.evaluate import features

RIDGE = 1e-4  # weight of the squared coefficients in the loss
ITERATIONS = 200


def linear_probe(backbone: Backbone, data: Data) -> float:
    """Held-out accuracy in [0, 1] of a logistic regression on the frozen features, standardised.

    Multinomial logistic regression from zero, by L-BFGS on the whole training set in float64: convex and without random
    draws, so the figure depends on the model and the data alone. The recipe is ours and the same for every model.
    """
    train, test = _features(backbone, data.train.inputs), _features(backbone, data.test.inputs)
    centre, spread = train.mean(axis=0), train.std(axis=0) + 1e-6
    x = torch.from_numpy((train - centre) / spread)
    y = torch.from_numpy(data.train.labels)
    weight = torch.zeros((len(data.train.classes), x.shape[1] + 1), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = functional.cross_entropy(functional.linear(x, weight[:, :-1], weight[:, -1]), y)
        value = value + RIDGE * weight[:, :-1].square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        held_out = torch.from_numpy((test - centre) / spread)
        answers = functional.linear(held_out, weight[:, :-1], weight[:, -1]).argmax(dim=1).numpy()
    return float(np.mean(answers == data.test.labels))


def _features(backbone: Backbone, samples: Pictures | Texts) -> FloatArray:
    inputs = backbone.prepare(samples)
    return features(backbone.trunk, inputs, np.arange(len(samples))).double().numpy()
