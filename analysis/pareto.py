"""Draws what policies pay for accuracy: energy and latency beside it, who is on the front, and how surely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iovsim.domain import FloatArray
from iovsim.results import Comparison, Run
from iovsim.results.pareto import OBJECTIVES, Standing, dominated

from .seeds import mean_and_half
from .style import TWO_COLUMNS_IN, Look, energy_scale, legend_above, looks, new_figure, styled

_ACCURACY, _LATENCY, _ENERGY = range(len(OBJECTIVES))


@styled
def front(result: Comparison, runs: Sequence[Run]) -> Figure:
    """A row a task and one for the mean over tasks: accuracy over energy, over latency, and the bootstrap shares."""
    tasks = list(dict.fromkeys(standing.task for standing in result.standings))
    look = looks(result.policies)
    row_in = max(1.55, 0.5 + 0.15 * len(result.policies))
    figure, panels = new_figure(runs, len(tasks), 3, TWO_COLUMNS_IN, 0.8 + row_in * len(tasks), _note(result))
    for row, task in enumerate(tasks):
        mine = [standing for standing in result.standings if standing.task == task]
        over_energy, over_latency, shares = panels[3 * row : 3 * row + 3]
        factor, unit = energy_scale(max(float(standing.values[:, _ENERGY].max()) for standing in mine))
        _scatter(over_energy, mine, _ENERGY, factor, look)
        _scatter(over_latency, mine, _LATENCY, 1.0, look)
        _bars(shares, mine, look)
        for axes in (over_energy, over_latency, shares):
            axes.set_title(task or "mean over tasks")
        over_energy.set(xlabel=f"Energy ({unit})", ylabel="Final accuracy (share)")
        over_latency.set(xlabel="Mean job latency (s)", ylabel="Final accuracy (share)")
        over_latency.sharey(over_energy)
    legend_above(figure)
    return figure


def _note(result: Comparison) -> str:
    seeds = len(result.standings[0].values) if result.standings else 0
    spread = f"Marker: mean over {seeds} seeds; bars: its 95 % t interval. " if seeds > 1 else ""
    return (
        f"{spread}Energy and latency of the task's own jobs. Filled: no other policy is as good in accuracy, energy "
        "and latency and better in one, by means. Grey line: the front of the two quantities of the panel alone. "
        "Right: the share of resampled seeds in which a policy is on the front of all three."
    )


def _scatter(axes: Axes, standings: Sequence[Standing], cost: int, factor: float, look: Mapping[str, Look]) -> None:
    """One marker a policy with bars on both axes, and the front of the panel's two quantities behind them."""
    for standing in standings:
        mine = look[standing.policy]
        (x, half_x), (y, half_y) = (
            mean_and_half(standing.values[:, [column]] * scale) for column, scale in ((cost, factor), (_ACCURACY, 1.0))
        )
        axes.errorbar(
            x,
            y,
            xerr=half_x,
            yerr=half_y,
            linestyle="none",
            color=mine.color,
            marker=mine.marker,
            markersize=5.5,
            markerfacecolor="white" if standing.dominated_by else mine.color,
            elinewidth=0.8,
            capsize=2,
        )
        axes.plot([], [], linestyle="none", color=mine.color, marker=mine.marker, label=standing.policy)  # the legend
    means = np.array([standing.values.mean(axis=0) for standing in standings])
    axes.plot(*_steps(means[:, cost] * factor, means[:, _ACCURACY]), color="0.45", linewidth=0.9, zorder=0)
    axes.locator_params(axis="both", nbins=5)


def _steps(costs: FloatArray, accuracies: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Corners of the best accuracy that can be had for a cost, ascending."""
    best = ~dominated(np.column_stack([costs, -accuracies])).any(axis=1)
    order = np.argsort(costs[best], kind="stable")
    x, y = costs[best][order], accuracies[best][order]
    return np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]


def _bars(axes: Axes, standings: Sequence[Standing], look: Mapping[str, Look]) -> None:
    """The share of resampled seeds in which each policy is on the front, in percent beside its bar."""
    axes.set(xlim=(0, 1.25), ylim=(len(standings) - 0.5, -0.5), xlabel="Share of resamples")
    axes.set_xticks([0, 0.5, 1])
    axes.set_yticks(range(len(standings)), [standing.policy for standing in standings], fontsize=6.5)
    axes.grid(visible=False, axis="y")
    for place, standing in enumerate(standings):
        mine = look[standing.policy]
        share = standing.share
        axes.barh(
            place,
            share or 0.0,
            height=0.65,
            color=mine.color,
            hatch=mine.hatch,
            edgecolor="white",
            linewidth=0,
        )
        told = "too few seeds" if share is None else f"{100 * share:.0f} %"
        axes.text((share or 0.0) + 0.03, place, told, va="center", fontsize=6.5)
