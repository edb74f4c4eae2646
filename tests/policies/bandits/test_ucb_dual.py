"""UCB-DUAL against a sequence worked out by hand, and what it promises for any statistics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iovsim.errors import PolicyError, ScenarioError
from iovsim.policies.bandits import AnytimePrice, Forgetting, Offer, Statistics, Tally, UcbDual, adjacent

RNG = np.random.default_rng(0)  # asked by nobody here


def offer(price: float = 0.0, feasible: tuple[bool, ...] = (True, True, True), at_round: int = 1) -> Offer:
    return Offer(at_round, np.array(feasible), np.array(price))


def tally(counts: list[float], rewards: list[float], costs: list[float]) -> Tally:
    n = np.array(counts)
    return Tally(n, n * rewards, n * costs)


def test_a_sequence_by_hand() -> None:
    """Rewards 0.2, 0.5, 0.6 and costs 0.1, 0.4, 1.0, always; scales 0.5 and 0.1.

    After one play each, N = 3 and w = sqrt(2 ln 3) = 1.482: all rewards are capped at 1 or near it (0.941, 1, 1), lower
    bounds of cost are 0, 0.252 and 0.852. At price 0 the tie of the second and third goes to the smaller rank. At price
    0.3 the first leads with 0.941 against 0.924 and 0.744.
    """
    rule = UcbDual(0.5, 0.1)
    outcome = ([0.2, 0.5, 0.6], [0.1, 0.4, 1.0])
    statistics = Statistics((3,))
    chosen = []
    for at_round, price in enumerate([0.0, 0.0, 0.0, 0.0, 0.3, 0.3, 2.0], start=1):
        arm = rule.choose(statistics.tally(at_round), offer(price, at_round=at_round), RNG).arm
        chosen.append(int(arm))
        statistics.observe(at_round, arm, np.array(outcome[0][arm]), np.array(outcome[1][arm]))
    assert chosen[:4] == [0, 1, 2, 1]
    # N = 4: w = sqrt(2 ln 4) = 1.665 for arms 0 and 2, 1.177 for arm 1
    #   0: min(1, 0.2 + 0.833) = 1 - 0.3 * 0                    = 1.000
    #   1: min(1, 0.5 + 0.589) = 1 - 0.3 * (0.4 - 0.118)        = 0.915
    #   2:                       1 - 0.3 * (1.0 - 0.167)        = 0.750
    # N = 5: w = 1.794 / sqrt(n): 1.269, 1.269, 1.794
    #   0: 0.2 + 0.634 - 0.3 * 0                                = 0.834
    #   1: 1 - 0.3 * (0.4 - 0.127)                              = 0.918
    # N = 6: w = 1.893 / sqrt(n): 1.339, 1.093, 1.893; price 2
    #   0: 0.2 + 0.669 - 2 * 0                                  = 0.869
    #   1: 1 - 2 * (0.4 - 0.109)                                = 0.419
    assert chosen[4:] == [0, 1, 0]
    index = rule.index(statistics.tally(8), offer(2.0))
    width = [math.sqrt(2 * math.log(7) / n) for n in (3, 3, 1)]
    assert index == pytest.approx(
        [min(1, r + 0.5 * w) - 2.0 * max(0, c - 0.1 * w) for r, c, w in zip(outcome[0], outcome[1], width, strict=True)]
    )


def test_what_was_never_played_comes_first_and_the_smallest_before_the_others() -> None:
    known = tally([3.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0])
    assert UcbDual().choose(known, offer(), RNG).arm == 1
    assert UcbDual().choose(known, offer(feasible=(True, False, True)), RNG).arm == 2
    assert UcbDual().choose(known, offer(feasible=(True, False, False)), RNG).arm == 0


numbers = st.lists(st.floats(0, 1), min_size=3, max_size=3)
counts = st.lists(st.integers(0, 50).map(float), min_size=3, max_size=3)


@given(counts, numbers, numbers, st.floats(0, 5))
def test_at_price_zero_costs_play_no_part_and_a_rising_price_never_buys_more(
    n: list[float], rewards: list[float], costs: list[float], price: float
) -> None:
    known = tally(n, rewards, costs)
    free = UcbDual().choose(known, offer(0.0), RNG).arm
    assert free == UcbDual(cost_scale=0.0).choose(tally(n, rewards, [0.0] * 3), offer(0.0), RNG).arm
    paying = UcbDual(cost_scale=0.0).choose(known, offer(price), RNG).arm
    if min(n) > 0:
        mean_costs = known.means()[1]
        assert mean_costs[paying] <= mean_costs[free] + 1e-12


def test_a_price_that_returned_to_zero_leaves_plain_ucb() -> None:
    price = AnytimePrice()
    known = tally([90.0, 90.0, 90.0], [0.3, 0.5, 0.6], [0.1, 0.4, 1.0])
    price.update(np.array(2.0), np.array(1.0), 1)
    assert UcbDual().choose(known, Offer(1, np.ones(3, bool), price.value), RNG).arm == 0
    for _ in range(10):
        price.update(np.array(0.2), np.array(1.0), 1)
    assert price.value == 0.0
    assert UcbDual().choose(known, Offer(1, np.ones(3, bool), price.value), RNG).arm == 2


@pytest.mark.parametrize(
    ("forgetting", "follows"),
    [(Forgetting(), False), (Forgetting(discount=0.9), True), (Forgetting(window=20), True)],
)
def test_only_who_forgets_follows_when_the_best_arm_changes(forgetting: Forgetting, follows: bool) -> None:
    """Two arms without noise change places after 400 rounds; shares of the better one in the 100 rounds that follow."""
    statistics, better = Statistics((2,), forgetting), []
    for at_round in range(1, 501):
        best_now = 0 if at_round <= 400 else 1
        arm = UcbDual(0.1).choose(statistics.tally(at_round), offer(feasible=(True, True), at_round=at_round), RNG).arm
        reward = 0.8 if arm == best_now else 0.2
        statistics.observe(at_round, arm, np.array(reward), np.array(0.0))
        better.append(arm == best_now)
    assert np.mean(better[:400]) > 0.8
    assert (np.mean(better[400:]) > 0.5) == follows


@pytest.mark.parametrize(
    ("feasible", "current", "near"),
    [
        ((1, 1, 1, 1), 1, (1, 1, 1, 0)),
        ((1, 1, 1, 1), 0, (1, 1, 0, 0)),
        ((1, 1, 1, 1), 3, (0, 0, 1, 1)),
        ((1, 0, 1, 1), 2, (1, 0, 1, 1)),  # neighbours among those that are feasible
        ((1, 0, 1, 1), 1, (1, 0, 1, 0)),  # the current one is not: the nearest below and above
        ((1, 1, 0, 0), 3, (0, 1, 0, 0)),
        ((0, 0, 1, 1), 0, (0, 0, 1, 0)),
        ((1, 0, 1, 1), -1, (1, 0, 1, 1)),  # none yet
    ],
)
def test_adjacent_arms(feasible: tuple[int, ...], current: int, near: tuple[int, ...]) -> None:
    assert adjacent(np.array(feasible, bool), np.array(current)).astype(int).tolist() == list(near)


def test_who_can_play_nothing_is_not_asked() -> None:
    with pytest.raises(PolicyError, match="no arm is feasible"):
        Offer(1, np.array([[True, False], [False, False]]), np.array(0.0))


def test_negative_scales_are_refused() -> None:
    with pytest.raises(ScenarioError, match=r"cost_scale = -1: must be 0"):
        UcbDual(cost_scale=-1.0)
