"""Draws how soon runs reach a wished accuracy: the share that has, over time and over energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iovsim.results import Run, Target
from iovsim.results.survival import still_waiting
from iovsim.results.targets import Arrival, arrival

from .style import (
    TWO_COLUMNS_IN,
    Look,
    empty,
    energy_scale,
    legend_above,
    looks,
    new_figure,
    policies,
    styled,
    time_scale,
)

_NOTE = (
    "Kaplan-Meier estimate of the share of runs whose merged adapter has reached the accuracy on held-out samples. "
    "Upright strokes: runs that ended without it; the line is thin from the first on, where the estimate supposes that "
    "such runs would have gone on like the others. Energy: of the task, vehicles and RSUs."
)


@styled
def reached(runs: Sequence[Run], targets: Sequence[Target]) -> Figure:
    """A row a target: the share of runs that has reached it, over simulated time and over the task's energy."""
    groups = policies(runs)
    figure, panels = new_figure(runs, len(targets), 2, TWO_COLUMNS_IN, 0.8 + 1.7 * len(targets), _NOTE)
    for row, target in enumerate(targets):
        found = {p: [a for run in mine if (a := arrival(run, target)) is not None] for p, mine in groups.items()}
        every = [one for mine in found.values() for one in mine]
        over_time, over_energy = panels[2 * row : 2 * row + 2]
        time_factor, time_unit = time_scale(0.0, max((one.time_s for one in every), default=0.0))
        energy_factor, energy_unit = energy_scale(max((one.energy_j for one in every), default=0.0))
        for axes, column, factor, label in (
            (over_time, "time_s", time_factor, f"Simulated time since the start ({time_unit})"),
            (over_energy, "energy_j", energy_factor, f"Energy spent on the task ({energy_unit})"),
        ):
            axes.set(title=f"{target.task}: accuracy {target.accuracy:g}", xlabel=label, ylim=(-0.03, 1.05))
            axes.set_ylabel("Share of runs there")
            if not every:
                empty(axes, "no evaluations")
                continue
            for policy, look in looks(list(groups)).items():
                _curve(axes, found[policy], column, factor, look, policy)
            axes.set_xlim(left=0)
    legend_above(figure)
    return figure


def _curve(axes: Axes, found: Sequence[Arrival], column: str, factor: float, look: Look, label: str) -> None:
    """One policy's steps up to where its last run was seen, markers where one got there, strokes where not."""
    if not found:
        return
    ends = [float(getattr(one, column)) * factor for one in found]
    moments, waiting = still_waiting(ends, [one.reached for one in found])
    x = np.concatenate([[0.0], moments, [max(ends)]])
    y = np.concatenate([[0.0], 1 - waiting, [1 - waiting[-1] if len(waiting) else 0.0]])
    censored = [end for end, one in zip(ends, found, strict=True) if not one.reached]
    first = min([*censored, max(ends)])
    until = int(np.searchsorted(x[:-1], first, side="right"))
    shared: dict[str, Any] = {"color": look.color, "linestyle": look.line, "drawstyle": "steps-post"}
    axes.plot(x, y, **shared, linewidth=0.6)
    axes.plot(
        np.append(x[:until], first),
        np.append(y[:until], y[until - 1]),
        **shared,
        marker=look.marker,
        markersize=3.5,
        markevery=range(1, until),
        label=label,
    )
    heights = [float(y[np.searchsorted(x[:-1], end, side="right") - 1]) for end in censored]
    axes.plot(censored, heights, linestyle="none", marker="|", markersize=7, color=look.color)
