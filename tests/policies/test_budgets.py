"""Budget rules: sums and bounds for any input, formulas by hand, and who gains from whom."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.domain import BudgetPolicy, CloudView, TaskUse
from iovsim.errors import ScenarioError
from iovsim.policies.authors_budget import AuthorsBudgets
from iovsim.policies.budget import KeepBudgets, is_due
from iovsim.policies.convergence import ConvergenceBudgets

RULES: list[Callable[[], BudgetPolicy]] = [ConvergenceBudgets, AuthorsBudgets]
BOUNDED = (0.08, 0.7)


def use(
    task: str,
    budget_j: float,
    part: float,
    loss: float = 1.0,
    before: float = 1.0,
    accuracy: float = 0.5,
    rounds: int = 1,
    overrun_j: float = 0.0,
) -> TaskUse:
    """A task that used `part` of what it was granted, and `overrun_j` above it."""
    granted_j = rounds * budget_j
    return TaskUse(task, budget_j, granted_j, part * granted_j + overrun_j, overrun_j, loss, accuracy, before, accuracy)


def run(
    rule: BudgetPolicy, tasks: Sequence[tuple[str, float, Sequence[float], float]], calls: int, rounds: int = 1
) -> dict[str, float]:
    """Budgets after so many calls; tasks are (name, utilisation, validation losses from the start on, accuracy)."""
    budgets = {name: 100.0 for name, *_ in tasks}
    for call in range(calls):
        view = CloudView(
            rounds,
            tuple(
                use(name, budgets[name], part, losses[call + 1], losses[call], accuracy, rounds)
                for name, part, losses, accuracy in tasks
            ),
        )
        budgets = dict(rule.redistribute(view))
    return budgets


HARD = [2.0 * 0.97**k for k in range(100)]  # falls steadily
EASY = [2.0 * 0.1 ** min(k, 2) for k in range(100)]  # has converged to a hundredth
FLAT = [2.0] * 100

LOSSES = st.one_of(st.floats(0, 10), st.sampled_from([0.0, math.inf, math.nan, 1e-300, 1e300]))


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[float], list[list[tuple[float, float, float, float]]]]:
    """First budgets, and for each of up to 30 calls, by task, the part used, overrun, loss and accuracy."""
    n = draw(st.integers(1, 12))
    budgets = draw(st.lists(st.floats(1e-3, 1e6), min_size=n, max_size=n))
    one = st.tuples(st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1)), st.floats(0, 1e4), LOSSES, st.floats(0, 1))
    calls = draw(st.lists(st.lists(one, min_size=n, max_size=n), min_size=12, max_size=30))
    return budgets, calls


@settings(max_examples=60, deadline=None)
@given(histories(), st.sampled_from(RULES), st.integers(1, 7))
def test_sum_and_bounds_hold_for_any_history(
    history: tuple[list[float], list[list[tuple[float, float, float, float]]]],
    make: Callable[[], BudgetPolicy],
    rounds: int,
) -> None:
    first, calls = history
    rule = make()
    rule.check(len(first))
    budgets, total_j = {str(i): b for i, b in enumerate(first)}, math.fsum(first)
    losses = dict.fromkeys(budgets, 1.0)
    for number, call in enumerate(calls):
        tasks = tuple(
            use(name, budgets[name], part, loss, losses[name], accuracy, rounds, overrun_j)
            for name, (part, overrun_j, loss, accuracy) in zip(budgets, call, strict=True)
        )
        after = dict(rule.redistribute(CloudView(rounds, tasks)))
        losses = {t.task: t.loss for t in tasks}
        assert after.keys() == budgets.keys()
        assert math.fsum(after.values()) == pytest.approx(total_j, rel=1e-9)
        budgets = after
        if number + 1 >= 6 / rounds and len(first) > 1:
            floor, cap = BOUNDED
            assert min(budgets.values()) >= floor * total_j * (1 - 1e-9)
            assert max(budgets.values()) <= cap * total_j * (1 + 1e-9)


def test_keep_keeps_to_the_last_bit() -> None:
    view = CloudView(6, (use("a", 0.1 + 0.2, 0.0), use("b", 1 / 3, 1.0)))
    assert KeepBudgets().redistribute(view) == {"a": 0.1 + 0.2, "b": 1 / 3}


@pytest.mark.parametrize("make", RULES)
def test_nothing_moves_before_six_rounds_and_then_something_does(make: Callable[[], BudgetPolicy]) -> None:
    tasks = [("busy", 1.0, HARD, 0.4), ("idler", 0.9, HARD, 0.5)]
    assert run(make(), tasks, 5) == {"busy": 100.0, "idler": 100.0}
    moved = run(make(), tasks, 6)
    assert moved["busy"] > 101.0
    assert run(make(), tasks, 11) == moved
    assert run(make(), tasks, 12) != moved


@pytest.mark.parametrize(("merge_every", "due"), [(1, [6, 12, 18]), (2, [6, 12, 18]), (4, [8, 12, 20]), (9, [9, 18])])
def test_where_merges_are_rarer_the_first_one_after_is_taken(merge_every: int, due: list[int]) -> None:
    assert [t for t in range(merge_every, 21, merge_every) if is_due(t - merge_every, t, 6)] == due


def test_the_formula_of_convergence_by_hand() -> None:
    """Two tasks, 200 J, moved at every call: w, kept and free worked out on paper."""
    rule = ConvergenceBudgets(every_rounds=1)
    view = CloudView(1, (use("a", 120.0, 0.5, loss=0.5, before=1.0), use("b", 80.0, 1.0, loss=1.9, before=2.0)))
    # d: a 0.1 * 0.5 = 0.05, b 0.1 * 0.05 = 0.005; h: a 0.5 / 1.5 = 1/3, b 1.9 / 3.9; u: 0.5 and 1
    w_a = (1 / 3 * (0.5 + 0.5)) ** 2 * 0.5
    w_b = (1.9 / 3.9 * (0.5 + 0.5 * 0.1)) ** 2 * 1.0
    free_j = 200.0 - 0.9 * 60.0 - 0.9 * 80.0
    expected = {"a": 54.0 + free_j * w_a / (w_a + w_b), "b": 72.0 + free_j * w_b / (w_a + w_b)}
    assert rule.redistribute(view) == pytest.approx(expected, rel=1e-12)


def test_without_release_it_is_what_is_left_over_that_is_shared() -> None:
    kept = run(ConvergenceBudgets(release_share=0.0), [("busy", 1.0, HARD, 0.5), ("converged", 1.0, EASY, 0.5)], 60)
    assert kept == pytest.approx({"busy": 100.0, "converged": 100.0}), "two that use all keep it for ever"


def test_an_idle_task_loses_to_a_busy_one_and_a_converged_one_to_a_hard_one() -> None:
    for part in (1.0, 0.9, 0.5):
        idle = run(ConvergenceBudgets(), [("busy", part, HARD, 0.5), ("idle", 0.0, HARD, 0.5)], 6)
        assert idle["busy"] == pytest.approx(140.0), "all but the floor, 16 J, would be its; the cap gives it 140 J"
        converged = run(ConvergenceBudgets(), [("hard", part, HARD, 0.5), ("converged", part, EASY, 0.5)], 6)
        assert converged["hard"] > 105.0
        later = run(ConvergenceBudgets(), [("hard", part, HARD, 0.5), ("converged", part, EASY, 0.5)], 60)
        assert later["hard"] == pytest.approx(140.0)


def test_a_task_that_learns_gains_from_one_as_hard_that_does_not() -> None:
    falls = [2.0 + 0.01 * (0.5**k) for k in range(100)]
    moved = run(ConvergenceBudgets(), [("learns", 0.9, falls, 0.5), ("stands", 0.9, FLAT, 0.5)], 6)
    assert moved["learns"] > 102.0


def test_an_idle_task_that_wakes_up_gets_its_part_again() -> None:
    rule = ConvergenceBudgets()
    budgets = {"one": 100.0, "other": 100.0}
    seen = []
    for call in range(120):
        parts = {"one": 0.9, "other": 0.0 if call < 24 else 1.0}
        view = CloudView(1, tuple(use(t, budgets[t], parts[t], HARD[call % 99], HARD[call % 99]) for t in budgets))
        budgets = dict(rule.redistribute(view))
        seen.append(budgets["other"])
    assert seen[23] == pytest.approx(60.0), "the cap of the other leaves it 60 J"
    assert seen[-1] > 95.0


def test_the_number_of_rounds_between_merges_changes_no_time_constant() -> None:
    """Losses that change at every sixth round only: asked once or six times, the same is known."""
    often = [2.0] + [2.0 * 0.9 ** (k // 6) for k in range(1, 60)]
    rare = [often[6 * k] for k in range(10)]
    slow = [2.0] * 60
    one = run(ConvergenceBudgets(), [("a", 0.8, often, 0.5), ("b", 0.6, slow, 0.5)], 6)
    six = run(ConvergenceBudgets(), [("a", 0.8, rare, 0.5), ("b", 0.6, slow[:10], 0.5)], 1, rounds=6)
    assert one == pytest.approx(six)


def test_the_authors_formula_by_hand() -> None:
    """Three tasks of 100 units (here 3 J each), accuracies 50, 80 and 40 %, use 100, 80 and 100: rem = 20."""
    rule = AuthorsBudgets()
    tasks = [("det", 1.0, FLAT, 0.5), ("cls", 0.8, FLAT, 0.8), ("seg", 1.0, FLAT, 0.4)]
    budgets = run(rule, tasks, 6)
    share = 1 - 0.9**6
    h = [share * 100 / 50, share * 100 / 80, share * 100 / 40]
    w = [h[0] ** 2, h[1] ** 2 * 0.8, h[2] ** 2]
    rem = [round(20 * x / sum(w)) for x in w]
    assert rem == [7, 2, 11]
    assert budgets == pytest.approx({"det": 107.0, "cls": 82.0, "seg": 111.0})


def test_the_authors_budgets_are_frozen_from_round_18_on() -> None:
    tasks = [("a", 0.9, FLAT, 0.5), ("b", 0.5, FLAT, 0.5), ("c", 0.9, FLAT, 0.2)]
    moves = [run(AuthorsBudgets(), tasks, calls) for calls in (6, 12, 17, 18, 60)]
    assert moves[0] != moves[1] == moves[2] == moves[3] == moves[4]


def test_the_authors_difficulty_rises_with_the_tasks_own_budget() -> None:
    """Their positive feedback: of two equal tasks the one that has more gets more of what is left over."""
    rule = AuthorsBudgets()
    budgets = {"more": 110.0, "less": 90.0}
    for _ in range(6):
        budgets = dict(rule.redistribute(CloudView(1, tuple(use(t, b, 0.8, accuracy=0.5) for t, b in budgets.items()))))
    assert budgets["more"] / budgets["less"] > 110 / 90
    tame = ConvergenceBudgets()
    budgets = {"more": 110.0, "less": 90.0}
    for call in range(6):
        views = tuple(use(t, b, 0.8, HARD[call + 1], HARD[call]) for t, b in budgets.items())
        budgets = dict(tame.redistribute(CloudView(1, views)))
    assert budgets["more"] / budgets["less"] < 110 / 90


@pytest.mark.parametrize("make", RULES)
def test_a_lone_task_keeps_all(make: Callable[[], BudgetPolicy]) -> None:
    rule = make()
    rule.check(1)
    assert run(rule, [("only", 0.3, HARD, 0.4)], 12) == {"only": 100.0}


@pytest.mark.parametrize("make", RULES)
def test_where_all_are_idle_budgets_stay_within_the_bounds(make: Callable[[], BudgetPolicy]) -> None:
    assert run(make(), [(t, 0.0, HARD, 0.4) for t in "abc"], 6) == pytest.approx(dict.fromkeys("abc", 100.0))
    rule = make()
    budgets = {"rich": 290.0, "poor": 5.0, "other": 5.0}
    for _ in range(6):
        budgets = dict(rule.redistribute(CloudView(1, tuple(use(t, b, 0.0) for t, b in budgets.items()))))
    assert budgets == pytest.approx({"rich": 210.0, "poor": 45.0, "other": 45.0})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConvergenceBudgets(every_rounds=0), r"every_rounds = 0: must be at least 1"),
        (lambda: ConvergenceBudgets(smoothing=1.0), r"smoothing = 1: must lie in \[0, 1\)"),
        (lambda: ConvergenceBudgets(exponent=-1.0), r"exponent = -1: must be at least 0"),
        (lambda: ConvergenceBudgets(release_share=1.5), r"release_share = 1.5: must lie in \[0, 1\]"),
        (lambda: ConvergenceBudgets(loss_reference=0.0), r"loss_reference = 0: must be above 0"),
        (lambda: ConvergenceBudgets(floor_share=0.8), r"floor_share = 0.8, cap_share = 0.7: allowed are"),
        (lambda: ConvergenceBudgets().check(13), r"floor_share = 0.08: 13 tasks' floors exceed the whole"),
        (lambda: ConvergenceBudgets(cap_share=0.4).check(2), r"cap_share = 0.4: 2 tasks' caps do not make up"),
        (lambda: AuthorsBudgets(every_rounds=0), r"every_rounds = 0: must be at least 1"),
        (lambda: AuthorsBudgets(units=0.0), r"units = 0: must be above 0"),
        (lambda: AuthorsBudgets(smoothing=-0.1), r"smoothing = -0.1: must lie in \[0, 1\)"),
        (lambda: AuthorsBudgets(exponent=-2.0), r"exponent = -2: must be at least 0"),
        (lambda: AuthorsBudgets().check(13), r"floor_share = 0.08: 13 tasks' floors exceed the whole"),
    ],
)
def test_wrong_parameters_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        make()
