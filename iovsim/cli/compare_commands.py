"""`compare` and `figures`: run folders become tables and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from iovsim.cli.progress import wide_console
from iovsim.errors import ResultsError

RunsArgument = Annotated[list[Path], typer.Argument(metavar="RUNS...", help="Run folders, or folders that hold some.")]


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.command("compare")(compare)
    app.command("figures")(figures)


def compare(
    runs: RunsArgument,
    baseline: Annotated[str | None, typer.Option(help="Policy to subtract (default: that of the first run).")] = None,
    common_seeds: Annotated[
        bool, typer.Option("--common-seeds", help="Leave out seeds not all policies have.")
    ] = False,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", "-m", help="Show this metric (see 'iovsim metrics'); may be repeated."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show all metrics.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Also write all metrics, unrounded, to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write what is shown to this file.")] = None,
) -> None:
    """Compare policies seed by seed: means and paired differences with 95 % intervals. Refuses different worlds."""
    from iovsim.files import write_whole
    from iovsim.results import METRICS, find_runs
    from iovsim.results import compare as compare_runs
    from iovsim.results.metrics import DEFAULT, check_names

    if every and metric:
        raise ResultsError("compare: --all and --metric exclude each other; give one of them.")
    check_names(metric or ())
    result = compare_runs(find_runs(runs), baseline, common_seeds)
    if csv is not None:
        result.to_csv(csv)
    shown_part = result.only(tuple(METRICS) if every else metric or DEFAULT)
    if markdown is not None:
        write_whole(markdown, shown_part.to_markdown().encode())
    from iovsim.cli.tables import print_comparison

    print_comparison(wide_console(), shown_part)


def figures(
    runs: RunsArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the PNG and PDF files.")] = Path("figures"),
) -> None:
    """Draw every figure that the runs allow, as PNG and PDF."""
    from iovsim.analysis.figures import draw_all
    from iovsim.results import find_runs

    for path in draw_all(find_runs(runs), out):
        print(path)
