"""The statistics of arms become plausible rewards and costs, drawn at random, and the best of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from iovsim.policies.bandits.offers import Choice, Noise, Offer, best, priced
from iovsim.policies.bandits.statistics import Tally
from iovsim.policies.bandits.ucb_dual import check_scales


@dataclass(frozen=True, slots=True)
class Thompson:
    """Thompson sampling: the largest x' - price c', with x' from N(x, s_x^2 / n) and c' from N(c, s_c^2 / n).

    x and c are means over n plays: the posterior of a normal mean under a flat prior (Agrawal and Goyal 2013 have n + 1
    and s = 1). The scales are those of `UcbDual`. Arms never played come first.
    """

    reward_scale: float = 0.5
    cost_scale: float = 0.2

    def __post_init__(self) -> None:
        check_scales(self.reward_scale, self.cost_scale)

    def choose(self, tally: Tally, offer: Offer, noise: Noise) -> Choice:
        reward, cost = tally.means()
        deviation = 1.0 / np.sqrt(np.where(tally.counts > 0, tally.counts, np.inf))
        drawn = noise.standard_normal((*offer.feasible.shape, 2))
        plausible = priced(
            reward + self.reward_scale * deviation * drawn[..., 0],
            cost + self.cost_scale * deviation * drawn[..., 1],
            offer,
        )
        return best(np.where(tally.counts > 0, plausible, np.inf), offer)
