"""A terminal, or the lack of one, becomes the console on which tables are printed."""

from __future__ import annotations

from rich.console import Console

WIDE = 200


def wide_console() -> Console:
    """A console for tables: as wide as the terminal, and wide where there is none, so that nothing is cut in a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDE)
