"""Rows of the regret laboratory become CSV files and a figure of regret and violation against the number of rounds."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iovsim.files import explained, write_whole
from iovsim.results.intervals import interval

from .style import DOTS_PER_INCH, TWO_COLUMNS_IN, Look, empty, legend_above, looks, save, styled

NOTE = (
    "Means over seeds, shaded: their 95 % t intervals. Regret: against the clairvoyant mixture of arms within the "
    "budget; overspending is charged at its price. Violation: what was overspent so far, in budgets of a round; not "
    "drawn where there was none. Thin: slope 1/2."
)


UNITS = {"regret": "reward", "violation": "budgets of a round"}

FLOORS = {"regret": 1.0, "violation": 0.1}
"""Where the axes begin: one reward; a tenth of a round's budget. The clairvoyant's regret lies below."""


def write_regret(rows: pd.DataFrame, exponents: Sequence[Mapping[str, object]], out: Path) -> list[Path]:
    """Writes `regret.csv`, `exponents.csv` and the figure `regret`; returns the files.

    `rows` are those of `iovsim.regret.laboratory`, `exponents` the fields of its summaries. Raises `ResultsError` where
    `out` cannot be written.
    """
    with explained(out, "create the folder"):
        out.mkdir(parents=True, exist_ok=True)
    tables = {"regret.csv": rows, "exponents.csv": pd.DataFrame(exponents)}
    for name, table in tables.items():
        write_whole(out / name, table.to_csv(index=False).encode())
    return [*(out / name for name in tables), *save(over_rounds(rows), out, "regret")]


@styled
def over_rounds(rows: pd.DataFrame) -> Figure:
    """A line of panels for each arms: regret and violation against the rounds, both axes logarithmic.

    Where exploration was varied, each bandit is drawn with the first factor.
    """
    arms = list(dict.fromkeys(rows["arms"]))
    first = rows.groupby(["arms", "policy"])["explore"].transform("first")
    rows = rows[rows["explore"] == first]
    figure = Figure(figsize=(TWO_COLUMNS_IN, 3.0 * len(arms) + 0.6), dpi=DOTS_PER_INCH, layout="constrained")
    note = f"{NOTE} Seeds {_listed(sorted(rows['seed'].unique()))}."
    figure.supxlabel(
        "\n".join(textwrap.wrap(note, int(TWO_COLUMNS_IN * 22))), x=0.01, ha="left", fontsize=5.5, color="0.3"
    )
    given = looks(list(dict.fromkeys(rows["policy"])))
    panels = figure.subplots(len(arms), 2, squeeze=False)
    for name, (regret, violation) in zip(arms, panels, strict=True):
        mine = rows[rows["arms"] == name]
        for axes, column in ((regret, "regret"), (violation, "violation")):
            axes.set(
                title=f"{name}: {column}", xlabel="Rounds", ylabel=f"{column.capitalize()} so far ({UNITS[column]})"
            )
            if not (mine[column] > 0).any():
                empty(axes, f"no {column}")
                continue
            axes.set(xscale="log", yscale="log", xlim=(mine["rounds"].min(), mine["rounds"].max()))
            for policy, look in given.items():
                _draw(axes, mine.loc[mine["policy"] == policy, ["rounds", "seed", column]], look, policy)
            axes.set_ylim(bottom=FLOORS[column])
            _slope(axes)
    legend_above(figure)
    return figure


def _draw(axes: Axes, rows: pd.DataFrame, look: Look, label: str) -> None:
    """Mean and interval of the last column by round, where the mean is above 0."""
    found = [(t, interval(mine.iloc[:, -1].tolist())) for t, mine in rows.groupby("rounds")]
    above = [(t, one) for t, one in found if one is not None and one.mean > 0]
    if not above:
        return
    rounds, mean = np.array([t for t, _ in above], dtype=float), np.array([one.mean for _, one in above])
    half = np.array([one.half or 0.0 for _, one in above])
    axes.plot(rounds, mean, color=look.color, linestyle=look.line, marker=look.marker, markersize=3, label=label)
    axes.fill_between(
        rounds, np.maximum(mean - half, mean / 100), mean + half, color=look.color, alpha=0.2, linewidth=0
    )


def _slope(axes: Axes) -> None:
    """A thin line of slope 1/2 from the lower left corner of what is drawn."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    rounds = np.array([left, min(right, left * (high / low) ** 2)])
    axes.plot(rounds, low * np.sqrt(rounds / left), color="0.6", linewidth=0.6)
    axes.set(xlim=(left, right), ylim=(low, high))


def _listed(seeds: Sequence[int]) -> str:
    """Seeds one after the other, or the first and the last where there are many."""
    return ", ".join(map(str, seeds)) if len(seeds) <= 12 else f"{len(seeds)}, from {seeds[0]} to {seeds[-1]}"
