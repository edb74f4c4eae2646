"""Draws how long vehicles stay connected, how long they are not, and how many are over time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from iovsim.domain import ContactEnd, FloatArray
from iovsim.results import Run

from .style import BLUE, ONE_COLUMN_IN, TWO_COLUMNS_IN, VERMILLION, empty, legend_above, new_figure, styled, time_scale


@styled
def contact_times(run: Run) -> Figure:
    """Share of contacts, and of gaps between a vehicle's contacts, that last longer than x; with medians and counts.

    Contacts cut by the end of the trace are right-censored (Kaplan and Meier 1958, by `scipy.stats.ecdf`).
    """
    contacts = run.table("contacts")
    length_s = (contacts["end_s"] - contacts["start_s"]).to_numpy(dtype=np.float64)
    cut = (contacts["end"] == str(ContactEnd.HORIZON)).to_numpy(dtype=np.bool_)
    gaps_s, direct = gaps(contacts)
    figure, (left, right) = new_figure(
        [run],
        1,
        2,
        TWO_COLUMNS_IN,
        2.5,
        note=f"{int(cut.sum())} contacts cut by the end of the trace count as longer than seen (Kaplan-Meier). "
        f"Gaps are between two contacts of one vehicle; {direct} changes of RSU without a gap are not among them.",
    )
    _survival(left, length_s[~cut], length_s[cut], "Contact duration (s)", "contacts")
    _survival(right, gaps_s, np.empty(0), "Gap between contacts (s)", "gaps")
    left.set_ylabel("Share that lasts longer")
    return figure


def gaps(contacts: pd.DataFrame) -> tuple[FloatArray, int]:
    """Lengths of the gaps between consecutive contacts of each vehicle, and how many changes had none."""
    ordered = contacts.sort_values(["vehicle", "start_s"], kind="stable")
    follows = (ordered["vehicle"] == ordered["vehicle"].shift()).to_numpy(dtype=np.bool_)
    gap_s = (ordered["start_s"] - ordered["end_s"].shift()).to_numpy(dtype=np.float64)[follows]
    positive: FloatArray = gap_s[gap_s > 0]
    return positive, int((gap_s <= 0).sum())


def _survival(axes: Axes, seen_s: FloatArray, cut_s: FloatArray, label: str, noun: str) -> None:
    axes.set_xlabel(label)
    count = len(seen_s) + len(cut_s)
    if len(seen_s) == 0:
        empty(axes, f"no completed {noun}")
        return
    curve = stats.ecdf(stats.CensoredData(uncensored=seen_s, right=cut_s)).sf
    x, share = curve.quantiles, curve.probabilities
    axes.step(np.concatenate([[x[0]], x]), np.concatenate([[1.0], share]), where="post", color=BLUE)
    axes.set(xscale="log", ylim=(0, 1.02))
    text = f"n = {count}"
    if share.min() <= 0.5:
        median_s = float(x[np.argmax(share <= 0.5)])
        axes.plot([median_s], [0.5], marker="o", color=VERMILLION)
        axes.axhline(0.5, color=VERMILLION, linestyle="--", linewidth=0.7)
        text = f"median {median_s:.3g} s\n{text}"
    axes.text(0.97, 0.95, text, ha="right", va="top", transform=axes.transAxes)


@styled
def connected_over_time(run: Run) -> Figure:
    """Vehicles in the city and those attached to an RSU, over simulated time."""
    table = run.table("connectivity")
    figure, (axes,) = new_figure([run], width_in=ONE_COLUMN_IN, height_in=2.5)
    axes.set_ylabel("Vehicles (count)")
    if table.empty:
        empty(axes, "connectivity was not recorded")
        return figure
    factor, unit = time_scale(float(table["time_s"].min()), float(table["time_s"].max()))
    time = table["time_s"] * factor
    axes.step(time, table["vehicles"], where="post", color="0.35", linestyle="--", label="in the city")
    axes.step(time, table["connected"], where="post", color=BLUE, label="connected")
    axes.fill_between(time, table["connected"], step="post", color=BLUE, alpha=0.15, linewidth=0)
    share = float(table["connected"].sum() / max(table["vehicles"].sum(), 1))
    axes.set(xlabel=f"Simulated time ({unit})", ylim=(0, None), title=f"{share:.0%} of vehicle time connected")
    legend_above(figure)
    return figure
