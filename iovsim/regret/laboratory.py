"""Arms and names of bandits become a table of regret by policy, seed and round."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from iovsim.errors import ScenarioError
from iovsim.progress import Report
from iovsim.regret.arms import Arms
from iovsim.regret.play import play
from iovsim.regret.players import chosen
from iovsim.regret.regret import regret_rows

FEWEST_ROUNDS = 1_000
"""A decade from round 100, where the fit of exponents begins."""


def laboratory(
    arms: Sequence[Arms],
    names: Sequence[str],
    seeds: Sequence[int],
    rounds: int,
    explores: Sequence[float],
    report: Report,
) -> pd.DataFrame:
    """Every named bandit (all where none is named) on every arms, with its constant of exploration times each factor.

    Columns arms, policy, explore, and those of `regret_rows`; bandits without such a constant play once, as 1. Raises
    `ScenarioError` for an unknown name or too few rounds.
    """
    players = chosen(names)
    if rounds < FEWEST_ROUNDS:
        raise ScenarioError(f"--rounds {rounds}: must be {FEWEST_ROUNDS} or more, for an exponent to be fitted.")
    games = [
        (one, name, factor)
        for one in arms
        for name, player in players.items()
        for factor in (explores if player.explores else (1.0,))
    ]
    noted = noted_rounds(rounds)
    tables = []
    for one, name, factor in games:
        label = f"{one.name}, {name}" + ("" if factor == 1.0 else f" x {factor:g}")
        report(label, "playing", 0.0)
        course = play(players[name], name, one, seeds, noted, factor, partial(report, label, "playing"))
        report(label, "playing", 1.0)
        table = regret_rows(course, one, seeds)
        table.insert(0, "explore", factor)
        table.insert(0, "policy", name)
        table.insert(0, "arms", one.name)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def noted_rounds(last: int) -> list[int]:
    """10, 32, 100, 316, ... up to `last`, two a decade, and `last` itself."""
    steps = [round(10 ** (k / 2)) for k in range(2, 40)]
    return [t for t in steps if t < last] + [last]
