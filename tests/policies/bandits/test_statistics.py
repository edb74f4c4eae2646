"""Statistics of arms: sums, what discount and window leave of them, and what is pooled or copied."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iovsim.errors import ScenarioError
from iovsim.policies.bandits import Forgetting, Statistics

ARMS = 3
plays = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, ARMS - 1), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30
)
"""Rounds that go by before a play, its arm, reward and cost."""


def observe(statistics: Statistics, at_round: int, arm: int, reward: float, cost: float) -> None:
    statistics.observe(at_round, np.array(arm), np.array(reward), np.array(cost))


@given(
    plays,
    st.sampled_from([Forgetting(), Forgetting(discount=0.9), Forgetting(window=5)]),
    st.integers(0, 3),
)
def test_each_outcome_has_the_weight_of_its_age(
    found: list[tuple[int, int, float, float]], forgetting: Forgetting, later: int
) -> None:
    statistics = Statistics((ARMS,), forgetting)
    now, kept = 1, []
    for gap, arm, reward, cost in found:
        now += gap
        statistics.tally(now)  # reading changes nothing
        observe(statistics, now, arm, reward, cost)
        kept.append((now, arm, reward, cost))
    now += later
    expected = np.zeros((3, ARMS))
    for at_round, arm, reward, cost in kept:
        inside = not forgetting.window or at_round >= now - forgetting.window
        expected[:, arm] += inside * forgetting.discount ** (now - at_round) * np.array([1.0, reward, cost])
    tally = statistics.tally(now)
    np.testing.assert_allclose([tally.counts, tally.rewards, tally.costs], expected, atol=1e-9)
    assert statistics.plays == len(found)


def test_a_batch_plays_one_arm_each() -> None:
    statistics = Statistics((2, 3, ARMS))
    arm = np.array([[0, 1, 2], [2, 2, 0]])
    statistics.observe(1, arm, np.full((2, 3), 0.5), np.arange(6.0).reshape(2, 3))
    tally = statistics.tally(2)
    assert tally.counts.tolist() == [[[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 0, 1], [0, 0, 1], [1, 0, 0]]]
    assert tally.costs[1].tolist() == [[0, 0, 3], [0, 0, 4], [5, 0, 0]]
    reward, cost = tally.means()
    assert reward[0, 0].tolist() == [0.5, 0, 0]
    assert cost[1, 2].tolist() == [5, 0, 0]


def test_pooling_adds_up_those_that_share() -> None:
    statistics = Statistics((3, ARMS))
    statistics.observe(1, np.array([0, 1, 1]), np.array([1.0, 0.5, 0.25]), np.zeros(3))
    alike = np.array([[1.0, 0, 1], [0, 1, 0], [1, 0, 1]])
    pooled = statistics.tally(2).pooled(alike)
    assert pooled.counts.tolist() == [[1, 1, 0], [0, 1, 0], [1, 1, 0]]
    assert pooled.rewards.tolist() == [[1, 0.25, 0], [0, 0.5, 0], [1, 0.25, 0]]


def test_costs_that_are_known_take_the_place_of_those_seen() -> None:
    statistics = Statistics((2,))
    observe(statistics, 1, 0, 1.0, 0.9)
    observe(statistics, 1, 0, 0.5, 0.7)
    tally = statistics.tally(2).with_costs(np.array([0.3, 0.6]))
    assert tally.means()[0].tolist() == [0.75, 0.0]
    assert tally.means()[1] == pytest.approx([0.3, 0.0])


@pytest.mark.parametrize("forgetting", [Forgetting(), Forgetting(window=5)])
def test_a_copy_goes_its_own_way(forgetting: Forgetting) -> None:
    statistics = Statistics((ARMS,), forgetting)
    observe(statistics, 1, 0, 1.0, 1.0)
    copy = statistics.copy()
    observe(copy, 1, 0, 1.0, 1.0)
    observe(copy, 2, 1, 1.0, 1.0)
    assert statistics.tally(2).counts.tolist() == [1, 0, 0]
    assert copy.tally(2).counts.tolist() == [2, 1, 0]
    assert (statistics.plays, copy.plays) == (1, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"discount": 0.0}, r"discount = 0: must lie in \(0, 1\]"),
        ({"window": -1}, r"window = -1: must be 0"),
        ({"discount": 0.9, "window": 3}, r"window = 3 and discount = 0.9: give one of them"),
    ],
)
def test_wrong_ways_to_forget_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        Forgetting(**arguments)  # type: ignore[arg-type]
