"""Draws the city: roads, buildings, where vehicles spend their time, and the RSUs with their coverage."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import LogLocator

from iovsim.domain import FloatArray
from iovsim.results import Run

from .style import BLACK, BLUE, TWO_COLUMNS_IN, new_figure, styled

LABELLED_RSUS = 40
CAPTION = "Circles: coverage radius of each RSU. Cells: time that vehicles spent there, logarithmic."


@styled
def city_map(run: Run) -> Figure:
    """Roads and buildings in grey, vehicle time per cell in colour, RSUs with name and coverage circle."""
    return _map(run.table("rsus"), run.table("density"), run.table("shapes"), [run], "")


@styled
def placement_map(rsus: pd.DataFrame, density: pd.DataFrame, shapes: pd.DataFrame, note: str) -> Figure:
    """The same of tables that belong to no run; `note` says in the caption what they are."""
    return _map(rsus, density, shapes, [], note)


def _map(rsus: pd.DataFrame, density: pd.DataFrame, shapes: pd.DataFrame, runs: list[Run], note: str) -> Figure:
    left, right, bottom, top = _bounds(rsus, density, shapes)
    ratio = min(max((top - bottom) / (right - left), 0.4), 1.1)
    figure, (axes,) = new_figure(
        runs,
        width_in=0.75 * TWO_COLUMNS_IN,
        height_in=0.75 * TWO_COLUMNS_IN * 0.8 * ratio + 0.6,
        note=f"{CAPTION} {note}".strip(),
    )
    axes.grid(visible=False)
    axes.add_collection(PolyCollection(_outlines(shapes, "building"), facecolor="0.88", edgecolor="none", zorder=1))
    axes.add_collection(LineCollection(_outlines(shapes, "road"), color="0.6", linewidth=0.5, zorder=3))
    density = density[density["vehicle_s"] > 0]
    if len(density):
        _draw_density(figure, axes, density)
    sites = list(zip(rsus["rsu"], rsus["x_m"], rsus["y_m"], rsus["range_m"], strict=True))
    for _, x_m, y_m, range_m in sites:
        axes.add_patch(Circle((x_m, y_m), range_m, fill=False, color=BLUE, linewidth=0.8, linestyle="--", zorder=5))
    axes.scatter(rsus["x_m"], rsus["y_m"], marker="^", s=26, color=BLUE, edgecolor="white", linewidth=0.6, zorder=6)
    if len(rsus) <= LABELLED_RSUS:
        for name, x_m, y_m, _ in sites:
            label = axes.annotate(
                name, (x_m, y_m), (0, 5), textcoords="offset points", ha="center", fontsize=6.5, zorder=7
            )
            label.set_path_effects([patheffects.withStroke(linewidth=1.6, foreground="white")])
    axes.set(xlim=(left, right), ylim=(bottom, top), xlabel="East (m)", ylabel="North (m)", aspect="equal")
    axes.ticklabel_format(style="plain", useOffset=False)  # metres of a UTM zone are in millions
    _draw_scale_bar(axes, left, right, bottom, top)
    return figure


def _bounds(rsus: pd.DataFrame, density: pd.DataFrame, shapes: pd.DataFrame) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of everything that is drawn, with a small margin, in metres."""
    xs = [rsus["x_m"] - rsus["range_m"], rsus["x_m"] + rsus["range_m"], density["x_m"], shapes["x_m"]]
    ys = [rsus["y_m"] - rsus["range_m"], rsus["y_m"] + rsus["range_m"], density["y_m"], shapes["y_m"]]
    x, y = (np.concatenate([part.to_numpy(dtype=np.float64) for part in parts]) for parts in (xs, ys))
    if len(x) == 0:
        return 0.0, 1.0, 0.0, 1.0
    margin_m = max(0.02 * max(float(np.ptp(x)), float(np.ptp(y))), 1.0)
    return float(x.min()) - margin_m, float(x.max()) + margin_m, float(y.min()) - margin_m, float(y.max()) + margin_m


def _outlines(shapes: pd.DataFrame, kind: str) -> list[FloatArray]:
    chosen = shapes[shapes["kind"] == kind].sort_values(["shape", "point"], kind="stable")
    points = chosen[["x_m", "y_m"]].to_numpy(dtype=np.float64)
    starts = np.flatnonzero(np.diff(chosen["shape"].to_numpy())) + 1
    return [part for part in np.split(points, starts) if len(part) > 1]


def _draw_density(figure: Figure, axes: Axes, density: pd.DataFrame) -> None:
    cell_m = float(density["cell_m"].iloc[0])
    x, y = (density[name].to_numpy(dtype=np.float64) for name in ("x_m", "y_m"))
    column, line = (np.rint((v - v.min()) / cell_m).astype(np.int64) for v in (x, y))
    image = np.full((line.max() + 1, column.max() + 1), np.nan)
    image[line, column] = density["vehicle_s"].to_numpy(dtype=np.float64)
    drawn = axes.imshow(
        image,
        origin="lower",
        interpolation="nearest",
        cmap="YlOrBr",
        norm=LogNorm(),
        zorder=2,
        alpha=0.9,
        extent=(x.min() - cell_m / 2, x.max() + cell_m / 2, y.min() - cell_m / 2, y.max() + cell_m / 2),
    )
    bar = figure.colorbar(drawn, ax=axes, shrink=0.7, pad=0.02, format="{x:g}", ticks=LogLocator(subs=(1.0, 2.0, 5.0)))
    bar.minorticks_off()
    bar.set_label(f"Vehicle time per {cell_m:g} m cell (s)")
    bar.outline.set_linewidth(0.4)


def _draw_scale_bar(axes: Axes, left: float, right: float, bottom: float, top: float) -> None:
    """A bar of a round length (1, 2 or 5 times a power of ten), about a fifth of the width."""
    wanted = (right - left) / 5
    power = 10.0 ** np.floor(np.log10(wanted))
    length_m = max(step * power for step in (1, 2, 5) if step * power <= wanted)
    x, y = left + 0.04 * (right - left), bottom + 0.05 * (top - bottom)
    halo = [patheffects.withStroke(linewidth=4, foreground="white")]
    axes.plot([x, x + length_m], [y, y], color=BLACK, linewidth=2, solid_capstyle="butt", zorder=8, path_effects=halo)
    text = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    label = axes.annotate(text, (x + length_m / 2, y), (0, 3), textcoords="offset points", ha="center", zorder=8)
    label.set_path_effects([patheffects.withStroke(linewidth=1.6, foreground="white")])
