"""A terminal becomes the console on which tables are printed, and Ctrl-C there one line and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

WIDE = 200


@contextmanager
def interruptible(left: str) -> Iterator[None]:
    """Work inside that is interrupted ends the command, with a line that says what is `left` of it."""
    try:
        yield
    except KeyboardInterrupt:
        from iovsim.experiment.worker import INTERRUPTED

        Console(stderr=True).print(f"interrupted; {left}")
        raise typer.Exit(INTERRUPTED) from None


def wide_console() -> Console:
    """A console for tables: as wide as the terminal, and wide where there is none, so that nothing is cut in a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDE)
