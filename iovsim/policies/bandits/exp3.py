"""EXP3: losses of the arms played become probabilities of all, without any belief about how losses come about."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from iovsim.domain import FloatArray
from iovsim.errors import ScenarioError
from iovsim.policies.bandits.offers import Choice, Noise, Offer
from iovsim.policies.bandits.statistics import played


@dataclass(slots=True, eq=False)
class Exp3:
    """Plays feasible arm a with a probability proportional to exp(-eta_t L_a), L the sum of its losses over their p.

    eta_t = scale sqrt(ln K / (K t)), t the round, K the number of arms: Bubeck and Cesa-Bianchi 2012, theorem 3.1 (from
    memory). The loss (1 - x + price c) / (1 + price) lies in [0, 1]; ours, since EXP3 knows no costs.
    """

    shape: tuple[int, ...]  # (*batch, arms)
    scale: float = 1.0
    _losses: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise ScenarioError(f"exp3: scale = {self.scale:g}: must be above 0.")
        self._losses = np.zeros(self.shape)

    def choose(self, offer: Offer, noise: Noise) -> Choice:
        arms = self.shape[-1]
        eta = self.scale * math.sqrt(math.log(arms) / (arms * offer.round))
        weight = np.where(offer.feasible, -eta * self._losses, -np.inf)
        weight = np.exp(weight - weight.max(axis=-1, keepdims=True))
        share = weight / weight.sum(axis=-1, keepdims=True)
        up_to = np.cumsum(share, axis=-1)
        arm = (up_to > noise.random((*self.shape[:-1], 1)) * up_to[..., -1:]).argmax(axis=-1)
        return Choice(offer, arm, share.reshape(-1)[played(arm, arms)])

    def observe(self, choice: Choice, reward: FloatArray, cost: FloatArray) -> None:
        price = choice.offer.price
        loss = (1.0 - reward + price * cost) / (1.0 + price)
        self._losses.reshape(-1)[played(choice.arm, self.shape[-1])] += loss / choice.probability
