"""Rows say what was measured: medians, direction of the ratio, and its spread."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from iovsim.bench.rows import Cost, Row, alone, costs_in_turn, cpu_s, in_turn, write


def counter(*values: float) -> Callable[[], float]:
    rest = iter(values)
    return lambda: next(rest)


def test_sides_are_measured_in_turn_and_the_first_pair_is_not_counted() -> None:
    row = in_turn("x", "s", counter(99.0, 2.0, 4.0, 6.0), counter(99.0, 1.0, 1.0, 2.0), n=3)
    assert row == Row("x", 4.0, 1.0, 3.0, "s", 3, "2 to 4")


def test_sides_that_begin_anew_need_no_warming_up() -> None:
    row = in_turn("x", "s", counter(2.0, 4.0), counter(1.0, 1.0), n=2, warm_up=False)
    assert (row.ours, row.theirs, row.n, row.spread) == (3.0, 1.0, 2, "2 to 4")
    costs = [iter([Cost(8.0, 6.0)]), iter([Cost(4.0, 9.0)])]
    wall, cpu = costs_in_turn("x", "s", lambda: next(costs[0]), lambda: next(costs[1]), n=1, faster=True, warm_up=False)
    assert (wall.ratio, cpu.ratio) == (0.5, 1.5)


def test_a_speed_row_tells_how_many_times_faster_ours_is() -> None:
    row = in_turn("x", "s", counter(99.0, 2.0), counter(99.0, 8.0), n=1, faster=True)
    assert row.ratio == 4.0


def test_a_row_without_another_side_has_no_ratio(tmp_path: Path) -> None:
    row = alone("x", "ms", counter(9.0, 1.0, 3.0, 2.0), n=3)
    assert (row.ours, row.theirs, row.ratio, row.spread) == (2.0, None, None, "1 to 3")
    write([row], tmp_path / "sub" / "rows.json")
    assert json.loads((tmp_path / "sub" / "rows.json").read_text())[0]["ours"] == 2.0


def test_processor_time_counts_work() -> None:
    assert cpu_s(lambda: sum(i * i for i in range(200_000))) > cpu_s(lambda: None)


def test_wall_and_processor_time_of_the_same_runs_become_two_rows() -> None:
    sides = (iter([Cost(9.0, 9.0), Cost(2.0, 1.0)]), iter([Cost(9.0, 9.0), Cost(4.0, 4.0)]))
    wall, cpu = costs_in_turn("x", "ms", lambda: next(sides[0]), lambda: next(sides[1]), n=1, per_s=1e3)
    assert (wall.name, wall.unit, wall.ours, wall.theirs, wall.ratio) == ("x-wall", "wall ms", 2000.0, 4000.0, 0.5)
    assert (cpu.name, cpu.unit, cpu.ours, cpu.ratio) == ("x-cpu", "CPU ms", 1000.0, 0.25)


def test_a_cost_is_shared_among_equal_parts() -> None:
    assert Cost(6.0, 3.0).per(3) == Cost(2.0, 1.0)
