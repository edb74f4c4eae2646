"""What may be played now becomes a choice: the nouns and protocols of all bandits here.

Arrays have the shape (*batch, arms) or (*batch): a policy calls with an empty batch, once for each vehicle, the regret
laboratory with (seeds, vehicles) for all at once. Arms are ordered, the smallest rank first. Rewards and costs lie in
[0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from iovsim.domain import FloatArray, IntArray
from iovsim.errors import PolicyError
from iovsim.policies.bandits.statistics import Tally

BoolArray = NDArray[np.bool_]


class Noise(Protocol):
    """Where bandits take random numbers from; a numpy `Generator` is one."""

    def random(self, size: tuple[int, ...], /) -> FloatArray: ...

    def standard_normal(self, size: tuple[int, ...], /) -> FloatArray: ...


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """What is asked: one of the feasible arms, at a price.

    Raises `PolicyError` where nothing is feasible: who cannot play is not asked.
    """

    round: int  # from 1
    feasible: BoolArray  # (*batch, arms)
    price: FloatArray  # of a unit of cost, (*batch) or what broadcasts to it
    context: FloatArray | None = None  # (*batch, features), for those that look at it

    def __post_init__(self) -> None:
        if not self.feasible.any(axis=-1).all():
            raise PolicyError("bandit: no arm is feasible; leave out vehicles that can play none.")


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What was chosen, kept by the caller until the outcome is known."""

    offer: Offer
    arm: IntArray  # (*batch)
    probability: FloatArray  # of that arm when it was chosen, (*batch); 1 where nothing is drawn


class Rule(Protocol):
    """A bandit that knows nothing but the arms' statistics, so that these may be shared and carried."""

    def choose(self, tally: Tally, offer: Offer, noise: Noise) -> Choice: ...


class Learner(Protocol):
    """A bandit with what it remembers."""

    def choose(self, offer: Offer, noise: Noise) -> Choice: ...

    def observe(self, choice: Choice, reward: FloatArray, cost: FloatArray) -> None: ...


def best(index: FloatArray, offer: Offer) -> Choice:
    """The feasible arm of the largest index; of equal ones the smallest."""
    arm = np.where(offer.feasible, index, -np.inf).argmax(axis=-1)
    return Choice(offer, arm, np.ones(arm.shape))


def priced(reward: FloatArray, cost: FloatArray, offer: Offer) -> FloatArray:
    """Reward minus the price of the cost, (*batch, arms)."""
    return reward - offer.price[..., None] * cost


def adjacent(feasible: BoolArray, current: IntArray) -> BoolArray:
    """The feasible arms next to the current one, and itself; all feasible ones where `current` is -1.

    Neighbours are counted among the feasible arms; where the current one is feasible no longer, the nearest feasible
    ones below and above are left.
    """
    place = np.cumsum(feasible, axis=-1)  # how many feasible arms there are up to each
    before = np.where(current >= 0, np.take_along_axis(place, np.maximum(current, 0)[..., None], -1)[..., 0], 0)
    itself = np.take_along_axis(feasible, np.maximum(current, 0)[..., None], -1)[..., 0]
    low = before - itself
    near = feasible & (place >= low[..., None]) & (place <= (before + 1)[..., None])
    return np.where((current >= 0)[..., None], near, feasible)
