"""Who is on the front by hand, and how often in resampled seeds by a binomial probability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iovsim.results.measured import Measured
from iovsim.results.metrics import METRICS
from iovsim.results.pareto import OBJECTIVES, dominated, standings

costs = st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=7)


def tables(task: str, **values: Sequence[tuple[float | None, float | None, float | None]]) -> list[Measured]:
    """Accuracy, latency and energy by policy for seeds 1, 2, ..."""
    return [
        Measured(
            METRICS[name],
            task,
            {p: {s: v[i] for s, v in enumerate(mine, 1) if v[i] is not None} for p, mine in values.items()},  # type: ignore[misc]
        )
        for i, name in enumerate(OBJECTIVES)
    ]


def test_dominated_by_hand() -> None:
    found = dominated(np.array([[1.0, 1.0], [1.0, 2.0], [2.0, 1.0], [0.0, 3.0], [1.0, 1.0]]))
    assert [np.flatnonzero(row).tolist() for row in found] == [[], [0, 4], [0, 4], [], []]


@given(costs)
def test_the_front_is_never_empty_and_domination_has_no_circles(rows: list[tuple[int, int, int]]) -> None:
    found = dominated(np.array(rows, dtype=np.float64))
    assert not found.any(axis=1).all()
    assert not (found & found.T).any()
    for i, j in np.argwhere(found):
        assert all(a >= b for a, b in zip(rows[i], rows[j], strict=True))
        assert (found[i] | ~found[j]).all()  # whatever dominates j dominates i


def test_standings_by_task_and_over_the_mean_over_tasks() -> None:
    """On lights cheap is better in accuracy too; over both tasks dear has 0.65 against 0.60."""
    found = standings(
        [
            *tables("signs", dear=[(0.9, 3.0, 30.0)], cheap=[(0.6, 2.0, 20.0)], bad=[(0.5, 2.0, 25.0)]),
            *tables("lights", dear=[(0.4, 3.0, 30.0)], cheap=[(0.6, 2.0, 20.0)], bad=[(0.4, 3.0, 30.0)]),
        ],
        ["dear", "cheap", "bad"],
        [1],
    )
    beaten = {(s.task, s.policy): s.dominated_by for s in found}
    assert beaten == {
        ("lights", "dear"): ("cheap",),
        ("lights", "cheap"): (),
        ("lights", "bad"): ("cheap",),
        ("signs", "dear"): (),
        ("signs", "cheap"): (),
        ("signs", "bad"): ("cheap",),
        ("", "dear"): (),
        ("", "cheap"): (),
        ("", "bad"): ("cheap",),
    }
    assert {s.share for s in found} == {None}
    assert found[6].values.tolist() == [[pytest.approx(0.65), 3.0, 30.0]]


def test_the_share_is_that_of_resamples_without_the_one_seed_that_speaks_against_it() -> None:
    """Good beats the other by 0.1 in four seeds and loses by 0.45 in the fifth, all else being equal.

    So it is on the front where the fifth seed was not drawn: (4 / 5)^5 of the resamples. The other is in the rest.
    """
    good = [(0.6, 1.0, 1.0)] * 4 + [(0.05, 1.0, 1.0)]
    found = standings(tables("signs", good=good, other=[(0.5, 1.0, 1.0)] * 5), ["good", "other"], [1, 2, 3, 4, 5])
    assert [s.share for s in found] == pytest.approx([0.8**5, 1 - 0.8**5], abs=0.015)
    assert [s.dominated_by for s in found] == [("other",), ()]


def test_seeds_without_a_value_are_left_out_for_all_and_policies_without_any_altogether() -> None:
    found = standings(
        tables(
            "signs",
            a=[(0.5, 1.0, 1.0), (0.9, 1.0, 1.0)],
            b=[(0.6, 1.0, 1.0), (0.6, None, 1.0)],
            idle=[(0.1, None, 0.0)] * 2,
        ),
        ["a", "b", "idle"],
        [1, 2],
    )
    assert [(s.policy, s.dominated_by, len(s.values)) for s in found] == [("a", ("b",), 1), ("b", (), 1)]
    assert standings(tables("signs", idle=[(0.1, None, 0.0)]), ["idle"], [1]) == []
    nothing_shared = tables("signs", a=[(0.5, 1.0, 1.0), (0.5, None, 1.0)], b=[(0.5, None, 1.0), (0.5, 1.0, 1.0)])
    assert standings(nothing_shared, ["a", "b"], [1, 2]) == []
