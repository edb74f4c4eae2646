"""Turns what vehicles hold of a task's data into a picture: which classes, how many samples, and since when."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from iovsim.domain import FloatArray
from iovsim.results import Run
from iovsim.results.data import class_samples_held

from .style import BLUE, TWO_COLUMNS_IN, empty, new_canvas, styled, time_scale

SHOWN_VEHICLES = 30
NAMED_CLASSES = 15
MOMENTS = 200


@styled
def held(run: Run, task: str) -> Figure:
    """Training samples by class, class mix of vehicles, samples and classes a vehicle; and, where they come, when."""
    shards = _of_task(run, "shards", task)
    arrive = bool(shards["first_s"].notna().any())
    note = "Training samples; one that two vehicles hold counts twice."
    if len(shards) > SHOWN_VEHICLES:
        note += f" Class mix: {SHOWN_VEHICLES} of {len(shards)} vehicles, evenly spaced in the order shown."
    if arrive:
        note += " So far: all vehicles' samples, even between a vehicle's first and its last."
    figure = new_canvas([run], TWO_COLUMNS_IN, 4.0, note)
    halves = figure.add_gridspec(1, 2, width_ratios=[2.3, 1])
    wide = halves[0].subgridspec(2, 2, height_ratios=[1, 2.4], width_ratios=[1, 0.025])
    totals = class_samples_held(run, task)
    total = figure.add_subplot(wide[0, 0], title=_title(task, shards, totals))
    _draw_totals(total, totals)
    _draw_mix(figure.add_subplot(wide[1, 0]), figure.add_subplot(wide[1, 1]), _mix(run, task, totals.index))
    right = halves[1].subgridspec(3 if arrive else 2, 1)
    narrow = [figure.add_subplot(right[i, 0]) for i in range(3 if arrive else 2)]
    _histogram(narrow[0], shards["train_samples"], "Samples per vehicle (count)")
    _histogram(narrow[1], shards["classes"], "Classes per vehicle (count)")
    if arrive:
        _draw_arrivals(narrow[2], shards)
    return figure


def _title(task: str, shards: pd.DataFrame, totals: pd.Series) -> str:
    largest = f", largest {totals.max() / totals.sum():.0%}" if totals.sum() else ""
    return f"{task}: {len(shards)} vehicles, {totals.sum():,} samples, {len(totals)} classes{largest}"


def _draw_totals(axes: Axes, totals: pd.Series) -> None:
    axes.bar(range(len(totals)), totals, color=BLUE, width=0.8)
    axes.set(ylabel="Samples (count)", xlim=(-0.5, max(len(totals), 1) - 0.5))
    axes.set_xticks([])
    axes.grid(visible=False, axis="x")


def _mix(run: Run, task: str, classes: pd.Index) -> pd.DataFrame:
    """Share of each class (column) in what a vehicle holds (row: district, vehicle), of some vehicles.

    Sorted by district, and in it by the class that a vehicle holds most of.
    """
    rows = _of_task(run, "shard_classes", task).merge(_of_task(run, "shards", task)[["vehicle", "district"]])
    counts = rows.pivot_table(index=["district", "vehicle"], columns="class", values="train_samples", fill_value=0)
    shares = counts.div(counts.sum(axis=1), axis=0).reindex(columns=classes, fill_value=0.0)
    district = shares.index.get_level_values("district").to_numpy()
    table = shares.to_numpy()
    order = np.lexsort((-table.max(axis=1, initial=0), table.argmax(axis=1) if table.size else [], district))
    chosen = np.linspace(0, len(order) - 1, min(SHOWN_VEHICLES, len(order))).round().astype(int)
    chosen_shares: pd.DataFrame = shares.iloc[order[chosen]]
    return chosen_shares


def _draw_mix(axes: Axes, scale: Axes, mix: pd.DataFrame) -> None:
    axes.grid(visible=False)
    if mix.empty:
        empty(axes, "no vehicle holds data")
        scale.remove()
        return
    drawn = axes.imshow(mix.to_numpy(), aspect="auto", interpolation="nearest", cmap="Blues", vmin=0)
    bar = Colorbar(scale, drawn)
    bar.set_label("Share of the vehicle's samples")
    bar.outline.set_linewidth(0.4)
    district = mix.index.get_level_values("district").to_numpy()
    edges = np.flatnonzero(np.diff(district)) + 0.5
    for edge in edges:
        axes.axhline(edge, color="0.3", linewidth=0.7)
    bounds = np.concatenate([[-0.5], edges, [len(mix) - 0.5]])
    axes.set_yticks((bounds[:-1] + bounds[1:]) / 2, [str(d) for d in dict.fromkeys(district)])
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel("District, a line a vehicle")
    if len(mix.columns) <= NAMED_CLASSES:
        axes.set_xticks(range(len(mix.columns)), list(mix.columns), rotation=40, ha="right", rotation_mode="anchor")
    else:
        axes.set_xticks([])
        axes.set_xlabel(f"Class ({len(mix.columns)}, the most frequent first)")


def _histogram(axes: Axes, counts: pd.Series, label: str) -> None:
    axes.set(xlabel=label, ylabel="Vehicles (count)")
    if counts.empty:
        empty(axes, "no vehicle holds data")
        return
    low, high = int(counts.min()), int(counts.max())
    bins = min(max(round(2 * len(counts) ** 0.5), 5), 15)
    width = max(-(-(high - low + 1) // bins), 1)
    edges = (np.arange(low, high + width + 1, width) - 0.5).tolist()
    axes.hist(counts, bins=edges, color=BLUE, edgecolor="white", linewidth=0.4)
    axes.axvline(float(counts.median()), color="0.2", linestyle="--", linewidth=0.8)
    axes.set_title(f"{low} to {high}, median {counts.median():g}")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.grid(visible=False, axis="x")


def _draw_arrivals(axes: Axes, shards: pd.DataFrame) -> None:
    time_s, samples = samples_so_far(shards)
    factor, unit = time_scale(float(time_s[0]), float(time_s[-1]))
    axes.plot(time_s * factor, samples, color=BLUE)
    axes.set(xlabel=f"Simulated time ({unit})", ylabel="So far (count)", ylim=(0, None))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.margins(x=0)


def samples_so_far(shards: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Moments (n,) in seconds, and how many training samples all vehicles together hold then (n,).

    A vehicle's first sample comes at `first_s` and its last at `last_s`, the others evenly in between: which is how a
    Poisson process spreads them on average. Vehicles without times hold theirs from the start.
    """
    first_s, last_s, count = (shards[name].to_numpy(np.float64) for name in ("first_s", "last_s", "train_samples"))
    time_s = np.linspace(np.nanmin(first_s), max(np.nanmax(last_s), np.nanmin(first_s) + 1.0), MOMENTS)
    part = (time_s[:, None] - first_s) / np.maximum(last_s - first_s, 1e-9)
    arrived = np.where(part < 0, 0.0, 1.0 + (count - 1) * np.clip(part, 0.0, 1.0))
    held: FloatArray = np.where(np.isnan(first_s), count, arrived).sum(axis=1)
    return time_s, held


def _of_task(run: Run, name: str, task: str) -> pd.DataFrame:
    table = run.table(name)
    return table[table["task"] == task]
