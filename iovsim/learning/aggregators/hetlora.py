"""Zero-padded factors, averaged by the size of the updates, and cut to a client's first directions (HetLoRA)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from iovsim.domain import Adapter, FloatArray, Pruning, Update
from iovsim.errors import ScenarioError
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


@dataclass(frozen=True, slots=True)
class HetLora:
    """Averages factors of any ranks, padded with zeros, after HetLoRA (Cho et al., EMNLP 2024, arXiv:2401.06432).

    The paper's: padding to the largest rank, weights by the Frobenius norm of each client's product B A, and clients
    that get the first directions of the global factors. Ours: weights are those norms times `samples * fraction`, since
    the paper's clients hold equally much; norms are taken layer by layer, which the paper leaves open; each update's
    scale alpha / rank is part of its B, so that a direction counts the same at every rank; and directions beyond those
    that were sent are drawn anew, because with zeros in both factors they could never learn.

    Ranks prune themselves in local training, see `learning.pruning`: `keep` is the paper's gamma, 0.99; `penalty`, the
    weight of its regulariser, is ours; keep = 1 turns both off. A policy then gives a client the rank that it has kept
    (`kept-rank`). Like FedAvg's, the product of the means is not the mean of the products.
    """

    keep: float = 0.99
    penalty: float = 5e-3

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise ScenarioError(f"keep = {self.keep:g}: must lie in (0, 1].")
        if self.penalty < 0:
            raise ScenarioError(f"penalty = {self.penalty:g}: must not be negative.")

    @property
    def pruning(self) -> Pruning | None:
        """How clients give up ranks."""
        return Pruning(self.keep, self.penalty) if self.keep < 1 else None

    def aggregate(self, current: Adapter, updates: Sequence[Update]) -> Adapter:
        """The mean of the padded factors, at the largest rank among the updates."""
        weights = client_weights(updates)
        check_names(current, updates)
        rank = max(update.adapter.rank for update in updates)
        pairs = {
            layer: _padded_mean([factors(update.adapter, layer) for update in updates], weights, rank)
            for layer in adapted_layers(current)
        }
        return compose(current, pairs, plain_means(current, weights, updates), rank, 0, scale_at(current, rank))

    def redistribute(self, current: Adapter, rank: int, seed: int) -> Adapter:
        """The first `rank` directions; beyond the global rank A is drawn, B = 0."""
        if rank == current.rank:
            return current
        if rank < current.rank and not has_learnt(current):
            return first_rows(current, rank)
        pairs = {layer: factors(current, layer) for layer in adapted_layers(current)}
        return compose(current, pairs, plain_of(current), rank, seed, scale_at(current, rank))


def _padded_mean(pairs: Sequence[Pair], weights: FloatArray, rank: int) -> Pair:
    """Means of both factors at `rank`, by `weights` times the products' norms; by `weights` alone if all are zero."""
    sized = weights * [product_norm(pair) for pair in pairs]
    shares = sized / sized.sum() if sized.any() else weights
    left, right = np.zeros((len(pairs[0][0]), rank)), np.zeros((rank, pairs[0][1].shape[1]))
    for share, (b, a) in zip(shares, pairs, strict=True):
        left[:, : b.shape[1]] += share * b
        right[: len(a)] += share * a
    return left, right


def product_norm(pair: Pair) -> float:
    """||left right||_F without the product: the sum of the entries of (left^T left) * (right right^T)."""
    left, right = pair
    return float(np.sqrt(max(np.sum((left.T @ left) * (right @ right.T)), 0.0)))
