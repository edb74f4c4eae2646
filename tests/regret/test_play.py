"""The laboratory's loop: seeds do not touch each other, players meet the same outcomes, each horizon is a game."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from iovsim.policies.bandits import UcbDual
from iovsim.regret.arms import synthetic
from iovsim.regret.laboratory import noted_rounds
from iovsim.regret.play import SeedStreams, play
from iovsim.regret.players import PLAYERS, Player, capped

ARMS = synthetic()


@pytest.mark.parametrize("name", PLAYERS)
def test_a_seed_plays_alike_alone_and_in_company(name: str) -> None:
    alone = play(PLAYERS[name], name, ARMS, [7], [30, 120])
    together = play(PLAYERS[name], name, ARMS, [3, 7], [30, 120])
    np.testing.assert_array_equal(alone.plays[:, 0], together.plays[:, 1])
    np.testing.assert_array_equal(alone.spent[:, 0], together.spent[:, 1])
    np.testing.assert_array_equal(alone.price[:, 0], together.price[:, 1])
    assert alone.plays.sum(axis=-1).tolist() == [[[30.0] * 6], [[120.0] * 6]]


def test_random_numbers_have_their_places() -> None:
    streams = SeedStreams((1, 2), ("x",))
    first = [streams.random((2, 3)) for _ in range(3)]
    streams.standard_normal((2, 3))
    again = SeedStreams((2,), ("x",))
    for numbers in first:
        assert again.random((1, 3))[0].tolist() == numbers[1].tolist()
    assert first[0].tolist() != first[1].tolist()


def test_outcomes_are_drawn_whatever_is_played() -> None:
    """Rewards of the same arms at the same rounds are equal: the draws are by round, not by play."""
    met: list[list[float]] = []

    def spy(arm: object, drawn: object, phase: int) -> object:
        met[-1].append(float(drawn.sum()))  # type: ignore[attr-defined]
        return ARMS.outcome(arm, drawn, phase)  # type: ignore[arg-type]

    watched = replace(ARMS, outcome=spy)  # type: ignore[arg-type]
    for name in ("ucb-dual", "thompson"):
        met.append([])
        play(PLAYERS[name], name, watched, [1], [50])
    assert met[0] == met[1]


def test_who_must_know_its_horizon_plays_each_anew() -> None:
    name = "ucb-dual-horizon"
    together = play(PLAYERS[name], name, ARMS, [1, 2], [20, 90])
    for k, horizon in enumerate((20, 90)):
        apart = play(PLAYERS[name], name, ARMS, [1, 2], [horizon])
        np.testing.assert_array_equal(apart.plays[0], together.plays[k])
    steps = [PLAYERS[name].price(ARMS, 1, horizon) for horizon in (100, 10_000)]
    assert [step.rule.step for step in steps] == [0.4, 0.04]  # type: ignore[attr-defined]


def test_a_slack_budget_leaves_the_price_at_zero_and_ucb_dual_is_ucb() -> None:
    rich = synthetic(budget_share=1.21)  # what is paid is at most a fifth above the mean
    dual, plain = (play(PLAYERS[name], "same", rich, [1, 2, 3], [10, 100, 1000]) for name in ("ucb-dual", "ucb"))
    assert (dual.price == 0).all()
    np.testing.assert_array_equal(dual.plays, plain.plays)


def test_a_binding_budget_raises_the_price_and_ucb_dual_keeps_it() -> None:
    dual, plain = (play(PLAYERS[name], "same", ARMS, [1, 2, 3], [3000]) for name in ("ucb-dual", "ucb"))
    assert (dual.price > 0.5).all()
    assert (dual.spent < 1.01 * 3000 * ARMS.budget).all()
    assert (plain.spent > 1.5 * 3000 * ARMS.budget).all()


def test_vehicles_of_a_tier_share_what_they_know() -> None:
    """In the first rounds the second of a tier already knows the arm that both have played."""
    own, shared = (play(PLAYERS[n], "same", ARMS, [1], [5]).plays[0, 0] for n in ("ucb-dual", "ucb-dual-by-tier"))
    assert own.tolist() == [[1.0] * 5] * 6
    assert shared.tolist() == own.tolist(), "a round's plays are told after it"
    apart = play(PLAYERS["ucb-dual"], "same", ARMS, [1], [400]).plays[0, 0]
    alike = play(PLAYERS["ucb-dual-by-tier"], "same", ARMS, [1], [400]).plays[0, 0]
    for tier in (slice(0, 2), slice(2, 4), slice(4, 6)):
        assert alike[tier][0].tolist() == alike[tier][1].tolist()
    assert any(apart[k].tolist() != apart[k + 1].tolist() for k in (0, 2, 4))


def test_the_authors_bandit_is_capped_at_its_share_of_the_budget() -> None:
    feasible, budget = capped(ARMS)
    assert budget == pytest.approx(0.45 * 6 * 64)
    assert feasible[0].tolist() == [True, True, True, False, False]
    course = play(PLAYERS["ucb-dual-authors"], "ucb-dual-authors", ARMS, [1], [300])
    assert course.plays[0, 0].sum(axis=0).tolist() == [0, 0, 1800, 0, 0], "never leaves its cap"
    assert (course.price == 0).all()


def test_exploration_may_be_varied() -> None:
    assert isinstance(PLAYERS["ucb-dual"], Player)
    course = {f: play(PLAYERS["ucb-dual"], "same", ARMS, [1], [500], f) for f in (0.25, 1.0)}
    spread = {f: (one.plays[0] > 5).sum() for f, one in course.items()}
    assert spread[0.25] < spread[1.0]
    default = PLAYERS["ucb-dual"].learner(ARMS, 1, 1.0)
    assert default.rule == UcbDual()  # type: ignore[attr-defined]


def test_rounds_are_noted_twice_a_decade() -> None:
    assert noted_rounds(1000) == [10, 32, 100, 316, 1000]
    assert noted_rounds(50_000)[-3:] == [10_000, 31_623, 50_000]
