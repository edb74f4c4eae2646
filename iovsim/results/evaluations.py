"""Turns the evaluations of a run into its learning curves and into the quality of its last adapters."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from iovsim.results.run import Run

Scope = Literal["global", "class", "district", "validation", "vehicle"]


def curves(run: Run) -> dict[str, pd.DataFrame]:
    """The evaluations on each task's whole held-out set, by task, merge by merge. Raises `ResultsError`."""
    rows = _of(run, "global").sort_values("merge", kind="stable")
    return {str(task): curve for task, curve in rows.groupby("task", sort=True)}


def last(run: Run, scope: Scope) -> pd.DataFrame:
    """The evaluations of a scope after the last merge in which its task has any. Raises `ResultsError`."""
    rows = _of(run, scope)
    return rows[rows["merge"] == rows.groupby("task")["merge"].transform("max")]


def _of(run: Run, scope: Scope) -> pd.DataFrame:
    table = run.table("evaluations")
    return table[table["scope"] == scope]
