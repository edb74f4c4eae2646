"""Turns runs of several policies on the same worlds into means, paired differences and their intervals.

Seeds are paired: policies of one seed met the same world, so their differences carry less noise than their values
(common random numbers; Law, Simulation Modeling and Analysis, 5th ed., sections 10.2.1 and 11.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Self

import pandas as pd

from iovsim.errors import ResultsError, near_match
from iovsim.files import write_whole
from iovsim.results.intervals import Interval, interval, rounded
from iovsim.results.metrics import METRICS, Metric, check_names, metrics
from iovsim.results.pairing import pair
from iovsim.results.run import Run

_ByKey = Mapping[tuple[str, str], Mapping[int, float]]


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of one policy. `difference` is policy minus baseline; None for the baseline itself."""

    metric: Metric
    task: str
    policy: str
    value: Interval | None
    difference: Interval | None
    by_seed: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result: rows by task (the whole run, "", last), metric and policy, and what a reader must know beside."""

    world: str
    baseline: str
    policies: tuple[str, ...]
    seeds: tuple[int, ...]
    hashes: Mapping[int, str]  # world hash by seed
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """One line a row at full precision; empty cells where there is no value or no interval."""
        return pd.DataFrame(
            [
                {
                    "metric": row.metric.name,
                    "task": row.task,
                    "unit": row.metric.unit,
                    "better": row.metric.better,
                    "policy": row.policy,
                    **_columns("", row.value),
                    "baseline": self.baseline,
                    **_columns("difference_", row.difference),
                }
                for row in self.rows
            ]
        )

    def to_csv(self, path: Path) -> None:
        """Writes `frame()` as CSV, whole or not at all. Raises `ResultsError`."""
        write_whole(path, self.frame().to_csv(index=False, lineterminator="\n").encode())

    def only(self, names: Sequence[str]) -> Self:
        """The same with the rows of these metrics alone. Raises `ResultsError` for a name that is no metric."""
        check_names(names)
        return replace(self, rows=tuple(row for row in self.rows if row.metric.name in names))

    def sections(self) -> Iterator[tuple[str, list[tuple[Metric, list[Row]]]]]:
        """For each task, then for the whole run (""): its metrics, each with a row for every policy in order."""
        for task, rows in groupby(self.rows, key=lambda row: row.task):
            yield task, [(metric, list(line)) for metric, line in groupby(rows, key=lambda row: row.metric)]

    def cell(self, row: Row) -> tuple[str, str]:
        """The row in text, rounded to what the intervals support: value, and difference ("" for the baseline)."""
        if row.policy == self.baseline:
            return rounded(row.value, len(self.seeds)), ""
        return rounded(row.value, len(self.seeds)), rounded(row.difference, len(self.seeds), signed=True)

    def to_markdown(self) -> str:
        """A table a task for people, one column a policy, differences to the baseline below the values."""
        seeds = f"seed{'s' if len(self.seeds) > 1 else ''} {', '.join(map(str, self.seeds))}"
        lines = [f"## {self.world}, {seeds}"]
        for task, metric_rows in self.sections():
            header = " | ".join(f"{p} (baseline)" if p == self.baseline else p for p in self.policies)
            lines += [
                "",
                f"### {task or 'whole run'}",
                "",
                f"| metric | {header} |",
                "|---|" + "--:|" * len(self.policies),
            ]
            for metric, rows in metric_rows:
                cells = [f"{value}<br>Δ {change}" if change else value for value, change in map(self.cell, rows)]
                lines.append(f"| {metric.heading} | {' | '.join(cells)} |")
        return "\n".join([*lines, "", *(f"- {note}" for note in self.notes)]) + "\n"


def compare(runs: Sequence[Run], baseline: str | None = None, common_seeds: bool = False) -> Comparison:
    """Compares the runs' policies seed by seed; `baseline` is by default the policy of the first run.

    Raises `ResultsError` where the runs cannot be compared (see `iovsim.results.pairing.pair`), or where `baseline` is
    no policy among them.
    """
    paired = pair(runs, common_seeds)
    policies, seeds = tuple(paired.runs), paired.seeds
    reference = policies[0] if baseline is None else baseline
    if reference not in policies:
        raise ResultsError(f"baseline: no policy {reference!r} among the runs, {near_match(reference, policies)}")
    values = {policy: _values_by_key(paired.runs[policy], seeds) for policy in policies}
    tasks = sorted({task for by_key in values.values() for _, task in by_key}, key=lambda task: (task == "", task))
    rows = [
        _row(metric, task, policy, values, reference)
        for task in tasks
        for metric in METRICS.values()
        for policy in policies
        if any((metric.name, task) in by_key for by_key in values.values())
    ]
    first = [paired.runs[reference][seed].manifest for seed in seeds]
    return Comparison(
        world=first[0].world,
        baseline=reference,
        policies=policies,
        seeds=seeds,
        hashes={manifest.seed: manifest.world_hash for manifest in first},
        rows=tuple(rows),
        notes=_notes(len(seeds), paired.dropped),
    )


def _values_by_key(by_seed: Mapping[int, Run], seeds: Sequence[int]) -> _ByKey:
    """Values by metric and task, then by seed; without what a run could not measure."""
    table: dict[tuple[str, str], dict[int, float]] = {}
    for seed in seeds:
        for found in metrics(by_seed[seed]):
            by_key = table.setdefault((found.metric.name, found.task), {})
            if found.value is not None:
                by_key[seed] = found.value
    return table


def _row(metric: Metric, task: str, policy: str, values: Mapping[str, _ByKey], reference: str) -> Row:
    here = values[policy].get((metric.name, task), {})
    base = values[reference].get((metric.name, task), {})
    differences = [value - base[seed] for seed, value in here.items() if seed in base]
    difference = None if policy == reference else interval(differences)
    return Row(metric, task, policy, interval(list(here.values())), difference, here)


def _columns(prefix: str, value: Interval | None) -> dict[str, float | int | None]:
    mean, half = (value.mean, value.half) if value else (None, None)
    low, high = (mean - half, mean + half) if mean is not None and half is not None else (None, None)
    names = ("n", "mean", "low", "high")
    return {f"{prefix}{n}": v for n, v in zip(names, (value.n if value else 0, mean, low, high), strict=True)}


def _notes(seeds: int, dropped: Sequence[int]) -> tuple[str, ...]:
    notes = ["↑ higher is better, ↓ lower is better; Δ: policy minus baseline, paired by seed."]
    if dropped:
        notes.append(f"Left out, because not all policies have them: seeds {', '.join(map(str, dropped))}.")
    if seeds == 1:
        notes.append("One seed: no interval can be given, and no difference is shown to be more than chance.")
    else:
        notes.append(
            f"±: half-width of a 95 % Student t interval over {seeds} seeds; it supposes roughly normal values and is "
            "not corrected for the number of comparisons."
        )
    return tuple(notes)
