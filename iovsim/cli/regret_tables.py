"""Summaries of the regret laboratory become a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from iovsim.policies.bandits import optimum
from iovsim.regret.arms import Arms
from iovsim.regret.exponents import FIRST, Summary
from iovsim.regret.players import PLAYERS
from iovsim.results.intervals import Interval, rounded, short


def print_regret(console: Console, arms: Arms, found: Sequence[Summary]) -> None:
    """What the arms are, and a line for each bandit."""
    best = [optimum(rewards, arms.costs, arms.budget) for rewards in arms.rewards]
    values, prices = (" and ".join(f"{v:.4g}" for v in vs) for vs in ([b.value for b in best], [b.price for b in best]))
    rounds, seeds = found[0].rounds, found[0].seeds
    table = Table(
        "bandit",
        "exponent of regret",
        "last decade",
        f"regret at T = {rounds:,}",
        "lost reward",
        "violation / T",
        "price",
        "what it is",
        title=f"{escape(arms.name)}: {len(arms.tiers)} vehicles, ranks {', '.join(map(str, arms.ranks))}",
        title_justify="left",
    )
    for one in found:
        table.add_row(
            one.policy if one.explore == 1.0 else f"{one.policy} x {one.explore:g}",
            _exponent(one),
            "none" if one.late_exponent is None else f"{one.late_exponent:.2f}",
            rounded(Interval(seeds, one.regret, one.regret_half), seeds),
            short(one.lost_reward),
            f"{100 * one.violation_per_t:.2f} %",
            f"{one.price:.2f}",
            PLAYERS[one.policy].title,
        )
    console.print(table)
    console.print(
        f"Budget {arms.budget_share:g} of the dearest arms' costs; optimum {values} a round, "
        f"price {prices}; {seeds} seeds.\n"
        "Regret: lost reward, and what was overspent at the optimum's price. Exponent: slope of log regret over log t "
        f"from t = {FIRST} on, mean over seeds with its 95 % t interval. Violation: share above the budget.",
        highlight=False,
        soft_wrap=True,
    )


def _exponent(one: Summary) -> str:
    if one.exponent is None:
        return "none"
    if one.low is None:
        return f"{one.exponent:.3f}"
    return f"{one.exponent:.3f} [{one.low:.3f}, {one.high:.3f}]"
