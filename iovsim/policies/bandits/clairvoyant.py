"""True means of arms and a budget become the best mixture of arms: what regret is measured against."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from iovsim.domain import FloatArray
from iovsim.errors import PolicyError


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """The most reward that a round can have on average within its budget."""

    value: float  # reward of a round, summed over vehicles
    price: float  # of a unit of cost: what one more of it would be worth; 0 where the budget does not bind
    mixture: FloatArray  # (vehicles, arms), rows sum to 1


def optimum(rewards: FloatArray, costs: FloatArray, budget: float) -> Optimum:
    """max sum p x over mixtures p of each vehicle's arms, with sum p c <= budget. Means are (vehicles, arms).

    A linear program with one constraint over simplices (the relaxed multiple-choice knapsack), solved exactly: every
    vehicle begins at its cheapest arm and climbs the upper concave hull of its arms, the most efficient step of all
    first, until the budget is used up (Sinha and Zoltners 1979; Kellerer et al., Knapsack Problems, 11.2).
    Raises `PolicyError` where the budget is below the sum of the cheapest arms.
    """
    mixture = np.zeros(rewards.shape)
    steps: list[tuple[float, int, int, int, float]] = []
    for vehicle, (gains, spent) in enumerate(zip(rewards, costs, strict=True)):
        hull = _hull(gains, spent)
        mixture[vehicle, hull[0]] = 1.0
        for a, b in pairwise(hull):
            steps.append(((gains[b] - gains[a]) / (spent[b] - spent[a]), vehicle, a, b, float(spent[b] - spent[a])))
    left = budget - float((mixture * costs).sum())
    if left < -1e-12 * abs(budget):
        raise PolicyError(f"bandit: a budget of {budget:g} is below {budget - left:g}, the cost of the cheapest arms.")
    price = 0.0
    for efficiency, vehicle, a, b, more in sorted(steps, key=lambda step: (-step[0], *step[1:])):
        part = min(1.0, max(left, 0.0) / more)
        mixture[vehicle, b] += part
        mixture[vehicle, a] -= part
        left -= part * more
        if part < 1.0:
            price = float(efficiency)
            break
    return Optimum(float((mixture * rewards).sum()), price, mixture)


def _hull(gains: FloatArray, spent: FloatArray) -> list[int]:
    """Arms on the upper concave hull, from the cheapest to the most rewarding; of equal ones the first."""
    hull: list[int] = []
    for arm in sorted(range(len(gains)), key=lambda a: (spent[a], -gains[a], a)):
        if hull and gains[arm] <= gains[hull[-1]]:
            continue  # dearer, and no better
        while len(hull) > 1:
            a, b = hull[-2:]
            if (gains[b] - gains[a]) * (spent[arm] - spent[a]) > (gains[arm] - gains[a]) * (spent[b] - spent[a]):
                break
            hull.pop()
        hull.append(arm)
    return hull
