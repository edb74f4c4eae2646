"""Costs and a budget become the price of a unit of cost: one small object a task, updated once a period."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np

from iovsim.domain import FloatArray
from iovsim.errors import ScenarioError


class Price(Protocol):
    """What bandits pay for a unit of cost."""

    @property
    def value(self) -> FloatArray: ...

    def update(self, cost: FloatArray, budget: FloatArray, clients: int) -> None: ...


class Step(StrEnum):
    """How the steps of a dual price go on."""

    DECREASING = "decreasing"
    CONSTANT = "constant"


@dataclass(slots=True, eq=False)
class DualPrice:
    """lam <- clip(lam + eta_k (sum of costs - budget) / clients, 0, ceiling): dual ascent, from 0.

    What was overspent until T is clients x sum of (lam_k - lam_k-1) / eta_k, as long as no bound is met.
    step 'decreasing': eta_k = scale / sqrt(k) in the k-th update. Ours: no horizon has to be known, the first steps
    find the price at once, and once it is settled the sum above hardly grows.
    step 'constant': eta = scale. With scale 4 / sqrt(T) it is the inferred form of P1's, which overspends clients x lam
    sqrt(T) / 4 until T. P1's authors' code has 0.01, on ranks, not divided by clients and without ceiling.

    The inferred form has scale 4 and a ceiling of 2 / (share of the budget that is left when all play their cheapest
    arm); 5 stands for 40 %. A round without clients says nothing and changes nothing (ours).
    """

    scale: float = 4.0
    step: Step = Step.DECREASING
    ceiling: float = 5.0
    shape: tuple[int, ...] = ()
    updates: int = 0
    value: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise ScenarioError(f"price scale = {self.scale:g}: must be above 0.")
        if not self.ceiling >= 0:
            raise ScenarioError(f"price ceiling = {self.ceiling:g}: must be 0 (no price) or more.")
        self.value = np.zeros(self.shape)

    def update(self, cost: FloatArray, budget: FloatArray, clients: int) -> None:
        """Takes the costs of a period, summed over its clients, and what they were allowed."""
        if clients == 0:
            return
        self.updates += 1
        eta = self.scale / math.sqrt(self.updates) if self.step is Step.DECREASING else self.scale
        self.value = np.asarray(np.clip(self.value + eta * (cost - budget) / clients, 0.0, self.ceiling))


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
        """Takes the costs of a period, summed over its clients, and what they were allowed."""
        if clients == 0:
            return
        self.updates += 1
        tightening = math.sqrt(2.0 / self.updates)
        self.queue = np.maximum(self.queue + (cost - budget) / clients + tightening, 0.0)
