"""Rows of centralised references become a CSV file and, with several ranks, a figure of accuracy by rank."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iovsim.files import explained, write_whole
from iovsim.results.intervals import interval

from .style import DOTS_PER_INCH, ONE_COLUMN_IN, TWO_COLUMNS_IN, legend_above, looks, save, styled

SCORES = {"accuracy": "accuracy", "macro_f1": "macro F1"}


def write_centralised(rows: pd.DataFrame, out: Path) -> list[Path]:
    """Writes `centralised.csv` and, with LoRA of two ranks or more, `rank` as PNG and PDF; returns the files.

    `rows` are those of `iovsim.experiment.centralised`. Raises `ResultsError` where `out` cannot be written.
    """
    with explained(out, "create the folder"):
        out.mkdir(parents=True, exist_ok=True)
    table = out / "centralised.csv"
    write_whole(table, rows.to_csv(index=False).encode())
    adapted = rows[(rows["tuning"] == "lora") & (rows["epoch"] > 0)]
    return [table, *(save(by_rank(rows), out, "rank") if adapted["rank"].nunique() > 1 else [])]


@styled
def by_rank(rows: pd.DataFrame) -> Figure:
    """Held-out accuracy and macro F1 over the rank, a panel a task: every seed, their mean, and its 95 % interval.

    Horizontal lines are the means of what was trained without adapters, if any was.
    """
    after = rows[rows["epoch"] > 0]
    tasks = sorted(after["task"].unique())
    columns = min(len(tasks), 2)
    lines = -(-len(tasks) // columns)
    width_in = TWO_COLUMNS_IN if columns == 2 else ONE_COLUMN_IN
    figure = Figure(figsize=(width_in, 2.5 * lines + 0.5), dpi=DOTS_PER_INCH, layout="constrained")
    seeds = sorted(after["seed"].unique())
    note = "dots: seeds; points and bars: their mean and its 95 % t interval" if len(seeds) > 1 else "one seed"
    figure.supxlabel(
        f"Centralised reference, seeds {', '.join(map(str, seeds))}; {note}.", x=0.01, ha="left", fontsize=5.5
    )
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel, task in zip(panels, tasks, strict=False):
        _draw_task(panel, after[after["task"] == task], task)
    for panel in panels[len(tasks) :]:
        panel.set_axis_off()
    legend_above(figure)
    return figure


def _draw_task(panel: Axes, rows: pd.DataFrame, task: str) -> None:
    adapted = rows[rows["tuning"] == "lora"]
    ranks = sorted(adapted["rank"].unique())
    given = looks(list(SCORES.values()))
    for number, (column, name) in enumerate(SCORES.items()):
        look, shift = given[name], 0.12 * (number - 0.5)
        found = [adapted.loc[adapted["rank"] == rank, column] for rank in ranks]
        places = np.arange(len(ranks)) + shift
        means, halves = zip(*((v.mean(), _half(v)) for v in found), strict=True)
        panel.errorbar(
            places, means, halves, color=look.color, linestyle=look.line, marker=look.marker, capsize=2, label=name
        )
        for place, values in zip(places, found, strict=True):
            panel.plot(np.full(len(values), place), values, ".", color=look.color, alpha=0.5, markersize=3)
        for tuning, line in (("head", ":"), ("full", "--")):
            level = rows.loc[rows["tuning"] == tuning, column]
            if len(level):
                label = f"{name}, {'head alone' if tuning == 'head' else 'full fine-tuning'}"
                panel.axhline(level.mean(), color=look.color, linestyle=line, linewidth=0.8, label=label)
    low, high = panel.get_ylim()  # an interval may leave the range of a score, the axis need not
    panel.set_ylim(max(low, 0.0), min(high, 1.0))
    panel.set_xticks(np.arange(len(ranks)), [str(rank) for rank in ranks])
    panel.set(title=f"{task}, {int(adapted['steps'].iloc[0])} steps", xlabel="LoRA rank", ylabel="held-out score")


def _half(values: pd.Series) -> float:
    """Half the width of the mean's 95 % interval; nan for one value."""
    found = interval(values.tolist())
    return np.nan if found is None or found.half is None else found.half
