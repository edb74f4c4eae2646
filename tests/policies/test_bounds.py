"""Budgets within bounds: the sum and every bound hold whatever is wished, and nothing nearer would do."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from iovsim.errors import ScenarioError
from iovsim.policies.bounds import bounded, check_fit, check_shares

Case = tuple[list[float], float, float, float]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Wishes, total, floor and cap that some shares can keep; often at the edge of what they can."""
    n = draw(st.integers(2, 8))
    total_j = draw(st.floats(1e-3, 1e7))
    wished = draw(st.lists(st.floats(-2, 3), min_size=n, max_size=n))
    floor = draw(st.one_of(st.just(1 / n), st.just(0.0), st.floats(0, 1 / n)))
    cap = draw(st.one_of(st.just(1 / n), st.just(1.0), st.floats(1 / n, 1)))
    return [w * total_j for w in wished], total_j, floor, cap


@given(cases())
def test_sum_and_bounds_hold_for_any_wish(case: Case) -> None:
    wished, total_j, floor, cap = case
    granted = bounded({str(i): w for i, w in enumerate(wished)}, total_j, floor, cap)
    assert list(granted) == [str(i) for i in range(len(wished))]
    assert math.fsum(granted.values()) == pytest.approx(total_j, rel=1e-9)
    slack_j = 1e-12 * total_j
    assert all(floor * total_j - slack_j <= g <= cap * total_j + slack_j for g in granted.values())


@given(cases())
def test_all_that_is_at_no_bound_is_shifted_alike_and_what_is_at_one_would_go_beyond(case: Case) -> None:
    """These are the conditions of Karush, Kuhn and Tucker for the nearest point; the problem is convex."""
    wished, total_j, floor, cap = case
    assume(cap - floor > 1e-6)
    granted = list(bounded({str(i): w for i, w in enumerate(wished)}, total_j, floor, cap).values())
    slack_j = 1e-9 * total_j
    shifts = [(g - w, g) for g, w in zip(granted, wished, strict=True)]
    lifted = [s for s, g in shifts if g <= floor * total_j + slack_j]
    cut = [s for s, g in shifts if g >= cap * total_j - slack_j]
    inside = [s for s, g in shifts if floor * total_j + slack_j < g < cap * total_j - slack_j]
    if inside:
        assert max(inside) - min(inside) <= slack_j
    assert max(cut, default=-math.inf) - slack_j <= min(inside, default=math.inf)
    assert max(inside, default=-math.inf) - slack_j <= min(lifted, default=math.inf)
    assert max(cut, default=-math.inf) - slack_j <= min(lifted, default=math.inf)


def test_by_hand() -> None:
    assert bounded({"a": 90.0, "b": 5.0, "c": 5.0}, 100.0, 0.08, 0.7) == pytest.approx(
        {"a": 70.0, "b": 15.0, "c": 15.0}
    )
    assert bounded({"a": 60.0, "b": 40.0, "c": 0.0}, 100.0, 0.08, 0.7) == pytest.approx(
        {"a": 56.0, "b": 36.0, "c": 8.0}
    )


def test_to_clip_and_rescale_would_break_the_bounds() -> None:
    wished, floor, cap = [90.0, 5.0, 5.0], 8.0, 70.0
    clipped = [min(max(w, floor), cap) for w in wished]
    rescaled = [100.0 * c / sum(clipped) for c in clipped]
    assert max(rescaled) > cap
    assert max(bounded(dict(zip("abc", wished, strict=True)), 100.0, 0.08, 0.7).values()) == pytest.approx(cap)


def test_a_lone_task_has_all_whatever_the_bounds() -> None:
    check_fit(0.08, 0.7, 1)
    assert bounded({"a": 3.0}, 100.0, 0.08, 0.7) == {"a": 100.0}


@pytest.mark.parametrize("n", [2, 3, 5, 6, 7, 10, 12, 49])
def test_bounds_that_allow_equal_shares_only_are_allowed(n: int) -> None:
    check_fit(1 / n, 1 / n, n)


def test_what_no_shares_could_keep_is_refused() -> None:
    with pytest.raises(
        ScenarioError, match=r"floor_share = 0.2: 6 tasks' floors exceed the whole; .* at most 0.1667\."
    ):
        check_fit(0.2, 0.7, 6)
    with pytest.raises(
        ScenarioError, match=r"cap_share = 0.3: 3 tasks' caps do not make .*; needed is at least 0.3333"
    ):
        check_fit(0.1, 0.3, 3)
    for floor, cap in ((0.5, 0.4), (-0.1, 0.5), (0.1, 1.1), (math.nan, 0.5)):
        with pytest.raises(ScenarioError, match=r"allowed are 0 <= floor_share <= cap_share <= 1"):
            check_shares(floor, cap)
