"""Holds what a comparison found: policies side by side, their paired differences, and what one must know beside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Self

import pandas as pd

from iovsim.files import write_whole
from iovsim.results.contrasts import Contrast
from iovsim.results.frame import csv_text, to_frame
from iovsim.results.html import to_html
from iovsim.results.intervals import Interval, rounded, short
from iovsim.results.latex import to_latex
from iovsim.results.manifest import Manifest
from iovsim.results.markdown import to_markdown
from iovsim.results.measured import Reach
from iovsim.results.metrics import Metric, check_names
from iovsim.results.pareto import Standing
from iovsim.results.significance import TestName
from iovsim.results.variants import Variant, in_words


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of one policy, and its contrast to the baseline; None for the baseline itself.

    `reach` is there for a metric of reaching a target; without any run that did there is no `value`.
    """

    metric: Metric
    task: str
    policy: str
    value: Interval | None
    contrast: Contrast | None
    by_seed: Mapping[int, float]
    reach: Reach | None = None

    @property
    def difference(self) -> Interval | None:
        """Policy minus baseline."""
        return self.contrast.difference if self.contrast else None


@dataclass(frozen=True, slots=True)
class Family:
    """All contrasts of one metric and task that were asked for: what p values are corrected for."""

    metric: Metric
    task: str
    contrasts: tuple[Contrast, ...]
    clear_best: str | None
    """The best policy, where it is significantly better than the second best, corrected for all pairs."""


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """The result: rows by task (the whole run, "", last), metric and policy; families in the same order."""

    world: str
    variant: Variant  # dotted keys in which the scenario differs from those of the other runs compared, with its values
    baseline: str
    policies: tuple[str, ...]
    seeds: tuple[int, ...]
    manifests: Mapping[str, tuple[Manifest, ...]]  # by policy, of the compared seeds
    test: TestName  # the one that decides what is called significant
    rows: tuple[Row, ...]
    families: tuple[Family, ...]
    standings: tuple[Standing, ...]
    notes: tuple[str, ...]
    small_print: tuple[str, ...]  # on the contrasts alone

    @property
    def title(self) -> str:
        """World, variant and seeds in words."""
        seeds = f"seed{'s' if len(self.seeds) > 1 else ''} {', '.join(map(str, self.seeds))}"
        return ", ".join(filter(None, (self.world, in_words(self.variant), seeds)))

    def frame(self) -> pd.DataFrame:
        """One line for each policy and what it is compared with, at full precision; see `frame.to_frame`."""
        return to_frame([self])

    def to_csv(self, path: Path) -> None:
        """Writes `frame()` as CSV, whole or not at all. Raises `ResultsError`."""
        write_whole(path, csv_text(self.frame()).encode())

    def to_markdown(self) -> str:
        """Tables for people; see `markdown.to_markdown`."""
        return to_markdown([self])

    def to_latex(self) -> str:
        """Tables for a paper; see `latex.to_latex`."""
        return to_latex([self])

    def __repr__(self) -> str:
        return f"<Comparison {self.title}: {', '.join(self.policies)}>"

    def _repr_html_(self) -> str:
        return to_html(self)

    def only(self, names: Sequence[str]) -> Self:
        """The same with these metrics and the targets alone. Raises `ResultsError` for a name that is no metric."""
        check_names(names)
        rows = tuple(row for row in self.rows if row.metric.name in names or row.reach is not None)
        kept = {(row.task, row.metric.name) for row in rows}
        families = tuple(family for family in self.families if (family.task, family.metric.name) in kept)
        return replace(self, rows=rows, families=families)

    def sections(self) -> Iterator[tuple[str, list[tuple[Metric, list[Row]]]]]:
        """For each task, then for the whole run (""): its metrics, each with a row for every policy in order."""
        for task, rows in groupby(self.rows, key=lambda row: row.task):
            yield task, [(metric, list(line)) for metric, line in groupby(rows, key=lambda row: row.metric)]

    def cell(self, row: Row) -> tuple[str, str]:
        """The row in text, rounded to what the intervals support: value, and difference to the baseline.

        The latter is empty for the baseline itself, and where neither ever reached the target.
        """
        found, never = row.difference, row.reach is not None and row.reach.reached == 0
        if row.contrast is None or (never and found is not None and found.mean == 0):
            return self.value_text(row), ""
        return self.value_text(row), rounded(found, len(self.seeds), signed=True)

    def value_text(self, row: Row) -> str:
        """The row's value in text; of a target also how many runs reached it, and the median."""
        found = row.reach
        if found is None or found.runs == 0:
            return rounded(row.value, len(self.seeds))
        if row.value is None:
            return f"not reached (0/{found.runs})"
        median = "not reached" if found.median is None else short(found.median)
        return f"{rounded(row.value, found.runs)} ({found.reached}/{found.runs}, median {median})"
