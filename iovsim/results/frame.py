"""Turns comparisons into one frame with every figure at full precision: a row a variant, metric, task and pair."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from iovsim.results.contrasts import Contrast
from iovsim.results.intervals import Interval
from iovsim.results.pareto import Standing
from iovsim.results.recipe import Recipe
from iovsim.results.variants import plain

if TYPE_CHECKING:
    from iovsim.results.comparison import Comparison, Family, Row

SHARE = "pareto_front_share"
"""Named like a metric: the share of resampled seeds in which a policy is on the front."""

COUNTS = ("n", "reached", "kept", "difference_n", "zeros", "seeds_more")


def to_frame(comparisons: Sequence[Comparison], recipes: Sequence[Recipe] | None = None) -> pd.DataFrame:
    """One line for each policy and what it is compared with; empty cells where something cannot be had.

    First a column for each key in which variants differ. `low` and `high` bound 95 % t intervals; `difference_...` is
    policy minus `baseline`, everything after it belongs to that difference. Of targets `reached` of `n` runs did, the
    last evaluation of `kept` too, `limit` is where values are cut off. `command` makes the policy's runs again.
    """
    lines = []
    for place, result in enumerate(comparisons):
        commands = recipes[place].commands if recipes is not None else {}
        keys = {key: plain(value) for key, value in result.variant.items()}
        for line in _lines(result):
            told = {"command": "; ".join(commands[str(line["policy"])])} if commands else {}
            lines.append({**keys, "world": result.world, **line, **told})
    frame = pd.DataFrame(lines)
    return frame.astype({name: "Int64" for name in COUNTS if name in frame})


def csv_text(frame: pd.DataFrame) -> str:
    """The frame as CSV without its index."""
    return frame.to_csv(index=False, lineterminator="\n")


def _lines(result: Comparison) -> Iterator[dict[str, Any]]:
    families = {(family.task, family.metric.name): family for family in result.families}
    for row in result.rows:
        family = families[row.task, row.metric.name]
        yield _line(row, family, row.contrast, result.baseline)
    rows = {(row.task, row.metric.name, row.policy): row for row in result.rows}
    for family in result.families:
        for found in family.contrasts:
            if found.against != result.baseline:
                yield _line(rows[family.task, family.metric.name, found.policy], family, found, found.against)
    yield from map(_front, result.standings)


def _line(row: Row, family: Family, contrast: Contrast | None, baseline: str) -> dict[str, Any]:
    reach = row.reach
    return {
        "metric": row.metric.name,
        "task": row.task,
        "unit": row.metric.unit,
        "better": row.metric.better,
        "policy": row.policy,
        **_columns("", row.value),
        "clear_best": family.clear_best == row.policy,
        "reached": reach.reached if reach else None,
        "kept": reach.kept if reach else None,
        "median": reach.median if reach else None,
        "limit": reach.limit if reach else None,
        "baseline": baseline,
        **_columns("difference_", contrast.difference if contrast else None),
        **_statistics(contrast),
        "dominated_by": None,
    }


def _statistics(contrast: Contrast | None) -> dict[str, Any]:
    bootstrap = (contrast.bootstrap if contrast else None) or (None, None)
    names = ("zeros", "t_p", "t_holm", "wilcoxon_p", "wilcoxon_holm", "d_z", "g_z", "rank_biserial", "more")
    return {
        "bootstrap_low": bootstrap[0],
        "bootstrap_high": bootstrap[1],
        **{{"more": "seeds_more"}.get(name, name): getattr(contrast, name, None) for name in names},
    }


def _front(found: Standing) -> dict[str, Any]:
    return {
        "metric": SHARE,
        "task": found.task or "mean over tasks",
        "unit": "1",
        "better": "higher",
        "policy": found.policy,
        "n": len(found.values),
        "mean": found.share,
        "dominated_by": ", ".join(found.dominated_by),
    }


def _columns(prefix: str, value: Interval | None) -> dict[str, float | int | None]:
    mean, half = (value.mean, value.half) if value else (None, None)
    low, high = (mean - half, mean + half) if mean is not None and half is not None else (None, None)
    names = ("n", "mean", "low", "high")
    return {f"{prefix}{n}": v for n, v in zip(names, (value.n if value else 0, mean, low, high), strict=True)}
