"""LinUCB: contexts of vehicles and their outcomes become a linear model for each arm, and the arm of the best hope."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from iovsim.domain import FloatArray
from iovsim.errors import PolicyError
from iovsim.policies.bandits.offers import Choice, Noise, Offer, best, priced
from iovsim.policies.bandits.ucb_dual import check_scales


@dataclass(slots=True, eq=False)
class LinUcb:
    """The largest z'theta_x + s_x u - price (z'theta_c - s_c u), u = sqrt(z' A^-1 z), z the context; a model an arm.

    Ridge regression with A = I + sum of z z' over the arm's plays (Li et al. 2010, algorithm 1, disjoint models). All
    vehicles of a batch share the models: the last batch axis holds them, where there is one. s_x = 1 + sqrt(ln(2 /
    0.05) / 2) = 2.36 is the same paper's for a confidence of 0.95; the cost has 0.4 of it, as in `UcbDual` (ours).
    """

    shape: tuple[int, ...]  # (*batch, arms)
    features: int
    reward_scale: float = 2.36
    cost_scale: float = 0.94
    _gram: FloatArray = field(init=False)  # (*models, arms, features, features)
    _seen: FloatArray = field(init=False)  # (*models, arms, features, 2): sums of z x and z c

    def __post_init__(self) -> None:
        check_scales(self.reward_scale, self.cost_scale)
        *models, arms = (*self.shape[:-2], self.shape[-1])
        eye = np.eye(self.features)
        self._gram = np.broadcast_to(eye, (*models, arms, *eye.shape)).copy()
        self._seen = np.zeros((*models, arms, self.features, 2))

    def choose(self, offer: Offer, noise: Noise) -> Choice:
        z = self._context(offer)
        inverse = np.linalg.inv(self._gram)
        seen_by = z[..., None, :, :] @ inverse  # (*models, arms, vehicles, features)
        reward, cost = np.moveaxis(seen_by @ self._seen, -1, 0)
        width = np.sqrt((seen_by * z[..., None, :, :]).sum(axis=-1))
        reward, cost = (
            np.swapaxes(part, -1, -2).reshape(self.shape)
            for part in (reward + self.reward_scale * width, cost - self.cost_scale * width)
        )
        return best(priced(reward, cost, offer), offer)

    def observe(self, choice: Choice, reward: FloatArray, cost: FloatArray) -> None:
        z = self._context(choice.offer)
        vehicles = z.shape[:-1]
        on = np.eye(self.shape[-1])[choice.arm].reshape(*vehicles, -1)  # 1 at the arm played
        outcome = np.stack([reward, cost], axis=-1).reshape(*vehicles, 2)
        self._gram += np.einsum("...va,...vf,...vg->...afg", on, z, z)
        self._seen += np.einsum("...va,...vf,...vs->...afs", on, z, outcome)

    def _context(self, offer: Offer) -> FloatArray:
        """(*models, vehicles, features)."""
        if offer.context is None or offer.context.shape[-1] != self.features:
            found = "none" if offer.context is None else str(offer.context.shape[-1])
            raise PolicyError(f"linucb: the context has {found} features; it must have {self.features}.")
        return offer.context if len(self.shape) > 1 else offer.context[None]
