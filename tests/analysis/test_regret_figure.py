"""The figure of regret: a pair of panels for each arms, means and bands of what the rows say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from iovsim.analysis import regret


def rows(arms: tuple[str, ...] = ("synthetic",)) -> pd.DataFrame:
    found = [
        {
            "arms": one,
            "policy": policy,
            "explore": explore,
            "seed": seed,
            "rounds": t,
            "regret": factor * explore * (1 + seed) * t**0.5,
            "violation": 0.0 if policy == "b" else seed * t**0.5,
        }
        for one in arms
        for policy, factor in (("a", 2.0), ("b", 5.0))
        for explore in (1.0, 2.0)
        for seed in (1, 2, 3)
        for t in (10, 100, 1000)
    ]
    return pd.DataFrame(found)


def test_lines_are_means_over_seeds_of_the_first_factor() -> None:
    figure = regret.over_rounds(rows())
    left, right = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["synthetic: regret", "synthetic: violation"]
    named = {str(line.get_label()): line for line in left.get_lines()}
    assert np.asarray(named["a"].get_ydata()) == pytest.approx([2 * 3 * t**0.5 for t in (10, 100, 1000)])
    assert np.asarray(named["b"].get_ydata()) == pytest.approx([5 * 3 * t**0.5 for t in (10, 100, 1000)])
    assert [str(line.get_label()) for line in right.get_lines()][:-1] == ["a"], "b never overspends"
    assert left.get_ylim()[0] == 1.0
    assert left.get_xlim() == right.get_xlim() == (10, 1000)
    assert left.get_xscale() == left.get_yscale() == "log"
    assert len(left.collections) == 2


def test_each_arms_has_panels_and_says_so_where_nothing_was_overspent() -> None:
    both = rows(("x", "y"))
    both.loc[both["arms"] == "y", "violation"] = 0.0
    figure = regret.over_rounds(both)
    assert [axes.get_title() for axes in figure.axes] == ["x: regret", "x: violation", "y: regret", "y: violation"]
    assert figure.axes[3].texts[0].get_text() == "no violation"
    assert "Seeds 1, 2, 3" in figure.get_supxlabel()
