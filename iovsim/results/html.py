"""Turns a comparison into a table for a notebook: a line a metric, a column a policy, differences below the values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from iovsim.results.metrics import Metric

if TYPE_CHECKING:
    from iovsim.results.comparison import Comparison, Row


def to_html(result: Comparison) -> str:
    """Values with their intervals, and what a reader must know beside; significant differences are bold."""
    names = (f"{p} (baseline)" if p == result.baseline else p for p in result.policies)
    heads = "".join(f"<th>{escape(name)}</th>" for name in ("metric", *names))
    notes = "<br>".join(map(escape, (*result.notes, "Bold: significant.")))
    return "\n".join(
        [
            f"<p><b>{escape(result.title)}</b></p>",
            f'<table class="dataframe"><thead><tr>{heads}</tr></thead><tbody>',
            *_body(result),
            f"</tbody></table><p><small>{notes}</small></p>",
        ]
    )


def _body(result: Comparison) -> Iterator[str]:
    for task, metric_rows in result.sections():
        title = f"task {task}" if task else "whole run"
        yield f'<tr><th colspan="{1 + len(result.policies)}" style="text-align: left">{escape(title)}</th></tr>'
        yield from (_line(result, metric, rows) for metric, rows in metric_rows)


def _line(result: Comparison, metric: Metric, rows: Sequence[Row]) -> str:
    cells = "".join(f"<td>{_cell(result, row)}</td>" for row in rows)
    return f'<tr><td style="text-align: left">{escape(metric.heading)}</td>{cells}</tr>'


def _cell(result: Comparison, row: Row) -> str:
    value, change = result.cell(row)
    if not change:
        return escape(value)
    clear = row.contrast is not None and row.contrast.significant(result.test)
    told = f"Δ {escape(change)}"
    return f"{escape(value)}<br>{f'<b>{told}</b>' if clear else told}"
