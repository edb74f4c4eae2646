"""Costs and a budget become the price of a unit of cost: one small object a task, updated once a period.

Values may have a shape, a price for each of several games. Rules of `iovsim.policies.price`, which the engine asks, are
prices too (`RulePrice`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from iovsim.domain import FloatArray, PriceRule, RoundUse
from iovsim.errors import ScenarioError


class Price(Protocol):
    """What bandits pay for a unit of cost."""

    @property
    def value(self) -> FloatArray: ...

    def update(self, cost: FloatArray, budget: FloatArray, clients: int) -> None:
        """Takes the costs of a period, summed over its clients, and what they were allowed."""
        ...


@dataclass(slots=True, eq=False)
class AnytimePrice:
    """lam <- clip(lam + scale / sqrt(k) (sum of costs - budget) / clients, 0, ceiling) in the k-th update, from 0.

    Dual ascent with steps that fall (ours). Until T clients x sum of (lam_k - lam_k-1) / eta_k is overspent, as long as
    no bound is met. With steps eta_k that fall no horizon has to be known, the first ones find the price at once, and
    once it is settled the sum hardly grows. A constant step, 4 / sqrt(T), is the inferred form of P1's (see
    `iovsim.policies.price.DualPrice`), and overspends clients x lam sqrt(T) / 4 until T.

    scale 4 and a ceiling of 2 / (share of the budget that is left when all play their cheapest arm) are those of the
    inferred form; 5 stands for 40 %. A round without clients says nothing and changes nothing.
    """

    scale: float = 4.0
    ceiling: float = 5.0
    shape: tuple[int, ...] = ()
    updates: int = 0
    value: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        for name in ("scale", "ceiling"):
            if not getattr(self, name) > 0:
                raise ScenarioError(f"price {name} = {getattr(self, name):g}: must be above 0.")
        self.value = np.zeros(self.shape)

    def update(self, cost: FloatArray, budget: FloatArray, clients: int) -> None:
        if clients == 0:
            return
        self.updates += 1
        moved = self.value + self.scale / math.sqrt(self.updates) * (cost - budget) / clients
        self.value = np.asarray(np.clip(moved, 0.0, self.ceiling))


@dataclass(slots=True, eq=False)
class QueuePrice:
    """The virtual queue of the pessimistic-optimistic bandit (Liu, Li, Shi, Ying, NeurIPS 2021, arXiv 2102.05295).

    Q <- max(Q + (sum of costs - budget) / clients + eps_t, 0), price Q / V_t. The tightening eps_t is the pessimism.
    The schedules V_t = slater sqrt(2 t) and eps_t = sqrt(2 / t), for one constraint, are from memory; `slater` is by
    how much a client's mean cost can stay below its share of the budget.
    """

    slater: float
    shape: tuple[int, ...] = ()
    updates: int = 0
    queue: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        if not self.slater > 0:
            raise ScenarioError(f"slater = {self.slater:g}: must be above 0; the budget has to leave something over.")
        self.queue = np.zeros(self.shape)

    @property
    def value(self) -> FloatArray:
        return self.queue / (self.slater * math.sqrt(2.0 * (self.updates + 1)))

    def update(self, cost: FloatArray, budget: FloatArray, clients: int) -> None:
        if clients == 0:
            return
        self.updates += 1
        tightening = math.sqrt(2.0 / self.updates)
        self.queue = np.maximum(self.queue + (cost - budget) / clients + tightening, 0.0)


@dataclass(slots=True, eq=False)
class RulePrice:
    """A price rule of the engine's, asked for each of several games; costs stand for its joules."""

    rule: PriceRule
    games: int
    updates: int = 0
    value: FloatArray = field(init=False)  # (games,)

    def __post_init__(self) -> None:
        self.value = np.zeros(self.games)

    def update(self, cost: FloatArray, budget: FloatArray, clients: int) -> None:
        self.value = np.array(
            [
                self.rule.update(price, RoundUse(self.updates, float(budget), used, clients, clients))
                for price, used in zip(self.value.tolist(), cost.tolist(), strict=True)
            ]
        )
        self.updates += 1
