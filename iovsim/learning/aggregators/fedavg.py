"""FedAvg of LoRA's factors (FedIT, HomoLoRA): one rank for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from iovsim.domain import Adapter, Update
from iovsim.errors import TrainingError
from iovsim.learning.adapter import has_learnt
from iovsim.learning.aggregators.joining import check_names, client_weights, first_rows, mean


class FedAvg:
    """Averages A and B separately, as FedIT does (Zhang et al., ICASSP 2024); all ranks must be equal.

    The mean of the products is not the product of the means, so the result differs from the mean of the updates; that
    is the method's known error, not this program's. The first updates settle the rank: an adapter that has learnt
    nothing (B = 0) can be cut to any rank without change.
    """

    def aggregate(self, current: Adapter, updates: Sequence[Update]) -> Adapter:
        """Each tensor's mean, weighted by `samples * fraction`. Raises `TrainingError` where ranks or names differ."""
        weights = client_weights(updates)
        check_names(current, updates)
        first = updates[0].adapter
        ranks = sorted({u.adapter.rank for u in updates} | ({current.rank} if has_learnt(current) else set()))
        if len(ranks) > 1 or any(u.adapter.alpha != first.alpha for u in updates):
            raise TrainingError(
                f"fedavg: the adapters have ranks {ranks}; it can only average equal ranks and alphas. Choose "
                'aggregator "svd", or a policy that gives every client the same rank.'
            )
        names = list(current.tensors)
        return replace(first, tensors={name: mean(name, weights, updates) for name in names})

    def redistribute(self, current: Adapter, rank: int, seed: int) -> Adapter:
        """The global adapter itself, or its first directions while it has learnt nothing.

        Raises `TrainingError` where it has, and another rank is asked for.
        """
        if rank == current.rank:
            return current
        if has_learnt(current) or rank > current.rank:
            raise TrainingError(
                f"fedavg: a client was asked to train rank {rank}, but the global adapter has rank {current.rank}; "
                'choose aggregator "svd", or a policy that gives every client the same rank.'
            )
        return first_rows(current, rank)
