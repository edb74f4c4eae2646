"""Draws what became of the jobs and which ranks they were given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iovsim.domain import FloatArray, JobStatus, LossReason
from iovsim.results import Run

from .measures import task_grid
from .seeds import mean_and_half, spread
from .style import BLACK, ONE_COLUMN_IN, empty, legend_above, looks, new_figure, policies, styled

MOST_RANKS = 8
"""In the width of a panel."""

FEW = 0.02
"""Of the longest bar: shorter ones cannot be read off, so their value stands beside them."""


@styled
def outcomes(runs: Sequence[Run]) -> Figure:
    """Jobs of a run by status, lost and failed ones also by reason; one bar a policy."""
    order = [_outcome(status, reason) for status in JobStatus for reason in LossReason]
    counts = {
        policy: pd.DataFrame([_outcomes(run).value_counts() for run in group]).fillna(0.0)
        for policy, group in policies(runs).items()
    }
    seen = [name for name in order if any(name in frame.columns for frame in counts.values())]
    figure, (axes,) = new_figure(
        runs,
        width_in=ONE_COLUMN_IN,
        height_in=1.2 + max(len(seen), 2) * (0.15 + 0.1 * len(counts)),
        note=spread(runs, "Bar", "whisker"),
    )
    if seen:
        _bars(axes, seen, {policy: _columns(frame, seen) for policy, frame in counts.items()}, horizontal=True)
        legend_above(figure)
    else:
        empty(axes, "no jobs")
    axes.set_xlabel("Jobs per run (count)")
    return figure


@styled
def ranks(runs: Sequence[Run]) -> Figure:
    """Share of each task's jobs by LoRA rank; one bar a policy."""
    groups = policies(runs)
    figure, panels = task_grid(runs, spread(runs, "Bar", "whisker"))
    for task, axes in panels.items():
        shares = {
            policy: pd.DataFrame([_ranks(run, task).value_counts(normalize=True) for run in group]).fillna(0.0)
            for policy, group in groups.items()
        }
        seen = sorted({int(rank) for frame in shares.values() for rank in frame.columns})
        axes.set(title=task, xlabel="LoRA rank", ylabel="Share of jobs")
        if seen:
            columns = {policy: _columns(frame, seen) for policy, frame in shares.items()}
            bins = _bins(seen)
            joined = {
                policy: np.stack([table[:, np.isin(seen, ranks)].sum(axis=1) for ranks in bins.values()], axis=1)
                for policy, table in columns.items()
            }
            _bars(axes, list(bins), joined, horizontal=False)
            axes.set_ylim(0.0, 1.0)  # an interval may leave the range of a share, the axis need not
        else:
            empty(axes, "no jobs")
    legend_above(figure)
    return figure


def _outcome(status: str, reason: str) -> str:
    words = status.replace("_", " ")
    return words if reason == LossReason.NONE else f"{words} ({reason})"


def _outcomes(run: Run) -> pd.Series:
    jobs = run.table("jobs")
    return pd.Series([_outcome(s, r) for s, r in zip(jobs["status"], jobs["reason"], strict=True)], dtype=object)


def _ranks(run: Run, task: str) -> pd.Series:
    jobs = run.table("jobs")
    return jobs.loc[jobs["task"] == task, "rank"]


def _bins(ranks: Sequence[int]) -> Mapping[str, Sequence[int]]:
    """Ranks by the name of their bin: each its own, or, where more than `MOST_RANKS` would not be read, by doubling."""
    if len(ranks) <= MOST_RANKS:
        return {str(rank): [rank] for rank in ranks}
    bins: dict[int, list[int]] = {}
    for rank in ranks:
        bins.setdefault((rank - 1).bit_length(), []).append(rank)
    ends = {power: (2 ** (power - 1) + 1 if power else 1, 2**power) for power in bins}
    return {str(low) if low == high else f"{low}-{high}": bins[power] for power, (low, high) in ends.items()}


def _columns(frame: pd.DataFrame, names: Sequence[object]) -> FloatArray:
    """Values by seed and name, 0 for names that never occurred."""
    table: FloatArray = frame.reindex(columns=list(names), fill_value=0.0).to_numpy(dtype=np.float64)
    return table


def _bars(axes: Axes, names: Sequence[str], values: Mapping[str, FloatArray], horizontal: bool) -> None:
    """One group of bars a name, one bar a policy; `values` by seed and name."""
    thick = 0.8 / len(values)
    longest = max(float(table.mean(axis=0).max()) for table in values.values())
    for i, ((policy, table), look) in enumerate(zip(values.items(), looks(list(values)).values(), strict=True)):
        place = np.arange(len(names)) + (i - (len(values) - 1) / 2) * thick
        mean, half = mean_and_half(table)
        shared: dict[str, Any] = {
            "color": look.color,
            "hatch": look.hatch,
            "edgecolor": "white",
            "linewidth": 0,
            "label": policy,
        } | {"error_kw": {"elinewidth": 0.8, "ecolor": BLACK}, "capsize": 2}
        if horizontal:
            axes.barh(place, mean, height=thick, xerr=half, **shared)
            for at, value, reach in zip(place, mean, np.zeros(len(mean)) if half is None else half, strict=True):
                if 0 < value < FEW * longest:
                    axes.annotate(
                        f"{value:.2g}",
                        (value + reach, at),
                        xytext=(3, 0),
                        textcoords="offset points",
                        va="center",
                        fontsize=5,
                    )
        else:
            axes.bar(place, mean, width=thick, yerr=half, **shared)
    if horizontal:
        axes.set_yticks(range(len(names)), names)
        axes.set(xlim=(0, None), ylim=(len(names) - 0.5, -0.5))
        axes.grid(visible=False, axis="y")
    else:
        axes.set_xticks(range(len(names)), names)
        axes.set_ylim(0, None)
        axes.grid(visible=False, axis="x")
