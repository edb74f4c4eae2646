"""A rule and statistics become a learner, and a learner one that moves to neighbouring ranks only."""

from __future__ import annotations

from dataclasses import dataclass, replace

from iovsim.domain import FloatArray, IntArray
from iovsim.policies.bandits.offers import Choice, Learner, Noise, Offer, Rule, adjacent
from iovsim.policies.bandits.statistics import Statistics


@dataclass(frozen=True, slots=True, eq=False)
class Learning:
    """A rule that learns from outcomes of its own.

    With `shares` a batch pools what it knows (`Tally.pooled`); with `costs` mean costs need not be learnt.
    """

    rule: Rule
    statistics: Statistics
    shares: FloatArray | None = None  # (vehicles, vehicles)
    costs: FloatArray | None = None  # (*batch, arms)

    def choose(self, offer: Offer, noise: Noise) -> Choice:
        tally = self.statistics.tally(offer.round)
        if self.shares is not None:
            tally = tally.pooled(self.shares)
        if self.costs is not None:
            tally = tally.with_costs(self.costs)
        return self.rule.choose(tally, offer, noise)

    def observe(self, choice: Choice, reward: FloatArray, cost: FloatArray) -> None:
        self.statistics.observe(choice.offer.round, choice.arm, reward, cost)


@dataclass(slots=True, eq=False)
class Adjacent:
    """A learner that is offered the current arm and its neighbours alone (P1's authors' code); any arm at first."""

    learner: Learner
    current: IntArray  # (*batch), -1 where none is yet

    def choose(self, offer: Offer, noise: Noise) -> Choice:
        near = replace(offer, feasible=adjacent(offer.feasible, self.current))
        choice = self.learner.choose(near, noise)
        self.current = choice.arm
        return choice

    def observe(self, choice: Choice, reward: FloatArray, cost: FloatArray) -> None:
        self.learner.observe(choice, reward, cost)
