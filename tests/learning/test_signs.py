"""The built-in road signs: repeatable, independent of their neighbours, different from place to place."""

from __future__ import annotations

import numpy as np
import pytest

from iovsim.errors import TrainingError
from iovsim.learning.generated import signs
from iovsim.learning.generated.glyphs import SHAPES, SIZE, pictogram, plate


def _render(labels: list[int], districts: list[int], seed: int = 1, part: str = "train") -> np.ndarray:
    return signs.render(np.array(labels), np.array(districts), seed, part=part)


def test_pictures_have_the_declared_form() -> None:
    images = _render([0, 1, 2], [0, 0, 1])
    assert images.shape == (3, 32, 32, 3)
    assert images.dtype == np.uint8
    assert images.std() > 10


def test_the_same_seed_draws_the_same_pictures_and_another_does_not() -> None:
    first, again, other = _render([3, 4], [0, 1]), _render([3, 4], [0, 1]), _render([3, 4], [0, 1], seed=2)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, _render([3, 4], [0, 1], part="test"))


def test_a_picture_does_not_depend_on_how_many_are_drawn() -> None:
    labels, districts = [k % 43 for k in range(300)], [k % 3 for k in range(300)]
    assert np.array_equal(_render(labels, districts)[:5], _render(labels[:5], districts[:5]))


def test_districts_differ_in_light() -> None:
    labels = np.zeros(256, dtype=np.int64)
    means = [signs.render(labels, np.full(256, d), 1, part="train").mean() for d in range(4)]
    assert np.ptp(means) > 5


def test_there_are_43_classes_with_names_and_templates_of_their_own() -> None:
    assert len(signs.SIGNS) == len(set(signs.CLASSES)) == 43
    flat = np.stack([signs.template(sign).numpy().ravel() for sign in signs.SIGNS])
    distance = np.abs(flat[:, None] - flat[None]).mean(axis=2) + np.eye(43)
    assert distance.min() > 0.001


def test_masks_are_coverage_and_smaller_plates_lie_inside() -> None:
    for shape in SHAPES:
        whole, inside = plate(shape), plate(shape, 0.8)
        assert whole.shape == (SIZE, SIZE)
        assert 0 <= whole.min() <= whole.max() <= 1
        assert 0 < inside.sum() < whole.sum()
        assert (inside <= whole + 1e-6).all()


def test_a_pictogram_turns_clockwise_and_mirrors() -> None:
    assert np.abs(pictogram("up:180") - pictogram("up")[::-1, ::-1]).mean() < 0.01
    assert np.abs(pictogram("turn:m") - pictogram("turn")[:, ::-1]).mean() < 0.01
    right = pictogram("up:90")
    assert right[:, SIZE // 2 :].sum() > right[:, : SIZE // 2].sum()  # the arrow's head points right


def test_wrong_labels_are_refused() -> None:
    with pytest.raises(TrainingError, match="labels run from 0 to 43; allowed: 0 to 42"):
        _render([0, 43], [0, 0])
    with pytest.raises(TrainingError, match="equally long"):
        _render([0, 1], [0])
