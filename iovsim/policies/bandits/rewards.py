"""What became of a job turns into the reward and the cost of the arm that it played, both in [0, 1]."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from iovsim.errors import ScenarioError


class Quality(StrEnum):
    """What a reward takes as the quality of a job's training."""

    LIKELIHOOD = "likelihood"
    GAIN = "gain"


@dataclass(frozen=True, slots=True)
class RewardRule:
    """Cost c = min(e / energy_ref, 1); reward w_q q + w_tau (1 - min(tau / latency_ref, 1)) + w_e (1 - c).

    q in [0, 1] says how good the training was (`gain` or `likelihood`), tau are the job's seconds, e its joules, of
    vehicle and RSU together. The form is inferred from the authors' reward (see `authors_reward`), in which accuracy
    outweighs all else; the weights, which must sum to 1, are ours.

    Raises `ScenarioError` for other weights, or for references that are not above 0.
    """

    latency_ref_s: float
    energy_ref_j: float
    quality_weight: float = 0.6
    latency_weight: float = 0.2
    energy_weight: float = 0.2

    def __post_init__(self) -> None:
        weights = (self.quality_weight, self.latency_weight, self.energy_weight)
        if min(weights) < 0 or abs(sum(weights) - 1.0) > 1e-9:
            raise ScenarioError(f"reward weights {weights}: must be 0 or more and sum to 1.")
        for name in ("latency_ref_s", "energy_ref_j"):
            if not getattr(self, name) > 0:
                raise ScenarioError(f"reward: {name} = {getattr(self, name):g}: must be above 0.")

    def reward(self, quality: float, latency_s: float, energy_j: float) -> float:
        """In [0, 1]."""
        return (
            self.quality_weight * quality
            + self.latency_weight * (1.0 - min(latency_s / self.latency_ref_s, 1.0))
            + self.energy_weight * (1.0 - self.cost(energy_j))
        )

    def cost(self, energy_j: float) -> float:
        """In [0, 1]."""
        return min(energy_j / self.energy_ref_j, 1.0)


def gain(loss_before: float, loss_after: float, gain_ref: float) -> float:
    """The decrease of the training loss over `gain_ref`, in [0, 1] (inferred form); needs two local epochs or more."""
    return min(max((loss_before - loss_after) / gain_ref, 0.0), 1.0)


def likelihood(loss: float) -> float:
    """exp(-loss): the geometric mean of what the true classes were given (ours; stands for the authors' accuracy)."""
    return math.exp(-max(loss, 0.0))


def authors_reward(accuracy: float, latency_s: float, energy_j: float) -> float:
    """1.8 q - 0.16 tau - 0.001 e, q the accuracy in per cent: the reward of P1's authors' code, about 100 to 180.

    q is that of the local model on the vehicle's own test split, after its training and before aggregation.
    """
    return 1.8 * 100.0 * accuracy - 0.16 * latency_s - 0.001 * energy_j
