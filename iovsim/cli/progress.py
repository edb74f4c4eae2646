"""Reports of work become progress bars on a terminal, and a line now and then where there is none (a log, CI)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

LINE_EVERY = 0.25
WIDE = 200


def wide_console() -> Console:
    """A console for tables: as wide as the terminal, and wide where there is none, so that nothing is cut in a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDE)


@contextmanager
def shown(console: Console) -> Iterator[Callable[[str, str, float], None]]:
    """Gives a function that takes the label of a piece of work, its step, and the part of the step that is done."""
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


def _bars(bars: Progress) -> Callable[[str, str, float], None]:
    known: dict[str, TaskID] = {}

    def report(label: str, step: str, done: float) -> None:
        if label not in known:
            known[label] = bars.add_task(step, total=1.0, label=label)
        bars.update(known[label], description=step, completed=done)

    return report


def _lines(console: Console) -> Callable[[str, str, float], None]:
    """A line when a step begins, and at every quarter of it."""
    last: dict[str, tuple[str, int]] = {}

    def report(label: str, step: str, done: float) -> None:
        now = (step, int(done / LINE_EVERY + 1e-9))
        if last.get(label) != now:
            last[label] = now
            console.print(f"{label}: {step} {done:.0%}", highlight=False)

    return report
