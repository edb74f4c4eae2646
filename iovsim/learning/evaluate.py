"""Turns a model and samples into logits, and logits and labels into accuracy, macro F1, loss and calibration error."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from iovsim.domain import Evaluation, FloatArray, Head, IntArray, Metrics
from iovsim.learning.adapter import HEAD
from iovsim.learning.backbones.backbone import Inputs
from iovsim.learning.data.samples import Samples

BATCH = 256
BINS = 15  # of confidence, as in Guo et al. 2017


def features(trunk: nn.Module, inputs: Inputs, rows: IntArray, batch: int = BATCH) -> torch.Tensor:
    """The trunk's features (n, width) of the samples at `rows`, without gradients, in batches of like length."""
    order = np.argsort(inputs.lengths[rows], kind="stable")
    with torch.inference_mode():
        parts = [trunk(*inputs.batch(rows[order[k : k + batch]])) for k in range(0, len(rows), batch)]
        joined = torch.cat(parts)
        back = torch.empty_like(joined)
        back[torch.from_numpy(order)] = joined
    return back


def logits(features: torch.Tensor, head: Head) -> FloatArray:
    """The logits (n, classes) that a head gives features (n, width)."""
    weight, bias = (torch.from_numpy(head[f"{HEAD}{name}"]) for name in ("weight", "bias"))
    with torch.inference_mode():
        answers: FloatArray = functional.linear(features, weight, bias).double().numpy()
    return answers


def metrics(logits: FloatArray, labels: IntArray) -> Metrics:
    """Quality of logits (n, classes) against labels (n,), n >= 1.

    Macro F1 is the plain mean of the F1 scores of the classes that occur among the labels or the answers (a class that
    occurs in neither has no F1). The loss is the mean cross-entropy in nats. Logits of a ruined adapter need not be
    finite; loss and calibration error are then NaN.
    """
    answers = logits.argmax(axis=1)
    scores, seen = _f1(answers, labels, logits.shape[1])
    return Metrics(
        samples=len(labels),
        accuracy=float(np.mean(answers == labels)),
        macro_f1=float(np.mean(scores[seen])),
        loss=float(_losses(logits, labels).mean()),
        calibration_error=calibration_error(logits, labels),
    )


def evaluation(logits: FloatArray, samples: Samples) -> Evaluation:
    """Metrics of logits (n, classes) on all samples, by class (those that occur) and by district (if known)."""
    answers, labels = logits.argmax(axis=1), samples.labels
    scores, _ = _f1(answers, labels, logits.shape[1])
    losses = _losses(logits, labels)
    by_class = {}
    for label in np.unique(labels):
        of_class = labels == label
        by_class[samples.classes[label]] = Metrics(
            samples=int(of_class.sum()),
            accuracy=float(np.mean(answers[of_class] == label)),
            macro_f1=float(scores[label]),
            loss=float(losses[of_class].mean()),
            calibration_error=calibration_error(logits[of_class], labels[of_class]),
        )
    places = samples.districts
    districts = [] if places is None else np.unique(places).tolist()
    by_district = {int(d): metrics(logits[places == d], labels[places == d]) for d in districts}
    return Evaluation(metrics(logits, labels), by_class, by_district)


def mean_metrics(parts: Sequence[Metrics]) -> Metrics:
    """The plain mean of figures on the same samples."""
    means = (
        fmean(getattr(part, name) for part in parts) for name in ("accuracy", "macro_f1", "loss", "calibration_error")
    )
    return Metrics(parts[0].samples, *means)


def mean_evaluation(parts: Sequence[Evaluation]) -> Evaluation:
    """The plain mean of evaluations on the same samples."""
    return Evaluation(
        overall=mean_metrics([p.overall for p in parts]),
        by_class={name: mean_metrics([p.by_class[name] for p in parts]) for name in parts[0].by_class},
        by_district={place: mean_metrics([p.by_district[place] for p in parts]) for place in parts[0].by_district},
    )


def calibration_error(logits: FloatArray, labels: IntArray) -> float:
    """Expected calibration error (Guo et al., ICML 2017) of logits (n, classes), 15 bins of equal width.

    The mean over the samples of |accuracy - mean confidence| of their bin; confidence is the largest softmax value.
    NaN where logits are not finite.
    """
    if not np.isfinite(logits).all():
        return float("nan")
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    confidence = 1.0 / shifted.sum(axis=1)
    right = logits.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))


def _losses(logits: FloatArray, labels: IntArray) -> FloatArray:
    if not np.isfinite(logits).all():
        return np.full(len(labels), np.nan)
    highest = logits.max(axis=1)
    normaliser = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
    losses: FloatArray = normaliser - logits[np.arange(len(labels)), labels]
    return losses


def _f1(answers: IntArray, labels: IntArray, classes: int) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Each class's F1 = 2 TP / (2 TP + FP + FN) (classes,), and whether the class occurs at all."""
    hits = np.bincount(labels[answers == labels], minlength=classes)
    occurrences = np.bincount(labels, minlength=classes) + np.bincount(answers, minlength=classes)
    return 2 * hits / np.maximum(occurrences, 1), occurrences > 0
