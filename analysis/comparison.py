"""Draws policies side by side: their values with intervals and seeds, and their paired differences to a baseline."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iovsim.results import Comparison, Run
from iovsim.results.compare import Row
from iovsim.results.intervals import Interval

from .style import BLACK, TWO_COLUMNS_IN, Look, energy_scale, looks, new_figure, styled

SHOWN = (
    "final_accuracy",
    "personalised_accuracy",
    "energy_j",
    "energy_per_update_j",
    "wasted_share",
    "overrun_j",
    "delivered_jobs",
    "lost_jobs",
    "latency_s",
)
TITLES = {
    "final_accuracy": "Final accuracy",
    "personalised_accuracy": "Accuracy on own data",
    "energy_j": "Energy",
    "energy_per_update_j": "Energy per update",
    "wasted_share": "Wasted energy",
    "overrun_j": "Energy above budget",
    "delivered_jobs": "Delivered jobs",
    "lost_jobs": "Lost jobs",
    "latency_s": "Mean job latency",
}
_UNITS = {"delivered_jobs": "count", "lost_jobs": "count"}
COLUMNS = 4


@styled
def values(result: Comparison, runs: Sequence[Run]) -> Figure:
    """One panel a metric (and task), one line a policy: mean, 95 % interval and every seed."""
    note = (
        "Marker: mean over seeds; bar: 95 % t interval; dots: seeds."
        if len(result.seeds) > 1
        else "One seed: no interval can be given."
    )
    return _panels(result, runs, note, differences=False)


@styled
def differences(result: Comparison, runs: Sequence[Run]) -> Figure:
    """One panel a metric (and task), one line a policy: mean paired difference to the baseline with 95 % interval."""
    note = f"Policy minus {result.baseline}, paired by seed. "
    note += (
        "Marker: mean; bar: 95 % t interval, not corrected for the number of comparisons; dots: seeds."
        if len(result.seeds) > 1
        else "One seed: no interval can be given."
    )
    return _panels(result, runs, note, differences=True)


def _panels(result: Comparison, runs: Sequence[Run], note: str, differences: bool) -> Figure:
    policies = [p for p in result.policies if not (differences and p == result.baseline)]
    keys = list(
        dict.fromkeys((row.metric.name, row.task) for name in SHOWN for row in result.rows if row.metric.name == name)
    )
    lines = -(-len(keys) // COLUMNS)
    figure, panels = new_figure(runs, lines, COLUMNS, TWO_COLUMNS_IN, 0.5 + lines * (0.75 + 0.2 * len(policies)), note)
    by_key = {(row.metric.name, row.task, row.policy): row for row in result.rows}
    for place, (axes, (metric, task)) in enumerate(zip(panels, keys, strict=False)):
        base = by_key[metric, task, result.baseline]
        rows = [by_key[metric, task, policy] for policy in policies]
        factor, unit = _scale(rows, metric)
        for y, (row, look) in enumerate(zip(rows, _looks(result, policies), strict=True)):
            if differences:
                seeds = [value - base.by_seed[seed] for seed, value in row.by_seed.items() if seed in base.by_seed]
                _draw(axes, y, row.difference, seeds, factor, look)
            else:
                _draw(axes, y, row.value, list(row.by_seed.values()), factor, look)
        if differences:
            axes.axvline(0.0, color="0.4", linewidth=0.8, linestyle="--")
        better = "→ better" if base.metric.better == "higher" else "← better"
        axes.set_title(f"{TITLES[metric]}\n{task}" if task else TITLES[metric])
        axes.set_xlabel(f"{'Δ ' if differences else ''}{unit} ({better})")
        axes.set_yticks(range(len(policies)), policies if place % COLUMNS == 0 else [""] * len(policies))
        axes.set_ylim(len(policies) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.locator_params(axis="x", nbins=4)
    for axes in panels[len(keys) :]:
        axes.remove()
    return figure


def _looks(result: Comparison, policies: Sequence[str]) -> list[Look]:
    """A policy keeps its look whether or not the baseline is drawn."""
    every = looks(result.policies)
    return [every[policy] for policy in policies]


def _scale(rows: Sequence[Row], metric: str) -> tuple[float, str]:
    unit = rows[0].metric.unit
    if unit == "J":
        return energy_scale(max((abs(v) for row in rows for v in row.by_seed.values()), default=0.0))
    return 1.0, _UNITS.get(metric, "share" if unit == "1" else unit)


def _draw(axes: Axes, y: int, found: Interval | None, seeds: Sequence[float], factor: float, look: Look) -> None:
    if found is None:
        axes.text(0.5, y, "no value", transform=axes.get_yaxis_transform(), ha="center", va="center", color="0.4")
        return
    half = None if found.half is None else found.half * factor
    axes.errorbar(
        found.mean * factor, y, xerr=half, color=look.color, marker=look.marker, markersize=5, capsize=3, linewidth=1.2
    )
    if len(seeds) > 1:
        axes.plot(
            [v * factor for v in seeds],
            [y + 0.28] * len(seeds),
            "o",
            markersize=2.5,
            markerfacecolor="none",
            markeredgecolor=BLACK,
            markeredgewidth=0.6,
        )
