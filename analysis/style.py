"""Gives every figure one look that survives print in grey, a caption that says where it comes from, and stable bytes.

Figures are matplotlib `Figure` objects without pyplot: no global state, no display. One column of a two-column paper is
3.5 in wide, two are 7.2 in.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iovsim.files import write_whole
from iovsim.results import Run

ONE_COLUMN_IN = 3.5
TWO_COLUMNS_IN = 7.2
DOTS_PER_INCH = 300

METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "ModDate": None},
    "svg": {"Date": None},
}
"""The kinds of files that are written, and what would differ from one writing to the next."""

# Eight colours told apart with any common colour blindness; Okabe and Ito, "Color Universal Design", 2008.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"

RC: dict[Any, object] = {  # keys are matplotlib's own literal type
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same on every machine
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.88",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "hatch.linewidth": 0.5,
    "pdf.fonttype": 42,  # text stays text in the PDF
    "svg.hashsalt": "iovsim",  # the same names inside the file every time
}

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Look:
    """How one series is told from the others: by colour, and in grey by line, marker and hatch."""

    color: str
    line: str | tuple[int, tuple[float, ...]]
    marker: str
    hatch: str


_LOOKS = (
    Look(BLUE, "-", "o", ""),
    Look(VERMILLION, "--", "s", "////"),
    Look(GREEN, "-.", "^", "...."),
    Look(PURPLE, ":", "D", "xxxx"),
    Look(ORANGE, (0, (5, 1, 1, 1, 1, 1)), "v", "\\\\\\\\"),
    Look(SKY, (0, (8, 2)), "P", "++++"),
    Look(BLACK, (0, (1, 3)), "X", "||||"),
)

CAUSE_LOOKS: Mapping[str, Look] = {
    "compute": Look(BLUE, "-", "o", ""),
    "downlink": Look(SKY, "--", "s", "...."),
    "uplink": Look(GREEN, "-.", "^", "////"),
    "waiting": Look(YELLOW, ":", "D", "----"),
    "sidelink": Look(PURPLE, (0, (8, 2)), "v", "\\\\\\\\"),
    "receiving": Look(ORANGE, (0, (5, 1, 1, 1, 1, 1)), "P", "++++"),
    "carrying": Look(BLACK, (0, (1, 3)), "<", "||||"),
    "wasted": Look(VERMILLION, (0, (5, 1, 1, 1)), "X", "xxxx"),
}


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A look for each name, in order; from the eighth on colours come again, with the next marker, line and hatch."""
    n = len(_LOOKS)
    return {
        name: Look(
            _LOOKS[i % n].color, *(getattr(_LOOKS[(i + i // n) % n], part) for part in ("line", "marker", "hatch"))
        )
        for i, name in enumerate(names)
    }


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Runs a drawing function under the style, whatever the caller's matplotlib settings are."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> T:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(RC)
            return draw(*args, **kwargs)

    return drawn


def new_figure(
    runs: Sequence[Run],
    rows: int = 1,
    columns: int = 1,
    width_in: float = ONE_COLUMN_IN,
    height_in: float = 2.6,
    note: str = "",
) -> tuple[Figure, list[Axes]]:
    """An empty figure with its caption (see `new_canvas`) and its axes row by row."""
    figure = new_canvas(runs, width_in, height_in, note)
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def new_canvas(runs: Sequence[Run], width_in: float, height_in: float, note: str) -> Figure:
    """A figure without axes, with its caption: `note`, then where the runs come from; it grows with the caption."""
    lines = [
        line
        for text in (note, provenance(runs))
        for line in textwrap.wrap(text, int(width_in * 22), break_on_hyphens=False)
    ]
    size_in = (width_in, height_in + 0.09 * max(len(lines) - 2, 0))
    figure = Figure(figsize=size_in, dpi=DOTS_PER_INCH, layout="constrained")
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=5.5, color="0.3")
    return figure


def provenance(runs: Sequence[Run]) -> str:
    """World, hash, seeds, and which model was charged for which trained one: what a reader needs to repeat a figure.

    Empty for a figure of no run.
    """
    if not runs:
        return ""
    manifests = [run.manifest for run in runs]
    hashes = list(dict.fromkeys(m.world_hash[:8] for m in manifests))
    seeds = sorted({m.seed for m in manifests})
    charged: dict[str, list[str]] = {}
    for task, charge in sorted({(task, charge) for m in manifests for task, charge in m.charge_as.items()}, key=str):
        charged.setdefault(f"charged as {charge.charged}, trained: {charge.trained}", []).append(task)
    listed = ", ".join(hashes[:4]) + (", ..." if len(hashes) > 4 else "")
    parts = [
        f"World {manifests[0].world} ({listed})",
        f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}",
        *(f"{', '.join(names)}: {models}" for models, names in charged.items()),
    ]
    return "; ".join(parts) + "."


def policies(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs by policy name, in the order given."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.manifest.policy.name, []).append(run)
    return found


def tasks(runs: Sequence[Run]) -> list[str]:
    """Names of all tasks of the runs, sorted."""
    return sorted({task for run in runs for task in run.manifest.charge_as})


def energy_scale(largest_j: float) -> tuple[float, str]:
    """Factor and unit in which energies up to `largest_j` are read most easily."""
    if largest_j >= 2e6:
        return 1e-6, "MJ"
    return (1e-3, "kJ") if largest_j >= 2e3 else (1.0, "J")


def time_scale(first_s: float, last_s: float) -> tuple[float, str]:
    """Factor and unit in which a stretch of simulated time is read most easily."""
    span_s = last_s - first_s
    if span_s > 3 * 3600:
        return 1 / 3600, "h"
    return (1 / 60, "min") if span_s > 300 else (1.0, "s")


def empty(axes: Axes, reason: str) -> None:
    """Says in the axes why nothing is drawn there."""
    axes.text(0.5, 0.5, reason, ha="center", va="center", transform=axes.transAxes, color="0.4")
    axes.set_xticks([])
    axes.set_yticks([])


def legend_above(figure: Figure) -> None:
    """One legend of all that the figure's axes name, in as many columns as fit; the figure grows with its lines."""
    named = {
        label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if not named:
        return
    entry_in = (45 + 4.7 * max(len(label) for label in named)) / 72  # handle and gaps, then letters of 7.5 pt
    columns = min(max(int(figure.get_figwidth() / entry_in), 1), len(named))
    figure.legend(named.values(), named.keys(), loc="outside upper center", ncols=columns)
    figure.set_figheight(figure.get_figheight() + 0.16 * (-(-len(named) // columns) - 1))


def settle(figure: Figure) -> None:
    """Finds the places of all axes and keeps them; twice, because ticks chosen in the first pass need other room."""
    for _ in range(2):
        figure.draw_without_rendering()
    figure.set_layout_engine("none")


@styled
def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Writes `<name>` as PNG (300 dpi), PDF and SVG; equal figures give equal bytes. Raises `ResultsError`."""
    settle(figure)
    written = []
    for kind, metadata in METADATA.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=DOTS_PER_INCH, metadata=metadata)
        path = folder / f"{name}.{kind}"
        write_whole(path, buffer.getvalue())
        written.append(path)
    return written
