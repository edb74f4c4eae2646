"""Turns class labels and districts into messages about incidents on the road: the built-in text data.

A message is what a driver, a dispatcher or a machine would send. Its label is the incident that it reports as going on;
another one may be named as over, denied, mistaken for it or as a landmark. A district has its own kinds of incident,
names of places and mix of styles, so data differ from place to place. All laws and figures here are ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from iovsim.domain import FloatArray, IntArray
from iovsim.errors import TrainingError
from iovsim.learning.generated.incident_kinds import KINDS, phrases, pick
from iovsim.learning.generated.incident_noise import NOISE, disturb
from iovsim.learning.generated.incident_sentences import ASIDE, PLAIN, WORDS
from iovsim.rng import stream

CLASSES = tuple(kind.name for kind in KINDS)
STYLES = tuple(PLAIN)
ASIDES = 0.5  # share of the messages that name a second kind of incident, which is not their label

_SLOT = re.compile(r"\{(\w+)\}")
_SAID = tuple({slot: phrases(text) for slot, text in asdict(kind).items() if slot != "name"} for kind in KINDS)

NAMES = phrases(
    """Mill | Church | Elm | Station | King's | Victoria | Castle | Chapel | Park | Grove | Bishop | Abbey | Tanner |
    Cooper | Fisher | Baker | Priory | Orchard | Meadow | Hazel | Willow | Birch | Ash | Holly | Linden | Stone |
    Foundry | Market | Corn | Frost | Signal | Walker | Flood | Constable | Wells | Raven | Fox | Swan | Barley |
    Clay | Tower | Temple | Silver | Rose | Marsh | Long | Hollow | Kiln | Beacon | Thorn | Ferry | Maple | Nelson"""
)


@dataclass(frozen=True, slots=True)
class Quarter:
    """The character of a district: which incidents are commoner there, who writes, and what its places are called."""

    common: Mapping[str, float]  # weights of classes; all others weigh 1
    styles: tuple[float, ...]  # the probability of each of `STYLES`
    street: str
    mark: str


QUARTERS = (
    Quarter(
        {"signal failure": 4, "congestion": 3, "people on the road": 2.5, "emergency vehicle": 2},
        styles=(0.6, 0.3, 0.1),
        street="{} Street | {} Square | {} Lane | {} Row",
        mark="the town hall | the police station | the theatre | the tram stop | the bus station | the hospital",
    ),
    Quarter(
        {"collision": 3, "breakdown": 3, "wrong-way driver": 3, "congestion": 2, "obstacle": 2},
        styles=(0.3, 0.25, 0.45),
        street="the {} bypass | the {} flyover | the {} viaduct | the {} ring road | the {} interchange",
        mark="junction 4 | junction 11 | the services | the toll plaza | the emergency lay-by | exit 23",
    ),
    Quarter(
        {"roadworks": 4, "people on the road": 2.5, "breakdown": 1.5},
        styles=(0.7, 0.2, 0.1),
        street="{} Road | {} Avenue | {} Crescent | {} Gardens",
        mark="the primary school | the ice rink | the supermarket | the fire station | the garden centre | the park",
    ),
    Quarter(
        {"obstacle": 3.5, "roadworks": 2, "emergency vehicle": 2, "breakdown": 2},
        styles=(0.25, 0.55, 0.2),
        street="{} Quay | {} Dock Road | {} Wharf | {} Bridge | {} Works Road",
        mark="the container yard | the works gate | the weighbridge | the scrap yard | the ferry | the oil depot",
    ),
    Quarter(
        {"slippery road": 4, "obstacle": 2, "wrong-way driver": 1.5, "collision": 1.5},
        styles=(0.5, 0.25, 0.25),
        street="{} Pass | {} Hill | {} Valley Road | {} Bends",
        mark="the snow gate | the reservoir | the quarry | the walkers' car park | the level crossing | the farm shop",
    ),
)


def class_mix(district: int) -> FloatArray:
    """The probability of each of `CLASSES` in a district, (classes,), sum 1; districts take turns in character."""
    common = _quarter(district).common
    weights: FloatArray = np.array([common.get(name, 1.0) for name in CLASSES])
    weights /= weights.sum()
    return weights


def write(labels: IntArray, districts: IntArray, seed: int, *, part: str) -> tuple[str, ...]:
    """One message a label; message i depends on seed, part, i, its label and its district, and on no other message.

    `labels` and `districts` have shape (n,); labels index `CLASSES`.
    Raises `TrainingError` where the shapes differ or a label names no class.
    """
    if labels.shape != districts.shape or labels.ndim != 1:
        raise TrainingError(
            f"incidents: labels {labels.shape} and districts {districts.shape} must be equally long lists."
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(CLASSES):
        raise TrainingError(
            f"incidents: labels run from {labels.min()} to {labels.max()}; allowed: 0 to {len(CLASSES) - 1}."
        )
    return tuple(
        _message(int(label), int(district), seed, stream(seed, "incidents", part, i))
        for i, (label, district) in enumerate(zip(labels, districts, strict=True))
    )


def _message(label: int, district: int, seed: int, rng: np.random.Generator) -> str:
    style = STYLES[int(rng.choice(len(STYLES), p=_quarter(district).styles))]
    other = (label + int(rng.integers(1, len(KINDS)))) % len(KINDS)
    pattern = pick((ASIDE if rng.random() < ASIDES else PLAIN)[style], rng)
    lexicon = WORDS | _places(district, seed) | _SAID[label] | {f"other_{k}": ways for k, ways in _SAID[other].items()}
    return disturb(_expand(pattern, lexicon, rng), NOISE[style], rng)


def _quarter(district: int) -> Quarter:
    return QUARTERS[district % len(QUARTERS)]


@lru_cache(maxsize=256)
def _places(district: int, seed: int) -> dict[str, tuple[str, ...]]:
    """What the places of a district are called, and the ways of saying where."""
    rng = stream(seed, "incidents", "places", district)
    quarter = _quarter(district)
    names = [str(name) for name in rng.choice(NAMES, size=8, replace=False)]
    streets = tuple(pick(phrases(quarter.street), rng).format(name) for name in names)
    marks = tuple(str(mark) for mark in rng.choice(phrases(quarter.mark), size=4, replace=False))
    roads = tuple(f"the {pick('AB', rng)}{rng.integers(2, 90)}" for _ in range(2))
    ways = phrases(
        """on {street} | on {street} | on {street} | on {street} near {mark} | near {mark} | by {mark} |
        on {road} {bound} | on {road} {bound} at {mark} | at {corner}"""
    )
    return {
        "street": streets,
        "mark": marks,
        "road": roads,
        "bound": phrases("northbound | southbound | eastbound | westbound"),
        "corner": tuple(f"{a} and {b}" for a, b in pairwise(streets)),
        "at": ways,
    }


def _expand(pattern: str, lexicon: Mapping[str, Sequence[str]], rng: np.random.Generator) -> str:
    """Puts a drawn phrase in the place of each `{slot}`, until none is left."""
    while "{" in pattern:
        pattern = _SLOT.sub(lambda slot: pick(lexicon[slot[1]], rng), pattern)
    return pattern
