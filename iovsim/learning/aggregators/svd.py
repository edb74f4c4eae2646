"""The exact weighted mean of updates of any ranks, and its best approximation at a client's rank (FlexLoRA)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from iovsim.domain import Adapter, Update
from iovsim.learning.adapter import adapted_layers, factors, has_learnt
from iovsim.learning.aggregators.joining import (
    Pair,
    check_names,
    client_weights,
    compose,
    first_rows,
    plain_means,
    plain_of,
    scale_at,
)
from iovsim.learning.aggregators.spectrum import decompose


@dataclass(frozen=True, slots=True)
class SvdAggregator:
    """Averages the updates themselves, exactly, and cuts the mean to each client's rank by singular values.

    After FlexLoRA (Bai et al., NeurIPS 2024), each update's own scale in it. What is trained in full (the head; without
    adapters everything) is averaged with the same weights.

    `scaled = False` repeats a defect of the rank-scheduling paper's code: products B A are averaged and handed out
    without the scale alpha / rank, so an update changes in size when it goes to a client of another rank. The mean is
    then kept at the largest rank among the updates, whose scale it is evaluated with (ours: that code never evaluates
    the global adapter). At one rank for all it is the sound form cut to that rank. The code puts the singular values
    into the factor that is next to the input; here they stay in B.
    """

    scaled: bool = True

    def aggregate(self, current: Adapter, updates: Sequence[Update]) -> Adapter:
        """The mean update at full rank: at most the ranks' sum or the layer's width; zero directions are dropped."""
        if self.scaled:
            return exact_mean(current, updates)
        rank = max(update.adapter.rank for update in updates)
        return _joined(current, updates, rank, scaled=False)

    def redistribute(self, current: Adapter, rank: int, seed: int) -> Adapter:
        """The best approximation (Eckart and Young, 1936); beyond the update's rank A is drawn, B = 0.

        While nothing has been learnt, it is the first rows of the initial A, as with every aggregator.
        """
        if rank == current.rank:
            return current
        if rank < current.rank and not has_learnt(current):
            return first_rows(current, rank)
        pairs = {layer: _spectral(_pair(current, layer, self.scaled)) for layer in adapted_layers(current)}
        return compose(current, pairs, plain_of(current), rank, seed, scale_at(current, rank) if self.scaled else 1.0)


def exact_mean(current: Adapter, updates: Sequence[Update]) -> Adapter:
    """The weighted mean of the scaled updates, `scale * B @ A` each, at its full rank."""
    return _joined(current, updates, None, scaled=True)


def _joined(current: Adapter, updates: Sequence[Update], rank: int | None, *, scaled: bool) -> Adapter:
    """The mean of the products, at its full rank or cut to `rank`."""
    weights = client_weights(updates)
    check_names(current, updates)
    pairs: dict[str, Pair] = {}
    for layer in adapted_layers(current):
        own = [_pair(update.adapter, layer, scaled) for update in updates]
        left = np.concatenate([w * b for w, (b, _) in zip(weights, own, strict=True)], axis=1)
        pairs[layer] = _spectral((left, np.concatenate([a for _, a in own], axis=0)))
    full = max((1, *(len(right) for _, right in pairs.values()))) if pairs else 0
    rank = full if rank is None else rank
    plain = plain_means(current, weights, updates)
    return compose(current, pairs, plain, rank, seed=0, scale=scale_at(current, rank) if scaled else 1.0)


def _pair(adapter: Adapter, layer: str, scaled: bool) -> Pair:
    left, right = factors(adapter, layer)
    return (left if scaled else left / adapter.scale), right


def _spectral(pair: Pair) -> Pair:
    """The same product with U s on the left and the rows of Vt on the right, by falling singular value."""
    u, s, vt = decompose(*pair)
    return u * s, vt
