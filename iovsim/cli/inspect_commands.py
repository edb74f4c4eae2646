"""`show`, `check`, `scenarios`, `policies`, `columns`, `metrics`: what a run, a scenario or the program holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from iovsim.cli.progress import wide_console
from iovsim.cli.run_commands import (
    CacheOption,
    DataOption,
    ScenarioArgument,
    SetOption,
    find_scenario,
)
from iovsim.config import builtin_policies, builtin_scenarios, load_policy
from iovsim.errors import ScenarioError, near_match
from iovsim.paths import usable_cache


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.command("show")(show)
    app.command("check")(check)
    app.command("scenarios")(scenarios)
    app.command("policies")(policies)
    app.command("columns")(columns)
    app.command("metrics")(metrics)


def show(run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]) -> None:
    """Show what a run is and how it ended: manifest and, if it is complete, data, key figures, jobs, tables."""
    from iovsim.cli.tables import print_manifest, print_run
    from iovsim.results import RunStatus, open_run, read_manifest

    manifest = read_manifest(run)
    console = wide_console()
    print_manifest(console, run, manifest)
    if manifest.status is RunStatus.COMPLETE:
        print_run(console, open_run(run))


def check(
    scenario: ScenarioArgument,
    policy: Annotated[list[str] | None, typer.Option("--policy", "-p", help="Also check these policies.")] = None,
    data: DataOption = None,
    changes: SetOption = None,
    cache: CacheOption = None,
) -> None:
    """Check a scenario without running it: keys, map, RSU sites, radio models, data, devices, policies."""
    world = find_scenario(scenario, data or (), changes or ())
    files = [load_policy(p) for p in policy or []]

    from iovsim.experiment.check import check_scenario  # late: torch takes seconds, a misspelt name must not

    console = wide_console()
    for line in check_scenario(world, files, usable_cache(cache)):
        console.print(f"[green]ok[/] {line}", highlight=False)


def scenarios() -> None:
    """List the built-in scenarios: their tasks, and the data and backbone of each."""
    table = Table("name", "task", "data", "backbone", "what it is", title="built-in scenarios", title_justify="left")
    for name in builtin_scenarios():
        scenario = find_scenario(name)
        for number, task in enumerate(scenario.tasks):
            first = (name, escape(scenario.title)) if number == 0 else ("", "")
            table.add_row(first[0], task.name, task.data.kind, task.backbone.kind, first[1])
    wide_console().print(table)


def policies() -> None:
    """List the built-in policies, and all kinds that files can name: of policies, radio models, data, backbones."""
    from iovsim.cli.tables import print_kinds
    from iovsim.experiment.kinds import KINDS

    console = wide_console()
    table = Table("name", "kind", "forecast", "aggregator", "what it does", title="built-in policies")
    for name in builtin_policies():
        file = load_policy(name)
        table.add_row(name, file.policy.kind, file.forecast.kind, file.aggregator.kind, file.title)
    console.print(table)
    print_kinds(console, KINDS)


def columns(name: Annotated[str | None, typer.Argument(metavar="TABLE", help="One table.")] = None) -> None:
    """List the tables of a run folder: every column's type, unit and meaning."""
    from iovsim.results import TABLES

    if name is not None and name not in TABLES:
        raise ScenarioError(f"table {name!r}: no such table; {near_match(name, TABLES)}")
    console = wide_console()
    for table in TABLES.values():
        if name in (None, table.name):
            shown = Table("column", "type", "unit", "meaning", title=f"{table.name}: {table.meaning}")
            for column in table.columns:
                shown.add_row(column.name, str(column.type), column.unit, column.meaning)
            console.print(shown)


def metrics() -> None:
    """List the numbers by which `compare` compares runs, each with its unit and meaning."""
    from iovsim.cli.tables import print_metrics
    from iovsim.results.metrics import DEFAULT

    print_metrics(wide_console(), DEFAULT)
