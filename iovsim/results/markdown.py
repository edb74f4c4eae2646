"""Turns comparisons into Markdown for people: values, paired differences, fronts, and how to make them again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from iovsim.results.metrics import Metric
from iovsim.results.recipe import Recipe
from iovsim.results.texts import CONTRAST_HEADS, FRONT_HEADS, FRONT_TITLE, contrast_cells, front_cells, front_note

if TYPE_CHECKING:
    from iovsim.results.comparison import Comparison, Row


def to_markdown(comparisons: Sequence[Comparison], recipes: Sequence[Recipe] | None = None) -> str:
    """A section a variant. Values have a table a task with a column a policy, differences to the baseline below them.

    Bold differences are significant (see `Comparison.test`). With recipes each section ends with its commands.
    """
    lines: list[str] = []
    for place, result in enumerate(comparisons):
        lines += [f"## {result.title}", *_values(result), "", *(f"- {note}" for note in result.notes)]
        lines += [*_contrasts(result), *_fronts(result)]
        if recipes is not None:
            lines += ["", "How to make these numbers again:", "", "```sh"]
            lines += [f"# {remark}" for remark in recipes[place].remarks]
            lines += [*recipes[place].all_commands(), "```"]
        lines.append("")
    return "\n".join(lines)


def _values(result: Comparison) -> Iterator[str]:
    heads = ["metric", *(f"{p} (baseline)" if p == result.baseline else p for p in result.policies)]
    for task, metric_rows in result.sections():
        yield from ("", f"### {task or 'whole run'}", "")
        yield from _table(heads, [_line(result, metric, rows) for metric, rows in metric_rows])


def _line(result: Comparison, metric: Metric, rows: Sequence[Row]) -> list[str]:
    cells = []
    for row in rows:
        value, change = result.cell(row)
        clear = row.contrast is not None and row.contrast.significant(result.test)
        told = f"**Δ {change}**" if clear else f"Δ {change}"
        cells.append(f"{value}<br>{told}" if change else value)
    return [metric.heading, *cells]


def _contrasts(result: Comparison) -> Iterator[str]:
    lines = [
        [f"{family.task or 'whole run'}: {family.metric.heading}", *contrast_cells(found)]
        for family in result.families
        for found in family.contrasts
    ]
    if lines and len(result.seeds) > 1:
        yield from ("", "### Paired differences", "")
        yield from _table(["metric", *CONTRAST_HEADS], lines)
        yield from ("", *(f"- {note}" for note in result.small_print))


def _fronts(result: Comparison) -> Iterator[str]:
    lines = [[found.task or "mean over tasks", *front_cells(found)] for found in result.standings]
    if lines:
        yield from ("", f"### {FRONT_TITLE}", "")
        yield from _table(["task", *FRONT_HEADS], lines)
        yield from ("", f"- {front_note(result.standings)}")


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|---|" + "--:|" * (len(heads) - 1)
    for line in lines:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |"
