"""The dual price follows what was spent, within its bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iovsim.domain import RoundUse
from iovsim.errors import ScenarioError
from iovsim.policies.price import DualPrice, NoPrice

JOULES = st.floats(0, 1e9)


def test_one_step_by_hand() -> None:
    rule = DualPrice(step=0.4, reference_j=50.0)
    assert rule.update(1.0, RoundUse(0, 100.0, 150.0, 6, 4.0)) == pytest.approx(1.0 + 0.4 * 50 / (50 * 4))
    assert rule.update(1.0, RoundUse(0, 100.0, 60.0, 1, 2.0)) == pytest.approx(1.0 - 0.4 * 40 / (50 * 2))


def test_falling_steps_are_shorter_from_round_to_round() -> None:
    rule = DualPrice(step=4.0, falling=True)
    moves = [rule.update(1.0, RoundUse(k, 100.0, 150.0, 10, 10.0)) - 1.0 for k in (0, 3, 99)]
    assert moves == pytest.approx([0.4, 0.2, 0.04])


@given(st.floats(0, 10), JOULES, JOULES, st.integers(0, 1000), st.floats(1, 1000))
def test_it_stays_between_0_and_the_most_and_moves_as_the_round_says(
    price: float, used_j: float, budget_j: float, clients: int, mean_clients: float
) -> None:
    after = DualPrice().update(price, RoundUse(0, budget_j, used_j, clients, mean_clients))
    assert 0.0 <= after <= 10.0
    if used_j >= budget_j:
        assert after >= price
    else:
        assert after <= price


def test_a_round_that_nobody_could_serve_leaves_it() -> None:
    assert DualPrice().update(2.5, RoundUse(0, 100.0, 0.0, 0, 3.0)) == 2.5


def test_without_a_price_there_is_none_and_nothing_is_sent() -> None:
    rule = NoPrice()
    assert rule.update(0.0, RoundUse(0, 1.0, 1e6, 1, 1.0)) == 0.0
    assert rule.bits == 0.0
    assert DualPrice().bits == 32.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DualPrice(step=0.0), r"step = 0: must be above 0"),
        (lambda: DualPrice(reference_j=-1.0), r"reference_j = -1: must be above 0"),
        (lambda: DualPrice(price_max=0.0), r"price_max = 0: must be above 0"),
        (lambda: DualPrice(bits=-32.0), r"bits = -32: must be at least 0"),
    ],
)
def test_wrong_parameters_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        make()


def play(
    budget_j: Sequence[float], seed: int, crowds: Sequence[int] = (10,), by_mean: bool = True
) -> tuple[list[float], list[float]]:
    """Prices and joules of rounds with these budgets, in which clients of 25 to 75 J join where it is worth it.

    `crowds` are the numbers of clients of the rounds, over and over; without `by_mean` each round is taken for usual.
    """
    rng = np.random.default_rng(seed)
    rule = DualPrice(step=4 / math.sqrt(len(budget_j)))
    price, prices, spent, met = 0.0, [], [], 0
    for number, budget in enumerate(budget_j):
        clients = crowds[number % len(crowds)]
        met += clients
        worth, cost_j = rng.uniform(0, 1, clients), rng.uniform(25, 75, clients)
        used_j = float(cost_j[worth >= price * cost_j / rule.reference_j].sum())
        prices.append(price)
        spent.append(used_j)
        mean = met / (number + 1) if by_mean else clients
        price = rule.update(price, RoundUse(0, budget, used_j, clients, mean))
    return prices, spent


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_binding_budget_is_kept_on_average_and_more_closely_the_longer_it_lasts(seed: int) -> None:
    violation = []
    for rounds in (100, 1_000, 10_000):
        prices, spent = play([200.0] * rounds, seed)  # all would spend 500
        violation.append(max(float(np.mean(spent)) - 200.0, 0.0) / 200.0)
        assert min(prices[rounds // 4 :]) > 0
    assert violation[2] < 0.01
    assert violation[2] < violation[1] < violation[0] < 0.2
    assert np.mean(spent) > 0.95 * 200.0, "and what is granted is used"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rounds_of_few_and_of_many_clients_keep_the_budget_together(seed: int) -> None:
    """Moved by a round's own number of clients the price would let busy rounds overspend."""
    spent = {by_mean: np.mean(play([200.0] * 4_000, seed, (2, 4, 30), by_mean)[1]) for by_mean in (True, False)}
    assert spent[True] == pytest.approx(200.0, rel=0.02)
    assert spent[False] > 1.1 * 200.0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_with_a_slack_budget_the_price_is_0_and_it_returns_there(seed: int) -> None:
    assert set(play([800.0] * 500, seed)[0]) == {0.0}
    prices, _ = play([200.0] * 500 + [800.0] * 500, seed)
    assert prices[499] > 0
    assert set(prices[600:]) == {0.0}
