"""Time and energy to an accuracy, with runs that never reach it, against figures worked out by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iovsim.errors import ResultsError
from iovsim.results import Asked, Comparison, Run, Target, compare
from iovsim.results.comparison import Row
from iovsim.results.measured import Reach
from iovsim.results.survival import median, still_waiting
from iovsim.results.targets import Arrival, arrival

MakeRun = Callable[..., Run]
TARGET = Target("signs", 0.6)
SPENT = ((50.0, 10.0), (60.0, 2.0), (90.0, 5.0))
"""Joules of the task at moments; 24 more are booked at once, and 6 for another task."""

# Weeks in remission under 6-MP, with those still in remission when last seen; Freireich et al., Blood 21 (1963) 699.
WEEKS = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
RELAPSED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]


def test_kaplan_and_meiers_estimate_of_the_textbook_example() -> None:
    moments, waiting = still_waiting(WEEKS, [bool(r) for r in RELAPSED])
    assert moments.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert waiting == pytest.approx([0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], abs=5e-4)
    assert median(WEEKS, [bool(r) for r in RELAPSED]) == 23


def test_the_median_is_not_reached_by_fewer_than_half() -> None:
    assert median([1.0, 5.0, 5.0], [True, False, False]) is None
    assert median([1.0, 5.0], [True, False]) == 1.0
    assert median([5.0, 5.0], [False, False]) is None


@given(st.lists(st.integers(1, 12), min_size=1, max_size=10))
def test_the_area_up_to_a_limit_that_all_were_seen_to_is_the_mean_of_the_times_cut_off_there(ends: list[int]) -> None:
    limit = 8
    times, reached = [float(min(end, limit)) for end in ends], [end < limit for end in ends]
    moments, waiting = still_waiting(times, reached)
    edges = np.concatenate([[0.0], moments, [limit]])
    area = float(np.sum(np.diff(edges) * np.concatenate([[1.0], waiting])))
    assert area == pytest.approx(np.mean(times))


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        (((0.0, 0.1), (60.0, 0.5), (100.0, 0.7)), Arrival(True, True, 100.0, 41.0)),
        (((0.0, 0.1), (60.0, 0.6), (100.0, 0.5)), Arrival(True, False, 60.0, 36.0)),
        (((0.0, 0.1), (60.0, 0.59), (80.0, 0.5)), Arrival(False, False, 80.0, 36.0)),
        (((20.0, 0.9), (100.0, 0.9)), Arrival(True, True, 0.0, 24.0)),
    ],
)
def test_the_first_evaluation_at_the_target_counts_with_what_the_task_had_cost(
    make_run: MakeRun, curve: tuple[tuple[float, float], ...], expected: Arrival
) -> None:
    assert arrival(make_run("greedy", 1, curve=curve, spent=SPENT), TARGET) == expected


def test_a_task_that_was_not_evaluated_has_no_arrival(make_run: MakeRun) -> None:
    assert arrival(make_run("greedy", 1), Target("lights", 0.6)) is None


def compared(make_run: MakeRun) -> Comparison:
    """Greedy reaches 0.6 after 60, 100, 100 s; bandit after 100 s, not by 100 s, not by 100 s; idle never.

    Energies of the task by then: greedy 36, 41, 41 J; bandit 30 + 11, 30 + 17, 30 + 17 J; idle 24 + 17 J each.
    """
    soon, late, never = (
        ((0.0, 0.1), (60.0, accuracy), (100.0, last)) for accuracy, last in ((0.6, 0.8), (0.2, 0.6), (0.2, 0.3))
    )
    runs = [make_run("greedy", seed, curve=curve, spent=SPENT) for seed, curve in ((1, soon), (2, late), (3, late))]
    runs += [
        make_run("bandit", seed, curve=curve, spent=SPENT, energy_j=36.0)
        for seed, curve in ((1, late), (2, never), (3, never))
    ]
    runs += [make_run("idle", seed, curve=never, spent=SPENT) for seed in (1, 2, 3)]
    return compare(runs, asked=Asked(targets=(TARGET,)))


def rows_of(result: Comparison, metric: str) -> dict[str, Row]:
    return {row.policy: row for row in result.rows if row.metric.name == metric}


def test_times_are_restricted_to_the_horizon_and_never_means_of_the_successful_alone(make_run: MakeRun) -> None:
    """Greedy: (60 + 100 + 100) / 3. Bandit minus greedy: 40, 0, 0."""
    result = compared(make_run)
    rows = rows_of(result, "time_to_accuracy_0.6")
    assert rows["greedy"].reach == Reach(3, 3, 3, 100.0, 100.0)
    assert rows["bandit"].reach == Reach(3, 1, 1, None, 100.0)
    assert rows["idle"].reach == Reach(3, 0, 0, None, 100.0)
    assert rows["greedy"].value is not None
    assert rows["bandit"].value is not None
    assert rows["greedy"].value.mean == pytest.approx(260 / 3)
    assert rows["bandit"].value.mean == 100.0
    assert rows["idle"].value is None
    assert rows["bandit"].difference is not None
    assert rows["bandit"].difference.mean == pytest.approx(40 / 3)
    assert result.cell(rows["greedy"])[0] == "87 ± 57 (3/3, median 100)"
    assert result.cell(rows["bandit"])[0] == "100 ± 0 (1/3, median not reached)"
    assert result.cell(rows["idle"])[0] == "not reached (0/3)"
    assert any("cut off at 100 s" in note for note in result.notes)


def test_energies_are_restricted_to_the_least_that_a_run_without_success_spent(make_run: MakeRun) -> None:
    """Idle ended at 41 J without success, bandit at 47 J, so all is cut off at 41 J."""
    rows = rows_of(compared(make_run), "energy_to_accuracy_0.6")
    assert dict(rows["greedy"].by_seed) == {1: 36.0, 2: 41.0, 3: 41.0}
    assert dict(rows["bandit"].by_seed) == {1: 41.0, 2: 41.0, 3: 41.0}
    assert rows["bandit"].reach == Reach(3, 1, 1, None, 41.0)


def test_where_every_run_reaches_the_target_nothing_is_cut_off(make_run: MakeRun) -> None:
    curve = ((0.0, 0.1), (60.0, 0.9), (100.0, 0.9))
    result = compare([make_run("greedy", seed, curve=curve) for seed in (1, 2)], asked=Asked(targets=(TARGET,)))
    [row] = rows_of(result, "time_to_accuracy_0.6").values()
    assert row.reach == Reach(2, 2, 2, 60.0, None)
    assert any("every run reached it" in note for note in result.notes)
    kept = result.only(["energy_j"])
    assert {row.metric.name for row in kept.rows} == {"energy_j", "time_to_accuracy_0.6", "energy_to_accuracy_0.6"}


@pytest.mark.parametrize("text", ["signs", "=0.5", "signs=", "signs=0", "signs=1.5", "signs=nan", "signs=x"])
def test_a_target_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ResultsError, match=r"write TASK=SHARE, above 0 and at most 1"):
        Target.parse(text)


def test_a_target_of_no_task_is_refused(make_run: MakeRun) -> None:
    assert Target.parse("signs=0.6") == TARGET
    with pytest.raises(ResultsError, match=r"target sings=0.5: no such task; did you mean 'signs'"):
        compare([make_run("greedy", 1)], asked=Asked(targets=(Target("sings", 0.5),)))
