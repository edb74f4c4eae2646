"""Turns runs into what one looks at first: learning curves, key figures, tables joined, a short page in a notebook."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import pandas as pd

from iovsim.errors import ResultsError
from iovsim.results.evaluations import curves
from iovsim.results.metrics import DEFAULT, METRICS, metrics
from iovsim.results.run import Run
from iovsim.results.variants import plain, variants

ACCURACY = "accuracy"
"""Joined like a table, although it is a part of one."""

WHOLE_RUN = "whole run"
"""The column of metrics that belong to no task."""


def accuracy(run: Run) -> pd.DataFrame:
    """Every merged adapter on its task's whole held-out set: a row a task and merge, sorted so.

    Columns as in the table `evaluations`, of which these are the rows of scope "global". Raises `ResultsError`.
    """
    columns = ["task", "merge", "time_s", "samples", "accuracy", "macro_f1", "loss", "calibration_error"]
    found = [curve[columns] for curve in curves(run).values()]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)


def summary(run: Run) -> pd.DataFrame:
    """The run's metrics: a row a metric, in the order of `METRICS`, with its unit; a column a task and `WHOLE_RUN`.

    NaN where a metric does not belong, or could not be measured. Raises `ResultsError` from reading tables.
    """
    found = metrics(run)
    columns: dict[str, dict[str, float | None]] = {task: {} for task in (*sorted(run.manifest.charge_as), WHOLE_RUN)}
    for one in found:
        columns[one.task or WHOLE_RUN][one.metric.name] = one.value
    names = [name for name in METRICS if any(name in column for column in columns.values())]
    frame = pd.DataFrame({"unit": {name: METRICS[name].unit for name in names}}, index=pd.Index(names, name="metric"))
    for name, column in columns.items():
        frame[name] = pd.Series(column, dtype="float64").reindex(names)
    return frame


def joined(runs: Sequence[Run], name: str) -> pd.DataFrame:
    """One table of several runs below each other, or "accuracy". Before its own columns stand `policy` and `seed`.

    Before those there is one for each key in which the runs' scenarios differ, as in a study with a grid. Raises
    `ResultsError` where no such table is declared, or from reading it.
    """
    parts = []
    for variant, mine in variants(runs):
        for run in mine:
            frame = accuracy(run) if name == ACCURACY else run.table(name)
            which = {key: plain(value) for key, value in variant.items()}
            which |= {"policy": run.manifest.policy.name, "seed": run.manifest.seed}
            parts.append((which, frame.assign(**which)))
    if not parts:
        raise ResultsError("no runs are given; give at least one.")
    first = list(parts[0][0])
    whole = pd.concat([frame for _, frame in parts], ignore_index=True)
    return whole[[*first, *(column for column in whole.columns if column not in first)]]


def html(run: Run) -> str:
    """What a notebook shows of a run: what it is, its key figures, and how its jobs ended. Raises `ResultsError`."""
    manifest = run.manifest
    took = "" if manifest.wall_s is None else f", took {manifest.wall_s:.0f} s"
    charged = "; ".join(f"{t}: {c.trained}, charged as {c.charged}" for t, c in sorted(manifest.charge_as.items()))
    figures = summary(run)
    figures = figures[figures.index.isin(DEFAULT)]
    shown = figures.drop(columns="unit").map(lambda value: "" if math.isnan(value) else f"{value:.4g}")
    shown.index = pd.Index([METRICS[name].heading for name in figures.index], name="metric")
    jobs = run.table("jobs").groupby(["status", "reason"], as_index=False).size().rename(columns={"size": "jobs"})
    return "\n".join(
        [
            f"<p><b>{escape(run.label)}</b> &ensp; world {manifest.world_hash[:12]}, {escape(manifest.training.kind)} "
            f"{escape(manifest.training.precision)}{took}<br>{escape(charged)}</p>",
            shown.to_html(),
            jobs.to_html(index=False),
        ]
    )
