"""Results become tables on the terminal."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from iovsim.results import Comparison, Manifest, Run, metrics
from iovsim.results.intervals import Interval, interval, rounded

ARROWS = {"higher": "↑", "lower": "↓"}


def print_comparison(console: Console, result: Comparison) -> None:
    """One line a metric and policy: mean and paired difference, each with its 95 % interval."""
    title = (
        f"world '{result.world}', seeds {', '.join(map(str, result.seeds))}; difference = policy - {result.baseline}"
    )
    table = Table("metric", "policy", "mean ± 95 %", "difference ± 95 %", title=title, title_justify="left")
    metric = ""
    for row in result.rows:
        name = f"{row.metric.name}{f' ({row.task})' if row.task else ''}"
        unit = "" if row.metric.unit == "1" else f" [{row.metric.unit}]"
        heading = f"{name}{unit} {ARROWS[row.metric.better]}" if name != metric else ""
        if heading and metric:
            table.add_section()
        metric = name
        difference = "baseline" if row.policy == result.baseline else rounded(row.difference, signed=True)
        table.add_row(escape(heading), row.policy, rounded(row.value), _marked(difference, row.difference))
    console.print(table)
    console.print("[dim]↑ higher is better, ↓ lower is better; bold: the interval leaves out zero.[/]", highlight=False)
    for note in result.notes:
        console.print(f"[dim]{note}[/]", highlight=False)


def print_manifest(console: Console, path: Path, manifest: Manifest) -> None:
    """What the run is and how far it came; of a failed one, why."""
    facts = Table("what", "value", title=f"run {path}", title_justify="left")
    took = "" if manifest.wall_s is None else f", took {manifest.wall_s:g} s"
    for name, text in (
        ("world", f"{manifest.world}, hash {manifest.world_hash[:12]}"),
        ("policy", f"{manifest.policy.name} ({manifest.policy.kind}), forecast {manifest.policy.forecast}"),
        ("seed", str(manifest.seed)),
        *((f"task {t}", f"trained: {c.trained}, charged as {c.charged}") for t, c in manifest.charge_as.items()),
        ("status", f"{manifest.status}{took}"),
        *((("error", manifest.error),) if manifest.error else ()),
        ("versions", ", ".join(f"{k} {v}" for k, v in manifest.versions.items())),
    ):
        facts.add_row(name, escape(text))
    console.print(facts)


def print_run(console: Console, run: Run) -> None:
    """A complete run's key figures, its jobs by status, and the rows of its tables."""
    figures = Table("metric", "value", title="key figures", title_justify="left")
    for value in metrics(run):
        name = f"{value.metric.name}{f' ({value.task})' if value.task else ''}"
        unit = "" if value.metric.unit == "1" else f" {value.metric.unit}"
        known = interval([value.value]) if value.value is not None else None
        figures.add_row(name, f"{known.mean:.4g}{unit}" if known else "none")
    console.print(figures)
    outcomes = Table("status", "reason", "jobs", title="jobs", title_justify="left")
    counted = run.table("jobs").groupby(["status", "reason"], as_index=False).size()
    for status, reason, jobs in counted.itertuples(index=False):
        outcomes.add_row(str(status), str(reason), str(jobs))
    console.print(outcomes)
    tables = Table("table", "rows", title="tables", title_justify="left")
    for name, file in sorted(run.manifest.tables.items()):
        tables.add_row(name, str(file.rows))
    console.print(tables)


def print_kinds(console: Console, groups: Mapping[str, Mapping[str, Callable[..., object]]]) -> None:
    """The kinds that a file can name, by group, each with its parameters and the first line of its docstring."""
    table = Table("where", "kind", "parameters", "what it is", title="kinds", title_justify="left")
    for group, kinds in groups.items():
        for name, maker in kinds.items():
            parameters = inspect.signature(maker).parameters.values()
            shown = ", ".join(f"{p.name} = {p.default}" for p in parameters if p.default is not inspect.Parameter.empty)
            table.add_row(group, name, shown, (inspect.getdoc(maker) or "").splitlines()[0])
        table.add_section()
    console.print(table)


def _marked(text: str, difference: Interval | None) -> str:
    """Bold where the interval leaves out zero."""
    if difference is None or difference.half is None or abs(difference.mean) <= difference.half:
        return text
    return f"[bold]{text}[/]"
