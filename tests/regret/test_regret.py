"""Regret and exponents: by hand, for plays and for power laws; and what the synthetic bandit must show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.errors import ScenarioError
from iovsim.policies.bandits import optimum
from iovsim.regret.arms import Arms, synthetic
from iovsim.regret.exponents import summarise
from iovsim.regret.laboratory import laboratory
from iovsim.regret.play import Course
from iovsim.regret.regret import regret_rows


def quiet(label: str, step: str, done: float) -> None:
    """Nobody looks."""


def two_arms() -> Arms:
    """One vehicle; rewards 0.2 and 0.8 at costs 0.2 and 0.8, budget 0.5: half of each, 0.5 a round at price 1."""
    rewards = costs = np.array([[0.2, 0.8]])
    return Arms(
        "two",
        (4, 8),
        ("a",),
        rewards[None],
        costs,
        np.ones((1, 1)),
        lambda arm, drawn, phase: (rewards[0, arm], costs[0, arm]),
        0.625,
    )


def test_regret_by_hand() -> None:
    """10 rounds: 8 dear plays earn 0.8 x 8 + 0.2 x 2 = 6.8, lost reward -1.8, overspent 1.8 at price 1: no regret.

    8 cheap plays earn 3.2: lost reward 1.8, nothing overspent, nothing for what was saved.
    """
    plays = np.array([[[[2.0, 8.0]], [[8.0, 2.0]]]])
    course = Course(np.array([10]), plays[:, None], np.array([[6.9, 3.2]]), np.array([[1.5, 0.0]]))
    rows = regret_rows(course, two_arms(), [1, 2])
    assert rows["lost_reward"].tolist() == pytest.approx([-1.8, 1.8])
    assert rows["regret"].tolist() == pytest.approx([0.0, 1.8])
    assert rows["violation"].tolist() == pytest.approx([1.9 / 0.5, 0.0])
    assert rows["price"].tolist() == [1.5, 0.0]
    assert rows["seed"].tolist() == [1, 2]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=6, max_size=6), st.floats(0.3, 1.3), st.integers(1, 50))
def test_no_way_to_play_has_negative_regret(arms_played: list[int], share: float, rounds: int) -> None:
    arms = synthetic(share)
    plays = np.zeros((1, 1, 6, 5))
    plays[0, 0, np.arange(6), arms_played] = rounds
    best = optimum(arms.rewards[0], arms.costs, arms.budget)
    priced = (
        rounds * best.value
        - (plays * (arms.rewards[0] - best.price * arms.costs)).sum()
        - best.price * (rounds * arms.budget)
    )
    assert priced >= -1e-9
    row = regret_rows(Course(np.array([rounds]), plays[:, None], np.zeros((1, 1)), np.zeros((1, 1))), arms, [1]).iloc[0]
    assert row["regret"] >= priced - 1e-9
    assert row["regret"] >= row["lost_reward"] - 1e-9


def rows_of(regret: dict[int, list[float]]) -> pd.DataFrame:
    """Regret by round, a value a seed."""
    rows = [
        {"seed": seed, "rounds": t, "regret": value, "lost_reward": value, "violation": 0.5, "price": 1.0}
        for t, values in regret.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows).assign(arms="x", policy="y", explore=1.0)


def test_the_exponent_of_a_power_law_is_found() -> None:
    times = [10, 100, 1000, 10_000]
    (found,) = summarise(rows_of({t: [2.0 * t**0.5, 3.0 * t**0.6] for t in times}))
    assert (found.exponent, found.late_exponent) == pytest.approx((0.55, 0.55))
    # two seeds: t(0.975, 1) = 12.706, times s / sqrt(2) = 0.05
    assert (found.low, found.high) == pytest.approx((0.55 - 0.6353, 0.55 + 0.6353), abs=1e-4)
    assert found.regret == pytest.approx((2 * 100 + 3 * 10_000**0.6) / 2)
    assert found.violation_per_t == pytest.approx(0.5 / 10_000)
    assert (found.seeds, found.rounds) == (2, 10_000)


def test_the_fit_begins_at_round_100_and_the_last_decade_is_told_apart() -> None:
    (found,) = summarise(rows_of({10: [1e6], 100: [10.0], 1000: [100.0], 10_000: [100.0]}))
    assert found.exponent == pytest.approx(0.5)  # slopes 1 and 0
    assert found.late_exponent == pytest.approx(0.0)
    assert (found.low, found.high, found.regret_half) == (None, None, None)


@pytest.mark.parametrize("values", [[1.0, 0.0, 5.0], [0.1, 0.2, 0.3]])
def test_regret_that_does_not_grow_has_no_exponent(values: list[float]) -> None:
    (found,) = summarise(rows_of({t: [v] for t, v in zip((100, 1000, 10_000), values, strict=True)}))
    assert found.exponent is None
    assert found.regret == values[-1]


def test_what_the_synthetic_bandit_must_show() -> None:
    """Three seeds, up to 31,623 rounds; the laboratory itself goes on to 100,000, where the exponent is smaller."""
    names = ("ucb-dual", "pessimistic-optimistic", "clairvoyant")
    found = {one.policy: one for one in summarise(laboratory([synthetic()], names, [1, 2, 3], 31_623, [1.0], quiet))}
    dual = found["ucb-dual"]
    assert dual.exponent is not None
    assert dual.high is not None
    assert dual.exponent < dual.high < 0.65
    assert dual.violation_per_t < 0.01
    assert dual.price > 0.5
    assert found["pessimistic-optimistic"].violation_per_t == 0.0
    assert found["clairvoyant"].regret < 1.0
    assert found["clairvoyant"].exponent is None


def test_where_rewards_drift_regret_is_that_of_each_phase() -> None:
    """Two phases of 10 rounds whose rewards change places; who plays one arm for ever loses in one of them.

    Always dear: 0.8 x 10 then 0.2 x 10, at cost 0.8. Optima are 0.5 at price 1, and 0.8 at price 0 (the cheap arm).
    Lost: 5 - 8 and 8 - 2; overspent by 3 in the first at price 1: regret 0 + 6.
    """
    one = two_arms()
    arms = replace(one, rewards=np.stack([one.rewards[0], one.rewards[0][:, ::-1]]), period=10)
    assert [arms.phase(t) for t in (1, 10, 11, 20, 21)] == [0, 0, 1, 1, 0]
    plays = np.array([[[[[0.0, 10.0]]], [[[0.0, 10.0]]]]])
    row = regret_rows(Course(np.array([20]), plays, np.array([[16.0]]), np.zeros((1, 1))), arms, [1]).iloc[0]
    assert row["lost_reward"] == pytest.approx(-3.0 + 6.0)
    assert row["regret"] == pytest.approx(6.0)


def test_where_rewards_drift_who_forgets_is_ahead() -> None:
    names = ("ucb-dual", "ucb-dual-discounted", "ucb-dual-window", "clairvoyant")
    found = {
        one.policy: one for one in summarise(laboratory([synthetic(period=2000)], names, [1, 2], 20_000, [1.0], quiet))
    }
    for name in ("ucb-dual-discounted", "ucb-dual-window"):
        assert found[name].regret < 0.7 * found["ucb-dual"].regret, name
    assert found["clairvoyant"].regret < 10.0
    with pytest.raises(ScenarioError, match=r"--drift 1: must be 2 rounds or more"):
        synthetic(period=1)


def test_factors_are_played_where_there_is_something_to_vary() -> None:
    rows = laboratory([two_arms()], ["ucb-dual", "clairvoyant"], [1], 1000, [0.5, 1.0], quiet)
    assert list(rows.groupby(["policy", "explore"]).groups) == [
        ("clairvoyant", 1.0),
        ("ucb-dual", 0.5),
        ("ucb-dual", 1.0),
    ]


def test_mistakes_are_refused() -> None:
    with pytest.raises(ScenarioError, match=r"no such bandit; did you mean 'ucb-dual'"):
        laboratory([synthetic()], ["ucb-daul"], [1], 1000, [1.0], quiet)
    with pytest.raises(ScenarioError, match=r"--rounds 999: must be 1000 or more"):
        laboratory([synthetic()], [], [1], 999, [1.0], quiet)
    with pytest.raises(ScenarioError, match=r"does not exceed that of the cheapest, 1\.28; raise the share"):
        synthetic(0.2)
