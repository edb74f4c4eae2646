"""`compare` and `figures`: run folders become tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iovsim.cli.progress import wide_console
from iovsim.errors import ResultsError

if TYPE_CHECKING:
    from iovsim.results import Asked
    from iovsim.results.recipe import Builtin, Recipe

RunsArgument = Annotated[list[Path], typer.Argument(metavar="RUNS...", help="Run folders, or folders that hold some.")]
TargetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--target", metavar="TASK=SHARE", help="Time and energy until this held-out accuracy; may be repeated."
    ),
]


class Pairs(StrEnum):
    """Which policies are subtracted from each other."""

    BASELINE = "baseline"
    ALL = "all"


class Test(StrEnum):
    """Whose p value decides what is called significant."""

    T = "t"
    WILCOXON = "wilcoxon"


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
    by: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Compare values of this dotted key, such as rsus.placement, in place of policies; --baseline is one.",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", "-m", help="Show this metric (see 'iovsim metrics'); may be repeated."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show all metrics.")] = False,
    pairs: Annotated[Pairs, typer.Option(help="Differences to the baseline, or of each policy to each.")] = (
        Pairs.BASELINE
    ),
    target: TargetOption = None,
    half_width: Annotated[
        list[str] | None,
        typer.Option("--half-width", metavar="METRIC=WIDTH", help="Count the seeds more until Δ is known to ± WIDTH."),
    ] = None,
    test: Annotated[Test, typer.Option(help="The test that decides what is called significant.")] = Test.T,
    details: Annotated[
        bool, typer.Option("--details", help="Also show bootstrap intervals, p values, effect sizes, seeds needed.")
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Also write all metrics, unrounded, to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write what is shown to this file.")] = None,
    latex: Annotated[Path | None, typer.Option(help="Also write what is shown as LaTeX tables to this file.")] = None,
) -> None:
    """Compare policies seed by seed: means, paired differences, tests. Runs of other worlds are sections of their own.

    Files end with the commands that make their numbers again; worlds and policies that are not built in are written
    into the folder 'inputs' beside them.
    """
    from iovsim.results import METRICS, Asked, Target, compare_values, compare_variants, find_runs
    from iovsim.results.frame import csv_text, to_frame
    from iovsim.results.latex import to_latex
    from iovsim.results.markdown import to_markdown
    from iovsim.results.metrics import DEFAULT, check_names
    from iovsim.results.recipe import recipe
    from iovsim.results.variants import folder_name

    if every and metric:
        raise ResultsError("compare: --all and --metric exclude each other; give one of them.")
    check_names(metric or ())
    asked = Asked(
        every_pair=pairs is Pairs.ALL,
        targets=tuple(map(Target.parse, target or ())),
        half_widths=dict(map(_width, half_width or ())),
        test="t" if test is Test.T else "wilcoxon",
    )
    found = (
        compare_variants(find_runs(runs), baseline, common_seeds, asked)
        if by is None
        else compare_values(find_runs(runs), by, baseline, common_seeds, asked)
    )
    shown = [one.only(tuple(METRICS) if every else metric or DEFAULT) for one in found]
    if any((csv, markdown, latex)):
        known = _builtin()
        recipes = [
            recipe(
                one.manifests,
                known,
                f"again/{folder_name(one.variant) or one.world}",
                [*(["--by", by] if by else []), *_options(one.baseline, metric or (), every, asked)],
                apart=by is not None,
            )
            for one in found
        ]
        if csv is not None:
            _write(csv, csv_text(to_frame(found, recipes)), recipes)
        if markdown is not None:
            _write(markdown, to_markdown(shown, recipes), recipes)
        if latex is not None:
            _write(latex, to_latex(shown, recipes), recipes)
    from iovsim.cli.comparison_tables import print_comparison

    for one in shown:
        print_comparison(wide_console(), one, details)


def figures(
    runs: RunsArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path("figures"),
    baseline: Annotated[str | None, typer.Option(help="Policy to subtract (default: that of the first run).")] = None,
    target: TargetOption = None,
) -> None:
    """Draw every figure that the runs allow, as PNG, PDF and SVG. Runs of other worlds go into folders of their own."""
    from iovsim.analysis.figures import draw_all
    from iovsim.results import Target, find_runs

    targets = tuple(map(Target.parse, target or ()))
    for path in draw_all(find_runs(runs), out, baseline, targets):
        print(path)


def _width(text: str) -> tuple[str, float]:
    """`energy_j=100` as a metric and its wished half-width. Raises `ResultsError`."""
    name, found, number = text.partition("=")
    try:
        width = float(number)
    except ValueError:
        width = 0.0
    if not found or not name or not 0 < width < float("inf"):
        raise ResultsError(f"--half-width {text!r}: write METRIC=WIDTH, above 0, such as final_accuracy=0.01.")
    return name, width


def _options(baseline: str, metrics: Sequence[str], every: bool, asked: Asked) -> list[str]:
    """The options that make the same comparison of the same runs."""
    return [
        "--baseline",
        baseline,
        *(word for name in metrics for word in ("--metric", name)),
        *(["--all"] if every else []),
        *(["--pairs", "all"] if asked.every_pair else []),
        *(word for one in asked.targets for word in ("--target", f"{one.task}={one.accuracy!r}")),
        *(word for name, width in asked.half_widths.items() for word in ("--half-width", f"{name}={width!r}")),
        *(["--test", asked.test] if asked.test != "t" else []),
        "--details",
    ]


def _builtin() -> Builtin:
    """What can be named in a command without a file."""
    from iovsim.config import builtin_policies, load_policy, load_scenario
    from iovsim.config.builtin import builtin_scenarios
    from iovsim.results.recipe import Builtin

    return Builtin(
        {name: load_scenario(path).model_dump(mode="json") for name, path in builtin_scenarios().items()},
        {name: load_policy(name).model_dump(mode="json", exclude={"name", "title"}) for name in builtin_policies()},
    )


def _write(path: Path, text: str, recipes: Sequence[Recipe]) -> None:
    """The file, and beside it the inputs that its commands name. Raises `ResultsError`."""
    from iovsim.files import explained, write_whole
    from iovsim.results.recipe import FOLDER

    write_whole(path, text.encode())
    folder = path.parent / FOLDER
    for name, content in {name: text for one in recipes for name, text in one.files.items()}.items():
        with explained(folder, "create the folder"):
            folder.mkdir(exist_ok=True)
        write_whole(folder / name, content.encode())
