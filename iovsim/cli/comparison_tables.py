"""Comparisons become tables on the terminal: values, paired differences, and the front."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from iovsim.results import Comparison
from iovsim.results.comparison import Row
from iovsim.results.texts import CONTRAST_HEADS, FRONT_HEADS, FRONT_TITLE, contrast_cells, front_cells, front_note
from iovsim.results.variants import in_words

NAME_COLUMNS, CELL_COLUMNS = 26, 20
"""Characters that a metric's name and a value with its interval take at least."""


def print_comparison(console: Console, result: Comparison, details: bool = False) -> None:
    """A section a task and one for the whole run: a line a metric, a column a policy, differences below the values.

    Policies that do not fit side by side follow in further tables. `details` adds all contrasts, a table a task.
    """
    beside = max((console.width - NAME_COLUMNS) // CELL_COLUMNS, 1)
    for first in range(0, len(result.policies), beside):
        policies = result.policies[first : first + beside]
        names = [f"{escape(p)}{' (baseline)' if p == result.baseline else ''}" for p in policies]
        table = Table("metric", *names, title=_title(result), title_justify="left")
        for task, metric_rows in result.sections():
            table.add_section()
            table.add_row(f"[bold]{escape(_task(task))}[/]")
            for metric, rows in metric_rows:
                cells = [_cell(result, row) for row in rows[first : first + beside]]
                table.add_row(f"  {escape(metric.heading)}", *cells)
        console.print(table)
    _print_notes(console, [*result.notes, "Bold: significant."])
    if details and len(result.seeds) > 1:
        _print_contrasts(console, result)
    if len(result.policies) > 1 and result.standings:
        _print_front(console, result)


def _print_contrasts(console: Console, result: Comparison) -> None:
    for task, _ in result.sections():
        title = f"paired differences, {escape(_task(task))}{_variant(result)}"
        table = Table("metric", *CONTRAST_HEADS, title=title, title_justify="left")
        for family in (f for f in result.families if f.task == task):
            for i, found in enumerate(family.contrasts):
                style = "bold" if found.significant(result.test) else None
                heading = escape(family.metric.heading) if i == 0 else ""
                table.add_row(heading, *map(escape, contrast_cells(found)), style=style)
        if table.row_count:
            console.print(table)
    _print_notes(console, result.small_print)


def _print_front(console: Console, result: Comparison) -> None:
    table = Table("task", *map(escape, FRONT_HEADS), title=f"{FRONT_TITLE}{_variant(result)}", title_justify="left")
    before = None
    for found in result.standings:
        if found.task != before:
            table.add_section()
        table.add_row(
            escape(found.task or "mean over tasks") if found.task != before else "", *map(escape, front_cells(found))
        )
        before = found.task
    console.print(table)
    _print_notes(console, [front_note(result.standings)])


def _print_notes(console: Console, notes: Sequence[str]) -> None:
    for note in notes:
        console.print(f"[dim]{escape(note)}[/]", highlight=False)


def _task(task: str) -> str:
    return f"task {task}" if task else "whole run"


def _variant(result: Comparison) -> str:
    return f", {escape(in_words(result.variant))}" if result.variant else ""


def _title(result: Comparison) -> str:
    value = "mean ± 95 %" if len(result.seeds) > 1 else "value"
    return f"world {escape(result.title)}; {value}, below it Δ to {escape(result.baseline)}"


def _cell(result: Comparison, row: Row) -> str:
    """Value above difference; the difference bold where it is significant."""
    value, change = result.cell(row)
    if not change:
        return value
    clear = row.contrast is not None and row.contrast.significant(result.test)
    return f"{value}\n{'[bold]' if clear else '[dim]'}Δ {change}[/]"
