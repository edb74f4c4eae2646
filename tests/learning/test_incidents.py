"""Incident messages: each depends on its own stream alone, districts differ, and no slot is left unfilled."""

from __future__ import annotations

import numpy as np
import pytest

from iovsim.domain import IntArray
from iovsim.errors import TrainingError
from iovsim.learning.generated.incident_kinds import KINDS
from iovsim.learning.generated.incident_noise import NOISE, disturb
from iovsim.learning.generated.incident_sentences import ASIDE, PLAIN
from iovsim.learning.generated.incidents import CLASSES, QUARTERS, STYLES, class_mix, write
from iovsim.rng import stream


def _wanted(count: int, districts: int = 5) -> tuple[IntArray, IntArray]:
    rows = np.arange(count)
    return rows % len(CLASSES), rows // len(CLASSES) % districts


def test_a_message_does_not_depend_on_the_other_messages() -> None:
    labels, districts = _wanted(60)
    messages = write(labels, districts, 3, part="train")
    assert write(labels[:20], districts[:20], 3, part="train") == messages[:20]
    others = labels.copy()
    others[:30] = (others[:30] + 1) % len(CLASSES)
    changed = write(others, districts, 3, part="train")
    assert changed[30:] == messages[30:]
    assert all(a != b for a, b in zip(changed[:30], messages[:30], strict=True))


@pytest.mark.parametrize(("seed", "part"), [(4, "train"), (3, "test")])
def test_seed_and_part_change_the_messages(seed: int, part: str) -> None:
    labels, districts = _wanted(50)
    ours, others = write(labels, districts, 3, part="train"), write(labels, districts, seed, part=part)
    assert not set(ours) & set(others)


def test_many_messages_are_finished_sentences_that_do_not_repeat() -> None:
    labels, districts = _wanted(1500, districts=9)
    messages = write(labels, districts, 0, part="train")
    assert not [m for m in messages if "{" in m or "}" in m or "  " in m or m != m.strip() or " ," in m]
    assert len(set(messages)) > 1490
    assert np.median([len(m.split()) for m in messages]) > 10


def test_every_class_can_be_told_by_its_own_words_more_often_than_others() -> None:
    labels, districts = _wanted(1000)
    messages = [m.lower() for m in write(labels, districts, 0, part="train")]
    telling = ("cra", "hazard", "works", "traffic", "debris", "ice", "signal", "ambul", "wrong", "people")
    for label, word in enumerate(telling):
        share = np.array([word in m for m in messages])
        assert share[labels == label].mean() > 1.5 * share[labels != label].mean(), (CLASSES[label], word)


def test_the_places_of_two_districts_have_different_names() -> None:
    labels = np.zeros(300, dtype=np.int64)
    city, motorway = (write(labels, np.full(300, d), 0, part="train") for d in (0, 1))
    assert sum(any(k in m for k in ("bypass", "flyover", "viaduct")) for m in city) == 0
    assert sum(any(k in m for k in ("bypass", "flyover", "viaduct")) for m in motorway) > 50
    same_kind = write(labels, np.full(300, 5), 0, part="train")
    assert len({w for m in city for w in m.split() if w.istitle()} ^ {w for m in same_kind for w in m.split()}) > 50


def test_class_mix_is_a_distribution_and_differs_from_place_to_place() -> None:
    mixes = [class_mix(d) for d in range(len(QUARTERS))]
    assert all(mix.shape == (len(CLASSES),) and np.isclose(mix.sum(), 1) and mix.min() > 0.03 for mix in mixes)
    assert CLASSES[int(mixes[0].argmax())] == "signal failure"
    assert CLASSES[int(mixes[2].argmax())] == "roadworks"
    assert np.array_equal(class_mix(len(QUARTERS)), mixes[0])


def test_the_tables_name_only_known_classes_and_styles() -> None:
    assert {name for quarter in QUARTERS for name in quarter.common} <= set(CLASSES)
    assert set(STYLES) == set(PLAIN) == set(ASIDE) == set(NOISE)
    assert all(np.isclose(sum(q.styles), 1) and len(q.styles) == len(STYLES) for q in QUARTERS)
    assert len(CLASSES) == len(set(CLASSES)) == len(KINDS)


def test_negations_are_never_lost_and_articles_often() -> None:
    text = "no crash, not the jam but the ice"
    noisy = [disturb(text, NOISE["dispatch"], stream(0, "noise", k)).lower() for k in range(200)]
    assert all({"no", "not", "but"} <= set(message.replace(",", " ").split()) for message in noisy)
    assert sum(" the " in message for message in noisy) < 100


@pytest.mark.parametrize(
    ("labels", "districts", "message"),
    [
        ([0, 1], [0], r"labels \(2,\) and districts \(1,\) must be equally long"),
        ([0, 10], [0, 0], r"labels run from 0 to 10; allowed: 0 to 9"),
        ([-1], [0], r"labels run from -1 to -1; allowed: 0 to 9"),
    ],
)
def test_wrong_labels_are_refused(labels: list[int], districts: list[int], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        write(np.array(labels), np.array(districts), 0, part="train")
