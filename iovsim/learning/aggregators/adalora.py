"""The exact mean, handed out with more directions in the layers where they matter more (in the manner of AdaLoRA)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from iovsim.domain import Adapter, Float32Array, FloatArray, Update
from iovsim.errors import ScenarioError
from iovsim.learning.adapter import adapted_layers, draw_a, factors, has_learnt
from iovsim.learning.aggregators.joining import first_rows, plain_of, scale_at
from iovsim.learning.aggregators.spectrum import decompose
from iovsim.learning.aggregators.svd import exact_mean
from iovsim.rng import stream


@dataclass(frozen=True, slots=True)
class AdaLora:
    """A client of rank r gets as many parameters as r directions in every layer have, where they matter most.

    AdaLoRA (Zhang et al., ICLR 2023, arXiv:2303.10512) trains updates in the form P diag(s) Q, keeps the directions of
    the highest importance over all layers within a total budget, and lowers the budget by a cubic schedule. The paper's
    are: the form, one competition over all layers, and importance by |s|, which it compares with its default, a running
    mean of weight times gradient; the schedule is the stage `cubic-budget`. Ours: a federation in place of one
    training, so the competition is held at every hand-out, over the singular values of the scaled global update;
    importance by |s|, since gradients are not sent; a budget in parameters, so that no client gets more than it is
    charged for where layers differ in width; and `least` directions that every layer keeps, without which it could
    never learn again (in the paper a pruned direction stays in memory and may come back). Clients train plain LoRA: the
    paper's regulariser, which keeps P and Q orthogonal in training, has no use where the server's SVD does.
    """

    least: int = 1

    def __post_init__(self) -> None:
        if self.least < 1:
            raise ScenarioError(f"least = {self.least}: must be at least 1.")

    def aggregate(self, current: Adapter, updates: Sequence[Update]) -> Adapter:
        """The exact weighted mean, as `svd` keeps it."""
        return exact_mean(current, updates)

    def redistribute(self, current: Adapter, rank: int, seed: int) -> Adapter:
        """The most important directions within the budget; where there are too few A is drawn, B = 0.

        Layers are filled up to the longest with zeros, which cost nothing and stay zero in training; alpha is raised so
        that the scale is that of `rank`. While nothing has been learnt, every layer gets `rank` rows of the initial A.
        """
        if rank == current.rank:
            return current
        if rank < current.rank and not has_learnt(current):
            return first_rows(current, rank)
        spectra = {layer: decompose(*factors(current, layer)) for layer in adapted_layers(current)}
        ranks = allocate(
            {layer: s for layer, (_, s, _) in spectra.items()},
            {layer: (len(u), vt.shape[1]) for layer, (u, _, vt) in spectra.items()},
            rank,
            self.least,
        )
        longest, scale = max(ranks.values()), scale_at(current, rank)
        tensors: dict[str, Float32Array] = {}
        for layer, (u, s, vt) in spectra.items():
            own, keep = ranks[layer], min(ranks[layer], len(s))
            a = np.zeros((longest, vt.shape[1]), dtype=np.float32)
            b = np.zeros((len(u), longest), dtype=np.float32)
            a[:own] = draw_a(own, vt.shape[1], stream(seed, "direction", layer))
            a[:keep], b[:, :keep] = vt[:keep], u[:, :keep] * s[:keep] / scale
            tensors[f"{layer}.lora_A.weight"], tensors[f"{layer}.lora_B.weight"] = a, b
        alpha = current.alpha * scale / scale_at(current, longest)
        return replace(current, rank=longest, alpha=alpha, tensors=tensors | plain_of(current))


def allocate(
    importance: Mapping[str, FloatArray], shapes: Mapping[str, tuple[int, int]], rank: int, least: int
) -> dict[str, int]:
    """How many directions each layer gets of a budget of `rank` times the sum of all outputs + inputs.

    `importance` falls along each layer's array. Every layer gets `least`, or `rank` if that is less; then directions
    are taken in the order of importance over all layers as far as the budget goes, then further ones, where fewest are.
    """
    cost = {layer: outputs + inputs for layer, (outputs, inputs) in shapes.items()}
    ranks = dict.fromkeys(shapes, min(least, rank))
    left = (rank - min(least, rank)) * sum(cost.values())
    known = ((-s, name) for name, values in importance.items() for s in values[ranks[name] :].tolist())
    for _, layer in sorted(known):
        if cost[layer] <= left:
            ranks[layer] += 1
            left -= cost[layer]
    while growing := [layer for layer in shapes if cost[layer] <= left and ranks[layer] < min(shapes[layer])]:
        fewest = min(growing, key=lambda layer: ranks[layer])
        ranks[fewest] += 1
        left -= cost[fewest]
    return ranks
