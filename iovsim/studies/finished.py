"""A finished study becomes its runs, their tables joined, and a comparison of the policies for each variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import pandas as pd

from iovsim.config import StudyFile
from iovsim.results import Asked, Comparison, Run, Target, compare_variants
from iovsim.results.metrics import DEFAULT
from iovsim.results.variants import in_words, variants
from iovsim.results.views import joined


@dataclass(frozen=True, repr=False)
class Study:
    """A study whose runs are all finished, in the order in which it asked for them. `path` is its folder."""

    path: Path
    file: StudyFile
    runs: tuple[Run, ...]

    def compare(self, metrics: Sequence[str] | None = None, *, every_pair: bool = False) -> tuple[Comparison, ...]:
        """One comparison for each variant of the grid, with the study's baseline and targets; see `iovsim.compare`.

        Raises `ResultsError` for a name that is no metric.
        """
        targets = tuple(Target(task, accuracy) for task, accuracy in self.file.targets.items())
        baseline = self.file.baseline or self.runs[0].manifest.policy.name
        found = compare_variants(self.runs, baseline, asked=Asked(every_pair=every_pair, targets=targets))
        return tuple(one.only(metrics or DEFAULT) for one in found)

    def frame(self, table: str) -> pd.DataFrame:
        """One table of all runs; see `iovsim.frame`. Raises `ResultsError`."""
        return joined(self.runs, table)

    def __repr__(self) -> str:
        return f"<Study {self.file.name}: {len(self.runs)} runs>"

    def _repr_html_(self) -> str:
        lines = [
            {"variant": in_words(variant), "policy": policy, "seeds": ", ".join(map(str, seeds))}
            for variant, mine in variants(self.runs)
            for policy, seeds in _seeds(mine).items()
        ]
        heading = f"<p><b>Study {escape(self.file.name)}</b>: {len(self.runs)} runs. {escape(self.file.title)}</p>"
        return heading + pd.DataFrame(lines).to_html(index=False)


def _seeds(runs: Sequence[Run]) -> dict[str, list[int]]:
    """Seeds by policy, in the order of the runs."""
    found: dict[str, list[int]] = {}
    for run in runs:
        found.setdefault(run.manifest.policy.name, []).append(run.manifest.seed)
    return found
