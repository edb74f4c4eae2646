"""Turns tasks into panels; accuracy always beside macro F1, for where classes are unequal in number it misleads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iovsim.results import Run

from .style import ONE_COLUMN_IN, TWO_COLUMNS_IN, new_figure, tasks

MEASURES: Mapping[str, str] = {"accuracy": "Accuracy (share)", "macro_f1": "Macro F1 (share)"}
"""The columns of the table of evaluations that are drawn, and the labels of their axes."""

Panels = dict[tuple[str, str], Axes]


def task_rows(
    runs: Sequence[Run], note: str, row_in: float = 1.6, only: Sequence[str] | None = None
) -> tuple[Figure, Panels]:
    """A figure with a row of panels for each task, or those in `only`, by task and measure.

    Both panels of a row have one scale.
    """
    names = tasks(runs) if only is None else only
    figure, panels = new_figure(
        runs, max(len(names), 1), len(MEASURES), TWO_COLUMNS_IN, 0.75 + row_in * max(len(names), 1), note
    )
    places = [(task, measure) for task in names for measure in MEASURES]
    found = dict(zip(places, panels, strict=False))
    for (task, _), axes in found.items():
        axes.set_title(task)
        axes.sharey(found[task, "accuracy"])
    return figure, found


def task_grid(runs: Sequence[Run], note: str, row_in: float = 1.9) -> tuple[Figure, dict[str, Axes]]:
    """A figure with one panel for each task, two or three beside each other."""
    names = tasks(runs)
    columns = {1: 1, 2: 2, 4: 2}.get(max(len(names), 1), 3)
    rows = max(-(-len(names) // columns), 1)
    width_in = ONE_COLUMN_IN if columns == 1 else TWO_COLUMNS_IN
    figure, panels = new_figure(runs, rows, columns, width_in, 0.7 + row_in * rows, note)
    for axes in panels[max(len(names), 1) :]:
        axes.remove()
    return figure, dict(zip(names, panels, strict=False))


def label_below(panels: Panels, label: str) -> None:
    """Writes the label of the horizontal axis under the last row."""
    for axes in list(panels.values())[-len(MEASURES) :]:
        axes.set_xlabel(label)


def fit_shares(panels: Panels) -> None:
    """Lets the vertical axes begin at 0 and end at 1 at most: intervals may reach beyond, shares cannot."""
    for axes in panels.values():
        axes.set_ylim(0.0, min(max(axes.get_ylim()[1], 0.1), 1.02))
