"""Draws how full the vehicles' batteries are over time."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from iovsim.domain import FloatArray
from iovsim.results import Run

from .style import BLUE, ONE_COLUMN_IN, VERMILLION, energy_scale, legend_above, new_figure, styled, time_scale

BATTERIES = "batteries"


def has_batteries(run: Run) -> bool:
    """Whether there is anything to draw: only live runs may have batteries."""
    kept = run.manifest.tables.get(BATTERIES)
    return kept is not None and kept.rows > 0


@styled
def charge_over_time(run: Run) -> Figure:
    """Median and quantiles of the charge, over all vehicles with a battery that were on the road in a period."""
    table = run.table(BATTERIES)
    by_period = table.groupby("time_s")["after_j"]
    low, middle, high = (by_period.quantile(share) for share in (0.1, 0.5, 0.9))
    count = by_period.size()
    empty_share = float((table.groupby("vehicle")["after_j"].last() <= 0.0).mean())
    figure, (axes,) = new_figure(
        [run],
        width_in=ONE_COLUMN_IN,
        height_in=2.5,
        note=f"Policy {run.manifest.policy.name}. {count.min()} to {count.max()} vehicles with a battery in a period; "
        f"{empty_share:.0%} of all ran empty.",
    )
    factor, unit = energy_scale(float(high.max()))
    time_s: FloatArray = middle.index.to_numpy(dtype=np.float64)
    time_factor, time_unit = time_scale(float(time_s[0]), float(time_s[-1]))
    axes.fill_between(
        time_s * time_factor, low * factor, high * factor, color=BLUE, alpha=0.25, linewidth=0, label="10 to 90 %"
    )
    axes.plot(time_s * time_factor, middle * factor, color=VERMILLION, marker=".", label="median")
    axes.set(xlabel=f"Simulated time ({time_unit})", ylabel=f"Charge ({unit})", ylim=(0, None))
    legend_above(figure)
    return figure
