"""Rows say what was measured: medians, direction of the ratio, and its spread."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from iovsim.bench.rows import Row, alone, cpu_s, in_turn, write


def counter(*values: float) -> Callable[[], float]:
    rest = iter(values)
    return lambda: next(rest)


def test_sides_are_measured_in_turn_and_the_first_pair_is_not_counted() -> None:
    row = in_turn("x", "s", counter(99.0, 2.0, 4.0, 6.0), counter(99.0, 1.0, 1.0, 2.0), n=3)
    assert row == Row("x", 4.0, 1.0, 3.0, "s", 3, "2 to 4")


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
