"""Turns a model and labelled pictures into accuracy, macro F1 and loss."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from iovsim.domain import FloatArray, IntArray, Metrics
from iovsim.learning.roadvit import to_input

BATCH = 256


def logits(model: Callable[[torch.Tensor], torch.Tensor], images: NDArray[np.uint8]) -> FloatArray:
    """The model's logits (n, classes) of pictures (n, 32, 32, 3), in batches of 256, without gradients."""
    with torch.inference_mode():
        parts = [model(to_input(images[k : k + BATCH])) for k in range(0, len(images), BATCH)]
    return torch.cat(parts).double().numpy()


def metrics(logits: FloatArray, labels: IntArray) -> Metrics:
    """Quality of logits (n, classes) against labels (n,), n >= 1.

    Macro F1 is the plain mean of the F1 scores of the classes that occur among the labels or the answers (a class that
    occurs in neither has no F1). The loss is the mean cross-entropy in nats.
    """
    answers = logits.argmax(axis=1)
    highest = logits.max(axis=1)
    normaliser = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
    loss = normaliser - logits[np.arange(len(labels)), labels]
    classes = logits.shape[1]
    hits = np.bincount(labels[answers == labels], minlength=classes)
    occurrences = np.bincount(labels, minlength=classes) + np.bincount(answers, minlength=classes)
    seen = occurrences > 0
    return Metrics(
        samples=len(labels),
        accuracy=float(np.mean(answers == labels)),
        macro_f1=float(np.mean(2 * hits[seen] / occurrences[seen])),  # F1 = 2 TP / (2 TP + FP + FN)
        loss=float(loss.mean()),
    )
