"""Reports of work become bars on a terminal, a text that changes in a notebook, and a line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

Report = Callable[[str, str, float], None]
"""Takes the label of a piece of work, the name of its step, and the part of the step that is done."""

LINE_EVERY = 0.25
TEXT_EVERY = 0.05
TEXT_LINES = 12
"""In a notebook the pieces of work that began last are shown, each in a line of its own."""


@contextmanager
def shown(console: Console) -> Iterator[Report]:
    """Gives a function that takes the label of a piece of work, its step, and the part of the step that is done."""
    if console.is_jupyter:
        yield _text()
        return
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = (
        TextColumn("{task.fields[label]}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bars:
        yield _bars(bars)


def _bars(bars: Progress) -> Report:
    known: dict[str, TaskID] = {}

    def report(label: str, step: str, done: float) -> None:
        if label not in known:
            known[label] = bars.add_task(step, total=1.0, label=label)
        bars.update(known[label], description=step, completed=done)

    return report


def _text() -> Report:
    """One output of the cell, in which texts replace each other; rich's own bars would need widgets."""
    from IPython.display import display  # late: it is there wherever a notebook is, and need not be elsewhere

    place = display({"text/plain": ""}, raw=True, display_id=True)
    last: dict[str, tuple[str, int]] = {}
    lines: dict[str, str] = {}

    def report(label: str, step: str, done: float) -> None:
        now = (step, int(done / TEXT_EVERY + 1e-9))
        if last.get(label) != now:
            last[label] = now
            lines[label] = f"{label}: {step} {done:.0%}"
            place.update({"text/plain": "\n".join(list(lines.values())[-TEXT_LINES:])}, raw=True)

    return report


def _lines(console: Console) -> Report:
    """A line when a step begins, and at every quarter of it."""
    last: dict[str, tuple[str, int]] = {}

    def report(label: str, step: str, done: float) -> None:
        now = (step, int(done / LINE_EVERY + 1e-9))
        if last.get(label) != now:
            last[label] = now
            console.print(f"{label}: {step} {done:.0%}", highlight=False)

    return report
