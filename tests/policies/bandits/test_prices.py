"""Prices rise where the budget binds and fall to zero where it does not: by hand, and as properties."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iovsim.errors import ScenarioError
from iovsim.policies.bandits import AnytimePrice, QueuePrice, RulePrice
from iovsim.policies.price import DualPrice


def paid(price: AnytimePrice | QueuePrice, cost: float, budget: float, clients: int) -> float:
    price.update(np.array(cost), np.array(budget), clients)
    return float(price.value)


def test_decreasing_steps_by_hand() -> None:
    price = AnytimePrice(scale=4.0)
    assert float(price.value) == 0.0
    assert paid(price, 3.0, 2.0, 4) == pytest.approx(1.0)  # 4 / sqrt(1) * 1 / 4
    assert paid(price, 3.0, 2.0, 2) == pytest.approx(1.0 + 4 / math.sqrt(2) * 0.5)
    assert paid(price, 0.0, 2.0, 2) == pytest.approx(1.0 + 4 / math.sqrt(2) * 0.5 - 4 / math.sqrt(3))


def test_a_rule_of_the_engine_is_asked_for_each_game() -> None:
    """Step 0.5 to the ceiling of 0.6, and down again; a game that spends nothing stays at 0."""
    price = RulePrice(DualPrice(step=0.5, reference_j=1.0, price_max=0.6), games=2)
    found = []
    for cost in (2.0, 2.0, 0.5):
        price.update(np.array([cost, 0.0]), np.array(1.0), 1)
        found.append(price.value.tolist())
    assert found == [pytest.approx([0.5, 0.0]), pytest.approx([0.6, 0.0]), pytest.approx([0.35, 0.0])]


def test_a_round_without_clients_changes_nothing() -> None:
    for price in (AnytimePrice(), QueuePrice(0.5)):
        before = paid(price, 3.0, 1.0, 1)
        assert paid(price, 0.0, 1.0, 0) == before > 0
        assert price.updates == 1


@given(st.floats(0.5, 10), st.floats(0.01, 1), st.floats(1, 10))
def test_the_price_rises_over_budget_and_returns_to_zero_below(scale: float, over: float, ceiling: float) -> None:
    price = AnytimePrice(scale, ceiling)
    rising = [paid(price, 1.0 + over, 1.0, 1) for _ in range(20)]
    assert all(0 < a <= b <= ceiling for a, b in pairwise(rising))
    falling = [paid(price, 0.0, 1.0, 1) for _ in range(1000)]
    assert falling[-1] == 0.0
    assert all(b <= a for a, b in pairwise(falling))


def test_what_is_overspent_is_the_sum_that_the_docstring_says() -> None:
    price, overspent, expected, before = AnytimePrice(scale=2.0, ceiling=math.inf), 0.0, 0.0, 0.0
    rng = np.random.default_rng(0)
    for k in range(1, 200):
        cost = float(rng.uniform(1.9, 2.3))
        value = paid(price, cost, 2.0, 3)
        assert value > 0, "no bound is met"
        overspent += cost - 2.0
        expected += 3 * (value - before) * math.sqrt(k) / 2.0
        before = value
    assert overspent == pytest.approx(expected)


def test_the_queue_by_hand() -> None:
    """V_t = 0.5 sqrt(2 t), eps_t = sqrt(2 / t): before round 2 the queue holds 0.25 + sqrt(2), and V_2 is 1."""
    price = QueuePrice(slater=0.5)
    assert float(price.value) == 0.0
    assert paid(price, 1.5, 1.0, 2) == pytest.approx(0.25 + math.sqrt(2))
    assert paid(price, 0.0, 1.0, 1) == pytest.approx((0.25 + math.sqrt(2) - 1 + 1) / (0.5 * math.sqrt(6)))


def test_a_batch_has_a_price_each() -> None:
    price = AnytimePrice(shape=(2,))
    price.update(np.array([2.0, 0.5]), np.array(1.0), 1)
    assert price.value.tolist() == [4.0, 0.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AnytimePrice(scale=0.0), "price scale = 0: must be above 0"),
        (lambda: AnytimePrice(ceiling=-1.0), "price ceiling = -1: must be above 0"),
        (lambda: QueuePrice(slater=0.0), "slater = 0: must be above 0"),
    ],
)
def test_wrong_parameters_are_refused(make: object, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        make()  # type: ignore[operator]
