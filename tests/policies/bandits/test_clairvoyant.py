"""The clairvoyant mixture: by hand, and against a general solver of linear programs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from iovsim.domain import FloatArray
from iovsim.errors import PolicyError
from iovsim.policies.bandits import optimum


def test_by_hand() -> None:
    """One vehicle, rewards 0.2, 0.6, 0.8 at costs 0.1, 0.3, 0.7: a budget of 0.5 is half of arm 1, half of arm 2."""
    found = optimum(np.array([[0.2, 0.6, 0.8]]), np.array([[0.1, 0.3, 0.7]]), 0.5)
    assert found.mixture.tolist() == [pytest.approx([0.0, 0.5, 0.5])]
    assert (found.value, found.price) == pytest.approx((0.7, 0.5))


def test_where_the_budget_does_not_bind_the_price_is_zero() -> None:
    found = optimum(np.array([[0.2, 0.6, 0.5]]), np.array([[0.1, 0.3, 0.7]]), 0.3)
    assert (found.value, found.price) == (0.6, 0.0)


def test_a_budget_below_the_cheapest_arms_is_refused() -> None:
    with pytest.raises(PolicyError, match=r"a budget of 0.1 is below 0.2"):
        optimum(np.array([[0.5], [0.5]]), np.array([[0.1], [0.1]]), 0.1)


def solved(rewards: FloatArray, costs: FloatArray, budget: float) -> float:
    vehicles, arms = rewards.shape
    rows = np.kron(np.eye(vehicles), np.ones(arms))
    found = linprog(-rewards.ravel(), [costs.ravel()], [budget], rows, np.ones(vehicles), bounds=(0, 1))
    assert found.success
    return -float(found.fun or 0.0)


grid = st.integers(0, 20).map(lambda k: k / 20)  # many ties


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.data())
def test_it_is_what_a_linear_program_gives_and_its_price_proves_it(
    vehicles: int, arms: int, data: st.DataObject
) -> None:
    def draw() -> FloatArray:
        return np.array(data.draw(st.lists(grid, min_size=vehicles * arms, max_size=vehicles * arms))).reshape(
            vehicles, arms
        )

    rewards, costs = draw(), draw()
    low, high = costs.min(axis=1).sum(), costs.max(axis=1).sum()
    budget = low + data.draw(st.floats(0, 1.2)) * (high - low)
    found = optimum(rewards, costs, budget)
    assert found.value == pytest.approx(solved(rewards, costs, budget), abs=1e-7)
    assert (found.mixture >= -1e-12).all()
    assert found.mixture.sum(axis=1) == pytest.approx(np.ones(vehicles))
    assert (found.mixture * costs).sum() <= budget + 1e-9
    # weak duality: no mixture earns more than this, whatever the price; at the right one it is the optimum
    bound = (rewards - found.price * costs).max(axis=1).sum() + found.price * budget
    assert found.price >= 0
    assert bound == pytest.approx(found.value, abs=1e-9)
