"""Epsilon-greedy: the statistics of arms become the best so far, and now and then any other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from iovsim.errors import ScenarioError
from iovsim.policies.bandits.offers import Choice, Noise, Offer, best, priced
from iovsim.policies.bandits.statistics import Tally


@dataclass(frozen=True, slots=True)
class EpsilonGreedy:
    """With probability min(1, scale (K ln t / t)^(1/3)) any feasible arm, otherwise that of the largest x - price c.

    x and c are means, t is the round, K the number of arms. Schedule: Slivkins, Introduction to Multi-Armed Bandits,
    2019, theorem 1.4, from memory; it needs no knowledge of the arms, and its regret is of order T^(2/3). Arms never
    played come first.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        if not self.scale >= 0:
            raise ScenarioError(f"epsilon-greedy: scale = {self.scale:g}: must be 0 (greedy) or more.")

    def epsilon(self, arms: int, at_round: int) -> float:
        """The probability of exploring."""
        return min(1.0, self.scale * math.cbrt(arms * math.log(at_round) / at_round))

    def choose(self, tally: Tally, offer: Offer, noise: Noise) -> Choice:
        reward, cost = tally.means()
        greedy = best(np.where(tally.counts > 0, priced(reward, cost, offer), np.inf), offer)
        drawn = noise.random((*greedy.arm.shape, 2))
        feasible = offer.feasible.sum(axis=-1)
        wished = (drawn[..., 1] * feasible).astype(np.int64) + 1  # the so manieth feasible one
        any_arm = (np.cumsum(offer.feasible, axis=-1) == wished[..., None]).argmax(axis=-1)
        epsilon = self.epsilon(offer.feasible.shape[-1], offer.round)
        explores = drawn[..., 0] < epsilon
        arm = np.where(explores, any_arm, greedy.arm)
        probability = epsilon / feasible + np.where(arm == greedy.arm, 1.0 - epsilon, 0.0)
        return Choice(offer, arm, probability)
