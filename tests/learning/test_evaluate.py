"""Metrics against hand-counted cases and against scikit-learn's documented definition of macro F1."""

from __future__ import annotations

import numpy as np
import pytest

from iovsim.learning.evaluate import metrics
from iovsim.rng import stream


def test_metrics_of_a_case_counted_by_hand() -> None:
    answers = np.array([0, 0, 1, 1, 2, 0])
    labels = np.array([0, 1, 1, 1, 2, 2])
    logits = np.where(np.eye(4)[answers] > 0, np.log(3.0), 0.0)  # softmax: 3/6 for the answer, 1/6 for each other class
    result = metrics(logits, labels)
    assert result.samples == 6
    assert result.accuracy == pytest.approx(4 / 6)
    # class 0: TP 1, FP 2, FN 0; class 1: TP 2, FP 0, FN 1; class 2: TP 1, FP 0, FN 1; class 3 does not occur
    assert result.macro_f1 == pytest.approx((0.5 + 0.8 + 2 / 3) / 3)
    assert result.loss == pytest.approx((4 * np.log(2) + 2 * np.log(6)) / 6)


def test_a_perfect_answer_scores_one_and_large_logits_do_not_overflow() -> None:
    labels = stream(0, "labels").integers(5, size=50)
    result = metrics(1e4 * np.eye(5)[labels], labels)
    assert (result.accuracy, result.macro_f1, result.loss) == (1.0, 1.0, 0.0)


def test_equal_logits_lose_the_logarithm_of_the_classes() -> None:
    assert metrics(np.zeros((7, 10)), np.arange(7)).loss == pytest.approx(np.log(10))
