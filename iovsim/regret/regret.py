"""What was played becomes regret and violation: rows of a table, one for each seed and noted round.

With mu and c the true means of rewards and costs, B the budget of a round over all vehicles, OPT the most reward that
mixtures of arms have in a round at a mean cost of B or less, lam* its price (`iovsim.policies.bandits.clairvoyant`):

    lost_reward(t) = t OPT - sum of mu over all plays up to t
    regret(t)      = lost_reward(t) + lam* max(0, sum of c over the same plays - t B)
    violation(t)   = max(0, sum of costs really paid - t B) / B

Where rewards drift, all three are those of each phase's rounds, with its own mu, OPT and lam*, summed over the phases.
So regret is what a clairvoyant mixture within the budget would have had more, and what was overspent is charged at its
price: without that charge, overspending would look like skill. It is never negative, since OPT + lam* x bounds the
reward of rounds that cost B + x in the mean, and what was saved earns nothing. Both are pseudo-regrets: they take the
means of the arms played, not the noise of their outcomes.
Violation is counted in budgets of a round, so that violation / t is the share by which the budget was exceeded.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from iovsim.policies.bandits import optimum
from iovsim.regret.arms import Arms
from iovsim.regret.play import Course


def regret_rows(course: Course, arms: Arms, seeds: Sequence[int]) -> pd.DataFrame:
    """Columns seed, rounds, regret, lost_reward, violation, price; rows by round, then by seed."""
    best = [optimum(rewards, arms.costs, arms.budget) for rewards in arms.rewards]
    value, price = (np.array([getattr(one, name) for one in best])[:, None] for name in ("value", "price"))
    lasted = course.by_phase[..., 0, :].sum(axis=-1)  # rounds of each phase (noted, phases, seeds): all play each round
    lost = lasted * value - (course.by_phase * arms.rewards[:, None]).sum(axis=(3, 4))
    over = (course.by_phase * arms.costs).sum(axis=(3, 4)) - lasted * arms.budget
    charged = (lost + price * np.maximum(over, 0.0)).sum(axis=1)
    regret = np.maximum(np.round(charged, 9), 0.0)  # what is left of rounding goes
    lost, rounds = lost.sum(axis=1), course.rounds[:, None].astype(np.float64)
    violation = np.maximum(course.spent - rounds * arms.budget, 0.0) / arms.budget
    return pd.DataFrame(
        {
            "seed": np.tile(np.array(seeds), len(course.rounds)),
            "rounds": np.repeat(course.rounds, len(seeds)),
            "regret": regret.ravel(),
            "lost_reward": lost.ravel(),
            "violation": violation.ravel(),
            "price": course.price.ravel(),
        }
    )
