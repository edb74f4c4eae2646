"""Stacked factors, merged into what clients continue from; every client trains a new adapter beside it (FLoRA)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from iovsim.domain import Adapter, Update
from iovsim.learning.adapter import adapted_layers, factors, has_learnt
from iovsim.learning.aggregators.joining import compose, first_rows, plain_of, scale_at
from iovsim.learning.aggregators.svd import exact_mean


@dataclass(frozen=True, slots=True)
class Flora:
    """Adds the weighted updates of any ranks without error, after FLoRA (Wang et al., NeurIPS 2024, arXiv:2409.05976).

    In the paper the clients' factors are stacked, [B_1 ... B_n] and [w_1 A_1; ...; w_n A_n], every client gets the
    stack, merges its product into its frozen weights and begins anew with A drawn and B = 0. The base is shared here,
    so what has been merged is kept beside it, as one global adapter of the same product (`exact_mean`); a client's job
    holds it as `base`, and its update is joined as base and new factors together. Scales alpha / rank are part of the
    products (ours). What a vehicle downloads is charged as the stacks themselves, see `engine.terms.down_bits`.
    """

    stacks: ClassVar[bool] = True

    def aggregate(self, current: Adapter, updates: Sequence[Update]) -> Adapter:
        """The exact weighted mean of the updates, each with the base that it was trained beside."""
        return exact_mean(current, updates)

    def redistribute(self, current: Adapter, rank: int, seed: int) -> Adapter:
        """A new adapter to train beside `current`: A drawn, B = 0, and the head.

        While nothing has been learnt, it is the first rows of the initial A, as with every aggregator.
        """
        if not has_learnt(current) and rank <= current.rank:
            return current if rank == current.rank else first_rows(current, rank)
        nothing = {
            layer: (np.zeros((len(left), 0)), np.zeros((0, right.shape[1])))
            for layer in adapted_layers(current)
            for left, right in [factors(current, layer)]
        }
        return compose(current, nothing, plain_of(current), rank, seed, scale_at(current, rank))
