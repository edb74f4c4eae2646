"""FedAvg of clients that have only some of the blocks: layer by layer, over those that had the layer (FedRA)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from iovsim.domain import Adapter, Update
from iovsim.errors import TrainingError
from iovsim.learning.adapter import has_learnt
from iovsim.learning.aggregators.fedavg import FedAvg
from iovsim.learning.aggregators.joining import client_weights, first_rows, mean


@dataclass(frozen=True, slots=True)
class FedRa:
    """Averages each layer's A and B over the clients that had it, after FedRA (Su et al. 2023, arXiv:2311.11227).

    A layer that nobody had keeps what it was. All ranks must be equal. Who has which blocks is a policy's to say, see
    the stage `random-blocks`; the blocks left out are neither computed nor held nor sent. The rank-scheduling paper's
    code averages all layers of all clients, and computes all blocks; this does not.
    """

    partial: ClassVar[bool] = True

    def aggregate(self, current: Adapter, updates: Sequence[Update]) -> Adapter:
        """Means weighted by `samples * fraction`. Raises `TrainingError` where ranks differ, or a name is unknown."""
        client_weights(updates)
        first = updates[0].adapter
        ranks = sorted({u.adapter.rank for u in updates} | ({current.rank} if has_learnt(current) else set()))
        unknown = sorted({name for u in updates for name in u.adapter.tensors} - current.tensors.keys())
        if len(ranks) > 1 or any(u.adapter.alpha != first.alpha for u in updates) or unknown:
            raise TrainingError(
                f"fedra: the adapters have ranks {ranks} and unknown tensors {unknown[:1]}; it can only average equal "
                "ranks and alphas of one model. Choose a policy that gives every client the same rank."
            )
        known = current if current.rank == first.rank else first_rows(current, first.rank)
        tensors = dict(known.tensors)
        for name in tensors:
            had = [u for u in updates if name in u.adapter.tensors]
            if had:
                tensors[name] = mean(name, client_weights(had), had)
        return replace(first, tensors=tensors)

    def redistribute(self, current: Adapter, rank: int, seed: int) -> Adapter:
        """The global adapter, as FedAvg gives it."""
        return FedAvg().redistribute(current, rank, seed)
