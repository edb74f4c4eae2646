"""Results become tables on the terminal."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from iovsim.results import METRICS, Manifest, Run, data_statistics, metrics
from iovsim.results.intervals import interval, rounded


def print_metrics(console: Console, default: Sequence[str]) -> None:
    """Every metric with its unit and meaning, and whether a comparison shows it unless asked."""
    table = Table("metric", "unit", "better", "by default", "meaning", title="metrics", title_justify="left")
    for metric in METRICS.values():
        unit = "" if metric.unit == "1" else metric.unit
        table.add_row(metric.name, unit, metric.better, "yes" if metric.name in default else "", metric.meaning)
    console.print(table)


def print_manifest(console: Console, path: Path, manifest: Manifest) -> None:
    """What the run is and how far it came; of a failed one, why."""
    facts = Table("what", "value", title=f"run {path}", title_justify="left")
    took = "" if manifest.wall_s is None else f", took {manifest.wall_s:g} s"
    for name, text in (
        ("world", f"{manifest.world}, hash {manifest.world_hash[:12]}"),
        ("policy", f"{manifest.policy.name} ({manifest.policy.kind}), forecast {manifest.policy.forecast}"),
        ("seed", str(manifest.seed)),
        (
            "training",
            f"{manifest.policy.parameters.get('tuning', 'lora')}, trainer {manifest.training.kind}, "
            f"{manifest.training.precision}, {manifest.training.device}",
        ),
        *((("training store", _told(manifest.store.counts)),) if manifest.store else ()),
        *((f"task {t}", f"trained: {c.trained}, charged as {c.charged}") for t, c in manifest.charge_as.items()),
        *((("traffic", ", ".join(f"{what} {n}" for what, n in manifest.traffic.items())),) if manifest.traffic else ()),
        ("status", f"{manifest.status}{took}"),
        *((("error", manifest.error),) if manifest.error else ()),
        ("versions", ", ".join(f"{k} {v}" for k, v in manifest.versions.items())),
    ):
        facts.add_row(name, escape(text))
    console.print(facts)


def _told(counts: Mapping[str, int]) -> str:
    """How much of what was asked for the store, or an equal job, had already."""
    trainings, evaluations = (
        {name: counts.get(f"{what}_{name}", 0) for name in ("hits", "shared", "misses")}
        for what in ("training", "evaluation")
    )
    known = [sum(found.values()) - found["misses"] for found in (trainings, evaluations)]
    return (
        f"{known[0]} of {sum(trainings.values())} trainings and {known[1]} of {sum(evaluations.values())} evaluations "
        "were known"
    )


def print_run(console: Console, run: Run) -> None:
    """A complete run's data, its key figures, its jobs by status, and the rows of its tables."""
    _print_data(console, run)
    _print_key_figures(console, run)
    outcomes = Table("status", "reason", "jobs", title="jobs", title_justify="left")
    counted = run.table("jobs").groupby(["status", "reason"], as_index=False).size()
    for status, reason, jobs in counted.itertuples(index=False):
        outcomes.add_row(str(status), str(reason), str(jobs))
    console.print(outcomes)
    tables = Table("table", "rows", title="tables", title_justify="left")
    for name, file in sorted(run.manifest.tables.items()):
        tables.add_row(name, str(file.rows))
    console.print(tables)


def print_centralised(console: Console, rows: pd.DataFrame) -> None:
    """A line a task, tuning and rank: the held-out figures after training, mean over seeds with 95 % interval."""
    after = rows[rows["epoch"] > 0]
    columns = ("accuracy", "macro_f1", "loss", "calibration_error")
    table = Table(
        "task",
        "tuning",
        "rank",
        "steps",
        "seeds",
        *(c.replace("_", " ") for c in columns),
        title="held-out set",
        title_justify="left",
    )
    for _, mine in after.groupby(["task", "tuning", "rank"], sort=False):
        first = mine.iloc[0]
        cells = [rounded(interval(mine[c].tolist()), len(mine)) for c in columns]
        what = (str(first["task"]), str(first["tuning"]), str(first["rank"] or ""), str(first["steps"]))
        table.add_row(*map(escape, what), str(len(mine)), *cells)
    console.print(table)


def print_kinds(console: Console, groups: Mapping[str, Mapping[str, Callable[..., object]]]) -> None:
    """The kinds that a file can name, by group, each with its parameters and the first line of its docstring.

    Parameters that a file must give stand alone, those that it may leave out in brackets or with their default.
    """
    table = Table("where", "kind", "parameters", "what it is", title="kinds", title_justify="left")
    for group, kinds in groups.items():
        for name, maker in kinds.items():
            parameters = [p for p in inspect.signature(maker).parameters.values() if p.name != "kind"]
            shown = ", ".join(map(_parameter, sorted(parameters, key=lambda p: p.default is not p.empty)))
            table.add_row(group, name, escape(shown), escape((inspect.getdoc(maker) or "").splitlines()[0]))
        table.add_section()
    console.print(table)


def _parameter(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return parameter.name
    return f"[{parameter.name}]" if parameter.default is None else f"{parameter.name} = {parameter.default}"


def _print_data(console: Console, run: Run) -> None:
    """A column a task: its pool, and what the vehicles hold of it."""
    statistics = data_statistics(run)
    table = Table("samples", *map(escape, statistics["task"]), title="data", title_justify="left")
    lines: dict[str, Callable[[Any], str]] = {
        "train / validation / test": lambda t: f"{t.train} / {t.validation} / {t.test}",
        "classes": lambda t: f"{t.classes}",
        "largest class, test part": lambda t: _percent(t.majority_share),
        "vehicles that hold data": lambda t: f"{t.vehicles}",
        "samples each, min / med / max": lambda t: _three(t.samples_min, t.samples_median, t.samples_max),
        "classes each, min / med / max": lambda t: _three(t.classes_min, t.classes_median, t.classes_max),
        "largest class, vehicles": lambda t: _percent(t.held_majority_share),
        "samples arrive": lambda t: "before the start" if math.isnan(t.until_s) else f"until {t.until_s:.0f} s",
    }
    for name, text in lines.items():
        table.add_row(name, *(text(task) for task in statistics.itertuples()))
    console.print(table)


def _print_key_figures(console: Console, run: Run) -> None:
    """A line a metric, a column a task and one for the whole run."""
    found = {(value.metric.name, value.task): value.value for value in metrics(run)}
    tasks = sorted(run.manifest.charge_as)
    table = Table("metric", *map(escape, tasks), "whole run", title="key figures", title_justify="left")
    for metric in METRICS.values():
        cells = [_plain(found[metric.name, t]) if (metric.name, t) in found else "" for t in (*tasks, "")]
        table.add_row(escape(metric.heading), *cells)
    console.print(table)


def _plain(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"


def _percent(share: float) -> str:
    return "not known" if math.isnan(share) else f"{share:.0%}"


def _three(low: float, middle: float, high: float) -> str:
    return "none" if math.isnan(low) else f"{low:.0f} / {middle:g} / {high:.0f}"
