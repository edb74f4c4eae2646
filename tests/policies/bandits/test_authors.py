"""The authors' UCB-DUAL: a sequence worked out by hand, and each of its defects."""

from __future__ import annotations

import math

import numpy as np
import pytest

from iovsim.policies.bandits import AuthorsUcbDual, Offer, RulePrice, authors_reward
from iovsim.policies.bandits.authors import PRICE_STEP
from iovsim.policies.price import DualPrice

RANKS = (8, 16, 24)
RNG = np.random.default_rng(0)


def play(bandit: AuthorsUcbDual, at_round: int, reward: float, price: float = 0.0, cap: int = 3) -> int:
    choice = bandit.choose(Offer(at_round, np.arange(3) < cap, np.array(price)), RNG)
    bandit.observe(choice, np.array(reward), np.array(0.0))
    return int(choice.arm)


def test_a_sequence_by_hand() -> None:
    """Begins at the largest; chooses in rounds 3, 6, ... among neighbours; initial index 155.

    Round 3: arm 2 has sum / n - price rank + bonus = 100 - 1 x 24 + sqrt(2 ln 2 / 2) = 76.8 (round 1 gave 76), so arm 1
    with its 155 is chosen. Its reward is 150: index 150 - 16 + sqrt(2 ln 3) = 135.5 replaces the initial one though it
    is smaller. Round 6: arm 0 with 155.
    """
    bandit = AuthorsUcbDual(RANKS, initial=155.0)
    assert [play(bandit, t, 100.0, price=1.0) for t in (1, 2)] == [2, 2]
    assert bandit._index.tolist() == pytest.approx([155, 155, 76 + math.sqrt(math.log(2))])
    assert [play(bandit, t, 150.0, price=1.0) for t in (3, 4, 5)] == [1, 1, 1]
    assert bandit._index[1] == pytest.approx(134 + math.sqrt(2 * math.log(3)))
    assert play(bandit, 6, 0.0) == 0


def test_the_index_is_a_running_maximum() -> None:
    bandit = AuthorsUcbDual(RANKS)
    for t in range(1, 3):
        play(bandit, t, 100.0)
    highest = bandit._index[2]
    for t in range(3, 30):
        play(bandit, t, 0.0, price=5.0)  # neither bad rewards nor a price are felt
    assert bandit._index[2] == highest


def test_with_rewards_of_their_size_nothing_is_explored() -> None:
    bandit = AuthorsUcbDual(RANKS)
    assert {play(bandit, t, authors_reward(0.7, 20.0, 200.0)) for t in range(1, 200)} == {2}
    curious = AuthorsUcbDual(RANKS, initial=155.0)
    assert {play(curious, t, authors_reward(0.7, 20.0, 200.0)) for t in range(1, 200)} == {0, 1, 2}


def test_a_smaller_cap_takes_the_rank_down() -> None:
    bandit = AuthorsUcbDual(RANKS)
    assert [play(bandit, 1, 100.0), play(bandit, 2, 100.0, cap=2), play(bandit, 3, 100.0)] == [2, 1, 1]


def test_caps_that_share_out_the_budget_keep_the_price_at_zero() -> None:
    """Three vehicles at their caps of 100 / 3 ranks; the budget is 100 ranks."""
    price = RulePrice(DualPrice(step=PRICE_STEP, reference_j=1.0, price_max=math.inf), games=1)
    for _ in range(20):
        price.update(np.array([33.0 + 33.0 + 34.0]), np.array(100.0), 1)
    assert price.value == 0.0
    price.update(np.array([150.0]), np.array(100.0), 1)
    assert price.value == 0.5


def test_the_reward_is_nearly_all_accuracy() -> None:
    assert authors_reward(0.8, 30.0, 300.0) == pytest.approx(144.0 - 4.8 - 0.3)
