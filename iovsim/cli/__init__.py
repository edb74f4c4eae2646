"""The command `iovsim`: text in, run folders, tables and figures out. Exits: 0 done, 2 wrong input, 130 interrupted."""

from __future__ import annotations

import signal
import sys
from types import FrameType

import typer
from rich.console import Console
from rich.markup import escape

from iovsim import __version__
from iovsim.cli import (
    bench_commands,
    compare_commands,
    inspect_commands,
    map_commands,
    model_commands,
    regret_commands,
    resume_commands,
    rsu_commands,
    run_commands,
    store_commands,
    study_commands,
    trace_commands,
)
from iovsim.errors import IovsimError

app = typer.Typer(
    name="iovsim",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Discrete-event simulator of federated LoRA fine-tuning in the Internet of Vehicles, with real training.",
)
for commands in (
    run_commands,
    resume_commands,
    compare_commands,
    model_commands,
    map_commands,
    trace_commands,
    rsu_commands,
    inspect_commands,
    bench_commands,
    regret_commands,
    store_commands,
    study_commands,
):
    commands.register(app)


@app.callback(invoke_without_command=True)
def top(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        print(f"iovsim {__version__}")
        raise typer.Exit


def main() -> None:
    """Runs the command. A user's mistake ends in one line on standard error and exit code 2, never in a traceback."""
    signal.signal(signal.SIGTERM, _interrupt)  # a cluster's way to say stop: clear up as after Ctrl-C
    try:
        app()
    except IovsimError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"[bold red]error:[/] {escape(str(error))}")
        sys.exit(2)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt
