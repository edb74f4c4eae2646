"""Regret by round becomes an exponent with its interval: how fast regret grows.

Each seed's exponent is the slope of a straight line through log regret over log t (least squares, noted rounds from
`FIRST` on, which are evenly spaced in log t); the interval is Student's over the seeds' slopes. Lost: a bootstrap over
seeds, which with ten is too sure of itself, as everywhere in this program.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from iovsim.domain import FloatArray
from iovsim.results.intervals import Interval, interval

FIRST = 100
"""The first round of the fit: before, most is the first pass over the arms."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One bandit on some arms. Bounds and halves are of 95 % t intervals over seeds; None where there is none.

    No exponent is given where a seed's regret is 0 at a round of the fit, or less than one reward at T.
    """

    policy: str
    arms: str
    explore: float
    exponent: float | None
    low: float | None
    high: float | None
    late_exponent: float | None  # the same over the last decade of rounds alone
    violation_per_t: float  # violation / T, a share of the budget
    violation_half: float | None
    regret: float  # at T, as what follows
    regret_half: float | None
    lost_reward: float
    price: float
    seeds: int
    rounds: int  # T


def summarise(rows: pd.DataFrame) -> list[Summary]:
    """A summary for each arms, policy and explore, in the order of `rows` (those of `iovsim.regret.laboratory`)."""
    return [_summary(mine) for _, mine in rows.groupby(["arms", "policy", "explore"], sort=False)]


def slopes(rounds: FloatArray, regret: FloatArray) -> FloatArray | None:
    """Each seed's exponent; `regret` is (rounds, seeds). None where there is none to give."""
    if not (regret > 0).all() or (regret[-1] < 1).any():
        return None
    x = np.log(rounds) - np.log(rounds).mean()
    found: FloatArray = x @ np.log(regret) / (x @ x)
    return found


def _summary(rows: pd.DataFrame) -> Summary:
    table = rows.pivot(index="rounds", columns="seed", values="regret")
    last = int(table.index[-1])
    fitted, late = table[table.index >= FIRST], table[table.index >= last / 10.001]
    whole = _interval(slopes(fitted.index.to_numpy(float), fitted.to_numpy()))
    decade = _interval(slopes(late.index.to_numpy(float), late.to_numpy()))
    at_end = rows[rows["rounds"] == last]
    regret, violation = (interval(at_end[name].tolist()) for name in ("regret", "violation"))
    assert regret is not None
    assert violation is not None
    return Summary(
        policy=str(rows["policy"].iloc[0]),
        arms=str(rows["arms"].iloc[0]),
        explore=float(rows["explore"].iloc[0]),
        exponent=None if whole is None else whole.mean,
        low=_bound(whole, -1.0),
        high=_bound(whole, 1.0),
        late_exponent=None if decade is None else decade.mean,
        violation_per_t=violation.mean / last,
        violation_half=None if violation.half is None else violation.half / last,
        regret=regret.mean,
        regret_half=regret.half,
        lost_reward=float(at_end["lost_reward"].mean()),
        price=float(at_end["price"].mean()),
        seeds=regret.n,
        rounds=last,
    )


def _interval(found: FloatArray | None) -> Interval | None:
    return None if found is None else interval(found.tolist())


def _bound(found: Interval | None, sign: float) -> float | None:
    return None if found is None or found.half is None else found.mean + sign * found.half
