"""What UCB-DUAL is held against: each by hand, with random numbers that are given; and what all of them promise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.domain import FloatArray
from iovsim.errors import PolicyError, ScenarioError
from iovsim.policies.bandits import (
    Adjacent,
    AuthorsUcbDual,
    Choice,
    EpsilonGreedy,
    Exp3,
    Learner,
    Learning,
    LinUcb,
    Offer,
    Statistics,
    Tally,
    Thompson,
    UcbDual,
)


@dataclass
class Given:
    """Random numbers that are none: the same again and again."""

    numbers: list[float]

    def random(self, size: tuple[int, ...], /) -> FloatArray:
        return np.resize(np.array(self.numbers), size)

    def standard_normal(self, size: tuple[int, ...], /) -> FloatArray:
        return self.random(size)


KNOWN = Tally(np.array([4.0, 4.0, 1.0]), np.array([2.0, 3.0, 0.5]), np.array([0.4, 2.0, 1.0]))
"""Means 0.5, 0.75, 0.5 of reward and 0.1, 0.5, 1 of cost."""


def offer(price: float = 0.0, at_round: int = 1, context: FloatArray | None = None) -> Offer:
    return Offer(at_round, np.ones(3, bool), np.array(price), context)


def test_epsilon_greedy_by_hand() -> None:
    """At round 1000 epsilon is (3 ln 1000 / 1000)^(1/3) = 0.2747."""
    rule = EpsilonGreedy()
    epsilon = rule.epsilon(3, 1000)
    assert epsilon == pytest.approx((3 * math.log(1000) / 1000) ** (1 / 3)) == pytest.approx(0.2747, abs=1e-4)
    assert rule.epsilon(3, 2) == 1.0
    greedy = rule.choose(KNOWN, offer(at_round=1000), Given([0.28, 0.9]))
    assert (int(greedy.arm), float(greedy.probability)) == pytest.approx((1, 1 - epsilon + epsilon / 3))
    assert rule.choose(KNOWN, offer(1.0, 1000), Given([0.28, 0.9])).arm == 0  # 0.5 - 0.1 against 0.75 - 0.5
    exploring = rule.choose(KNOWN, offer(at_round=1000), Given([0.27, 0.9]))
    assert (int(exploring.arm), float(exploring.probability)) == pytest.approx((2, epsilon / 3))
    narrow = Offer(1000, np.array([True, False, True]), np.array(0.0))
    assert [int(rule.choose(KNOWN, narrow, Given([0.27, u])).arm) for u in (0.49, 0.51)] == [0, 2]


def test_thompson_by_hand() -> None:
    """Draws z for reward and cost in turn: arm 0 has 0.5 + 0.5 / 2 x -1 - price (0.1 + 0.2 / 2 x 1), and so on."""
    rule = Thompson(0.5, 0.2)
    draws = [-1.0, 1.0, 0.0, 0.0, 1.0, -1.0]
    # price 0: 0.25, 0.75, 0.5 + 0.5 = 1.0;  price 1: 0.05, 0.25, 1.0 - 0.8 = 0.2
    assert rule.choose(KNOWN, offer(0.0), Given(draws)).arm == 2
    assert rule.choose(KNOWN, offer(1.0), Given(draws)).arm == 1
    unplayed = Tally(np.array([4.0, 0.0, 1.0]), KNOWN.rewards, KNOWN.costs)
    assert rule.choose(unplayed, offer(1.0), Given(draws)).arm == 1


def test_exp3_by_hand() -> None:
    """Two rounds with three arms: first all are alike; then arm 1 has the loss (1 - 0.4 + 2 x 0.5) / 3 over p = 1/3.

    eta_2 = sqrt(ln 3 / 6) = 0.4279, L = 1.6, exp(-0.4279 x 1.6) = 0.5043: probabilities 0.3993, 0.2014, 0.3993.
    """
    bandit = Exp3((3,))
    first = bandit.choose(offer(2.0, at_round=1), Given([0.5]))
    assert (int(first.arm), float(first.probability)) == pytest.approx((1, 1 / 3))
    bandit.observe(first, np.array(0.4), np.array(0.5))
    chosen = {u: bandit.choose(offer(2.0, at_round=2), Given([u])) for u in (0.39, 0.41, 0.6, 0.61, 0.999)}
    assert [int(c.arm) for c in chosen.values()] == [0, 1, 1, 2, 2]
    assert [float(c.probability) for c in chosen.values()] == pytest.approx(
        [0.3993, 0.2014, 0.2014, 0.3993, 0.3993], abs=1e-4
    )


def test_linucb_of_one_feature_is_a_ridge_mean_by_hand() -> None:
    """With z = 1 and n plays A = 1 + n: the estimate is sum / (1 + n), the width 1 / sqrt(1 + n)."""
    bandit = LinUcb((3,), 1, reward_scale=1.0, cost_scale=0.5)
    z = np.ones(1)
    for arm, reward, cost in ((0, 1.0, 0.2), (0, 0.5, 0.2), (1, 0.9, 0.8)):
        asked = offer(context=z)
        bandit.observe(Choice(asked, np.array(arm), np.array(1.0)), np.array(reward), np.array(cost))
    # reward + width: 0.5 + 0.577, 0.45 + 0.707, 0 + 1; cost - width / 2: 0.133 - 0.289, 0.4 - 0.354, 0 - 0.5
    # price 0: 1.077, 1.157, 1.000;  price 1: 1.233, 1.111, 1.500
    assert bandit.choose(offer(0.0, context=z), Given([0.5])).arm == 1
    assert bandit.choose(offer(1.0, context=z), Given([0.5])).arm == 2


def test_linucb_shares_what_it_learns_over_vehicles_and_contexts() -> None:
    """Rewards of arm 1 are linear in the context; a vehicle whose context was never seen is told so."""
    bandit = LinUcb((1, 2, 2), 2, reward_scale=0.1, cost_scale=0.0)
    z = np.array([[[1.0, 0.0], [1.0, 1.0]]])
    for arm in (0, 1):
        for _ in range(50):
            asked = Offer(1, np.ones((1, 2, 2), bool), np.zeros((1, 1)), z)
            reward = np.array([[0.5, 0.5]]) if arm == 0 else z[..., 1]
            bandit.observe(Choice(asked, np.full((1, 2), arm), np.ones((1, 2))), reward, np.zeros((1, 2)))
    new = Offer(1, np.ones((1, 2, 2), bool), np.zeros((1, 1)), np.array([[[1.0, 0.2], [1.0, 0.8]]]))
    assert bandit.choose(new, Given([0.5])).arm.tolist() == [[0, 1]]


def test_who_moves_to_neighbours_only_never_jumps() -> None:
    """Arm 3 is by far the best; from arm 0, where the first pass begins, it is three moves away."""
    bandit = Adjacent(Learning(UcbDual(), Statistics((4,))), np.array(-1))
    arms = []
    for at_round in range(1, 200):
        choice = bandit.choose(Offer(at_round, np.ones(4, bool), np.array(0.0)), Given([0.5]))
        bandit.observe(choice, np.array([0.1, 0.2, 0.3, 0.9][int(choice.arm)]), np.array(0.0))
        arms.append(int(choice.arm))
    assert arms[:4] == [0, 1, 2, 3]
    assert max(abs(np.diff(arms))) == 1
    assert arms[100:].count(3) > 70


def learners(batch: tuple[int, ...]) -> list[Learner]:
    shape = (*batch, 4)
    return [
        *(Learning(rule, Statistics(shape)) for rule in (UcbDual(), EpsilonGreedy(), Thompson())),
        Exp3(shape),
        LinUcb(shape, 2),
        AuthorsUcbDual((8, 16, 24, 32), batch),
        Adjacent(Learning(UcbDual(), Statistics(shape)), np.full(batch, -1)),
    ]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(), (3,), (2, 3)]))
def test_all_play_what_is_feasible_whatever_has_happened(seed: int, batch: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    for learner in learners(batch):
        for at_round in range(1, 20):
            feasible = np.arange(4) <= rng.integers(0, 4, size=(*batch, 1))
            price = rng.uniform(0, 2, size=(*batch[:-1], 1) if batch else ())
            choice = learner.choose(Offer(at_round, feasible, price, rng.random((*batch, 2))), rng)
            assert choice.arm.shape == batch == choice.probability.shape
            assert np.take_along_axis(feasible, choice.arm[..., None], -1).all()
            assert ((choice.probability > 0) & (choice.probability <= 1 + 1e-12)).all()
            learner.observe(choice, rng.random(batch), rng.random(batch))


def test_a_batch_is_as_many_games_of_their_own() -> None:
    """One vehicle each in three games; only LinUCB shares over vehicles, so these are games of one."""
    for together, *apart in zip(learners((3, 1)), *(learners((1,)) for _ in range(3)), strict=True):
        if isinstance(together, Exp3) or getattr(together, "rule", None) in (EpsilonGreedy(), Thompson()):
            continue  # these draw
        rng = np.random.default_rng(1)
        for at_round in range(1, 60):
            feasible, context = np.ones((3, 1, 4), bool), rng.random((3, 1, 2))
            price, reward, cost = rng.uniform(0, 1, (3, 1)), rng.random((3, 1)), rng.random((3, 1))
            choice = together.choose(Offer(at_round, feasible, price, context), rng)
            together.observe(choice, reward, cost)
            for k, alone in enumerate(apart):
                mine = alone.choose(Offer(at_round, feasible[k], price[k], context[k]), rng)
                alone.observe(mine, reward[k], cost[k])
                assert mine.arm.tolist() == choice.arm[k].tolist()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: EpsilonGreedy(-1.0), ScenarioError, "scale = -1: must be 0"),
        (lambda: Exp3((3,), 0.0), ScenarioError, "scale = 0: must be above 0"),
        (lambda: Thompson(-1.0), ScenarioError, "reward_scale = -1"),
        (lambda: LinUcb((3,), 2).choose(offer(), Given([0.5])), PolicyError, "has none features; it must have 2"),
    ],
)
def test_wrong_parameters_are_refused(make: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()  # type: ignore[operator]
