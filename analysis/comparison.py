"""Draws policies side by side: their values with intervals and seeds, and their paired differences to a baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iovsim.results import Comparison, Run
from iovsim.results.comparison import Row
from iovsim.results.intervals import Interval
from iovsim.results.notes import TESTS
from iovsim.results.significance import LEVEL

from .style import BLACK, TWO_COLUMNS_IN, Look, energy_scale, looks, new_figure, styled, tasks

OF_TASKS = {
    "final_accuracy": "Final accuracy",
    "final_macro_f1": "Final macro F1",
    "worst_class_recall": "Recall, worst class",
    "personalised_accuracy": "Accuracy, own data",
}
OF_RUNS = {
    "energy_j": "Energy",
    "energy_per_update_j": "Energy per update",
    "wasted_share": "Wasted energy",
    "overrun_j": "Energy above budget",
    "delivered_jobs": "Delivered jobs",
    "lost_jobs": "Lost jobs",
    "failed_jobs": "Failed jobs",
    "latency_s": "Mean job latency",
}
_UNITS = {"delivered_jobs": "count", "lost_jobs": "count", "failed_jobs": "count"}
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
        "Marker: mean; bar: 95 % t interval, not corrected for the number of comparisons; dots: seeds. Filled: "
        f"significant ({TESTS[result.test]}, p ≤ {LEVEL:g} after Holm's correction for the policies of a panel)."
        if len(result.seeds) > 1
        else "One seed: no interval can be given."
    )
    return _panels(result, runs, note, differences=True)


def _panels(result: Comparison, runs: Sequence[Run], note: str, differences: bool) -> Figure:
    """A row of panels a task, then as many as it takes for the metrics of the whole run."""
    policies = [p for p in result.policies if not (differences and p == result.baseline)]
    titles = {(task, name): f"{title}\n{task}" for task in tasks(runs) for name, title in OF_TASKS.items()}
    titles |= {("", name): title for name, title in OF_RUNS.items()}
    lines = -(-len(titles) // COLUMNS)
    height_in = 0.6 + lines * (0.68 + 0.15 * len(policies))
    figure, panels = new_figure(runs, lines, COLUMNS, TWO_COLUMNS_IN, height_in, note)
    rows = {(row.task, row.metric.name, row.policy): row for row in result.rows}
    for place, (axes, ((task, name), title)) in enumerate(zip(panels, titles.items(), strict=False)):
        axes.set_title(title)
        axes.set_yticks(range(len(policies)), policies if place % COLUMNS == 0 else [""] * len(policies))
        axes.set_ylim(len(policies) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.locator_params(axis="x", nbins=4)
        _fill(axes, result, [rows.get((task, name, policy)) for policy in policies], rows, differences)
    for axes in panels[len(titles) :]:
        axes.remove()
    return figure


def _fill(
    axes: Axes,
    result: Comparison,
    shown: Sequence[Row | None],
    rows: Mapping[tuple[str, str, str], Row],
    differences: bool,
) -> None:
    """A line for each of the rows; a metric that no run has says so."""
    known = [row for row in shown if row is not None]
    if not known:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", va="center", color="0.4")
        axes.set_xticks([])
        return
    metric, task = known[0].metric, known[0].task
    base = rows[task, metric.name, result.baseline].by_seed
    every = looks(result.policies)  # a policy keeps its look whether or not the baseline is drawn
    factor, unit = _scale(known, metric.name)
    for y, row in enumerate(known):
        if differences:
            seeds = [value - base[seed] for seed, value in row.by_seed.items() if seed in base]
            filled = row.contrast is not None and row.contrast.significant(result.test)
            _draw(axes, y, row.difference, seeds, factor, every[row.policy], filled)
        else:
            _draw(axes, y, row.value, list(row.by_seed.values()), factor, every[row.policy])
    if differences:
        axes.axvline(0.0, color="0.4", linewidth=0.8, linestyle="--")
    better = "→ better" if metric.better == "higher" else "← better"
    axes.set_xlabel(f"{'Δ ' if differences else ''}{unit} ({better})")


def _scale(rows: Sequence[Row], metric: str) -> tuple[float, str]:
    unit = rows[0].metric.unit
    if unit == "J":
        return energy_scale(max((abs(v) for row in rows for v in row.by_seed.values()), default=0.0))
    return 1.0, _UNITS.get(metric, "share" if unit == "1" else unit)


def _draw(
    axes: Axes,
    y: int,
    found: Interval | None,
    seeds: Sequence[float],
    factor: float,
    look: Look,
    filled: bool = True,
) -> None:
    if found is None:
        axes.text(0.5, y, "no value", transform=axes.get_yaxis_transform(), ha="center", va="center", color="0.4")
        return
    half = None if found.half is None else found.half * factor
    axes.errorbar(
        found.mean * factor,
        y,
        xerr=half,
        color=look.color,
        marker=look.marker,
        markersize=5,
        markerfacecolor=look.color if filled else "white",
        capsize=3,
        linewidth=1.2,
    )
    if len(seeds) > 1:
        axes.plot(
            [v * factor for v in seeds],
            [y + 0.3] * len(seeds),
            "o",
            markersize=2.5,
            markerfacecolor="none",
            markeredgecolor=BLACK,
            markeredgewidth=0.6,
        )
