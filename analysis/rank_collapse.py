"""Turns merges into curves of the stable rank of the merged update: does its energy gather in few directions?"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from iovsim.results import Run

from .learning import by_merge, draw_curve
from .measures import task_grid
from .seeds import spread
from .style import empty, legend_above, looks, policies, styled, time_scale

_NOTE = (
    "Stable rank: squared Frobenius over squared spectral norm of the merged update, averaged over layers. "
    "1: all its energy is in one direction; at most its rank."
)


@styled
def over_time(runs: Sequence[Run]) -> Figure:
    """Stable rank against simulated time: a panel a task, a line a policy."""
    groups = policies(runs)
    figure, panels = task_grid(runs, f"{_NOTE} {spread(runs, 'Marker', 'bars')}")
    known = [run.table("merges").dropna(subset="stable_rank") for run in runs]
    times = [float(t) for merges in known for t in merges["time_s"]]
    factor, unit = time_scale(min(times), max(times)) if times else (1.0, "s")
    for task, axes in panels.items():
        axes.set_title(task)
        for policy, look in looks(list(groups)).items():
            curves = [m[m["task"] == task] for run, m in zip(runs, known, strict=True) if run in groups[policy]]
            curves = [curve for curve in curves if len(curve)]
            if curves:
                x = pd.DataFrame([by_merge(curve, curve["time_s"].to_numpy() * factor) for curve in curves])
                y = pd.DataFrame([by_merge(curve, curve["stable_rank"].to_numpy()) for curve in curves])
                draw_curve(axes, x, y, policy, look)
        axes.set_ylabel("Stable rank")
        axes.set_xlabel(f"Simulated time ({unit})")
        if axes.lines:
            axes.set_ylim(bottom=0.0)
        else:
            empty(axes, "no merges")
    legend_above(figure)
    return figure
