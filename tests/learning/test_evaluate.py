"""Metrics against hand-counted cases and against scikit-learn's documented definition of macro F1."""

from __future__ import annotations

import numpy as np
import pytest

from iovsim.learning.backbones.roadvit import roadvit
from iovsim.learning.data.samples import Samples
from iovsim.learning.evaluate import calibration_error, evaluation, features, metrics
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


def test_an_evaluation_by_class_and_district_adds_up_to_the_whole() -> None:
    rng = stream(1, "evaluation")
    labels, places = rng.integers(4, size=200), rng.integers(3, size=200)
    logits = rng.normal(size=(200, 5)) + 2 * np.eye(5)[labels]
    pictures = np.zeros((200, 8, 8, 3), dtype=np.uint8)
    found = evaluation(logits, Samples(pictures, labels, ("a", "b", "c", "d", "never"), places))
    assert list(found.by_class) == ["a", "b", "c", "d"]
    assert list(found.by_district) == [0, 1, 2]
    for parts in (found.by_class.values(), found.by_district.values()):
        assert sum(p.samples for p in parts) == 200
        assert sum(p.samples * p.accuracy for p in parts) == pytest.approx(200 * found.overall.accuracy)
        assert sum(p.samples * p.loss for p in parts) == pytest.approx(200 * found.overall.loss)
    scores = [p.macro_f1 for p in found.by_class.values()]
    answered = (logits.argmax(axis=1) == 4).any()
    assert found.overall.macro_f1 == pytest.approx(np.sum(scores) / (5 if answered else 4))


def test_a_confident_and_always_wrong_answer_is_as_badly_calibrated_as_can_be() -> None:
    labels = np.zeros(10, dtype=np.int64)
    assert calibration_error(1e3 * np.eye(3)[labels + 1], labels) == pytest.approx(1.0)
    assert calibration_error(1e3 * np.eye(3)[labels], labels) == pytest.approx(0.0)


def test_calibration_of_answers_that_are_right_as_often_as_they_say() -> None:
    labels = np.array([0, 0, 0, 1])  # the answer is always 0, with confidence 3/4
    logits = np.tile(np.log([3.0, 1.0]), (4, 1))
    assert calibration_error(logits, labels) == pytest.approx(0.0, abs=1e-12)
    assert calibration_error(logits, 1 - labels) == pytest.approx(0.5)


def test_features_do_not_depend_on_how_samples_are_asked_for() -> None:
    pictures = stream(0, "pictures").integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    backbone = roadvit()
    rows = np.array([4, 0, 5])
    alone = features(backbone.trunk, backbone.prepare(pictures[rows]), np.arange(3))
    assert np.allclose(alone, features(backbone.trunk, backbone.prepare(pictures), rows), atol=1e-5)


@pytest.mark.parametrize("broken", [np.inf, -np.inf, np.nan])
def test_logits_of_a_ruined_adapter_have_an_accuracy_and_no_loss(broken: float) -> None:
    labels = np.array([0, 1, 1])
    logits = np.eye(3)[labels]
    logits[0, 2] = broken
    found = evaluation(logits, Samples(np.zeros((3, 8, 8, 3), dtype=np.uint8), labels, ("a", "b", "c")))
    assert found.overall.accuracy >= 2 / 3
    assert np.isnan([found.overall.loss, found.overall.calibration_error, found.by_class["a"].loss]).all()
