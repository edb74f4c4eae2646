"""Rewards and costs of jobs: by hand, and always within [0, 1]."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iovsim.errors import ScenarioError
from iovsim.policies.bandits import RewardRule, gain, likelihood

RULE = RewardRule(latency_ref_s=20.0, energy_ref_j=100.0)


def test_by_hand() -> None:
    """0.6 x 0.5 + 0.2 (1 - 5 / 20) + 0.2 (1 - 40 / 100)."""
    assert RULE.reward(0.5, 5.0, 40.0) == pytest.approx(0.3 + 0.15 + 0.12)
    assert RULE.cost(40.0) == 0.4
    assert (gain(2.0, 1.5, 1.0), gain(2.0, 2.5, 1.0), gain(2.0, 0.5, 1.0)) == (0.5, 0.0, 1.0)
    assert (likelihood(0.0), likelihood(0.6931471805599453)) == pytest.approx((1.0, 0.5))


positive = st.floats(0, 1e6)


@given(positive, positive, positive, positive)
def test_both_lie_between_zero_and_one(before: float, after: float, latency_s: float, energy_j: float) -> None:
    for quality in (gain(before, after, 0.7), likelihood(after)):
        assert 0 <= RULE.reward(quality, latency_s, energy_j) <= 1
    assert 0 <= RULE.cost(energy_j) <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quality_weight": 0.5}, r"reward weights \(0.5, 0.2, 0.2\): must be 0 or more and sum to 1"),
        ({"quality_weight": 1.2, "latency_weight": -0.4}, "must be 0 or more"),
        ({"energy_ref_j": 0.0}, "energy_ref_j = 0: must be above 0"),
    ],
)
def test_wrong_rules_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        RewardRule(**({"latency_ref_s": 1.0, "energy_ref_j": 1.0} | arguments))
