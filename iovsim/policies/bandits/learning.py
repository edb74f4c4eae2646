"""A rule and statistics become a learner."""

from __future__ import annotations

from dataclasses import dataclass

from iovsim.domain import FloatArray
from iovsim.policies.bandits.offers import Choice, Noise, Offer, Rule
from iovsim.policies.bandits.statistics import Statistics


@dataclass(frozen=True, slots=True, eq=False)
class Learning:
    """A rule that learns from outcomes of its own; with `shares` a batch pools what it knows (`Tally.pooled`)."""

    rule: Rule
    statistics: Statistics
    shares: FloatArray | None = None  # (vehicles, vehicles)

    def choose(self, offer: Offer, noise: Noise) -> Choice:
        tally = self.statistics.tally(offer.round)
        return self.rule.choose(tally if self.shares is None else tally.pooled(self.shares), offer, noise)

    def observe(self, choice: Choice, reward: FloatArray, cost: FloatArray) -> None:
        self.statistics.observe(choice.offer.round, choice.arm, reward, cost)
