"""UCB-DUAL: the statistics of arms and the price of energy become the arm of the best hope."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from iovsim.domain import FloatArray
from iovsim.errors import ScenarioError
from iovsim.policies.bandits.offers import Choice, Noise, Offer, best, priced
from iovsim.policies.bandits.statistics import Tally


@dataclass(frozen=True, slots=True)
class UcbDual:
    """The largest min(1, x + s_x w) - price max(0, c - s_c w), w = sqrt(2 ln N / n); ties go to the smaller rank.

    x and c are an arm's mean reward and cost over its n plays, N those of all arms. An arm that was never played is
    played first, the smallest before the others. At price 0 this is UCB.

    The primal-dual form is P1's; the formula is inferred, its text was not at hand. s_x = 0.5 covers whatever lies in
    [0, 1] (Hoeffding's lemma: such a variable is sub-Gaussian with 1/2), and was the inferred form's for both. Ours is
    s_c = 0.2, which covers costs that spread over 0.4, since a rank's jobs differ less in energy than in reward. Both
    bounds are hopeful, as in the inferred form: the cost enters by its lower one. `cost_scale` = 0 takes the mean.
    """

    reward_scale: float = 0.5
    cost_scale: float = 0.2

    def __post_init__(self) -> None:
        check_scales(self.reward_scale, self.cost_scale)

    def choose(self, tally: Tally, offer: Offer, noise: Noise) -> Choice:
        return best(self.index(tally, offer), offer)

    def index(self, tally: Tally, offer: Offer) -> FloatArray:
        """What the best is chosen by, (*batch, arms); infinite where an arm was never played."""
        reward, cost = tally.means()
        width = widths(tally)
        hoped = priced(
            np.minimum(1.0, reward + self.reward_scale * width), np.maximum(0.0, cost - self.cost_scale * width), offer
        )
        return np.where(tally.counts > 0, hoped, np.inf)


def widths(tally: Tally) -> FloatArray:
    """sqrt(2 ln N / n) of each arm (Auer, Cesa-Bianchi, Fischer 2002, UCB1), 0 where it was never played.

    Of discounted counts or those of a window it is the width of D-UCB and SW-UCB (Garivier and Moulines 2011).
    """
    plays = np.maximum(tally.counts.sum(axis=-1, keepdims=True), 1.0)
    width: FloatArray = np.sqrt(2.0 * np.log(plays) / np.where(tally.counts > 0, tally.counts, np.inf))
    return width


def check_scales(reward_scale: float, cost_scale: float) -> None:
    """Raises `ScenarioError` unless both are 0 or more."""
    for name, scale in (("reward_scale", reward_scale), ("cost_scale", cost_scale)):
        if not scale >= 0:
            raise ScenarioError(f"{name} = {scale:g}: must be 0 (no exploration) or more.")
