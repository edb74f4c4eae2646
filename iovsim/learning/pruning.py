"""A client's rank shrinks while it trains, where its data do not need the last ranks (HetLoRA's self-pruning).

Cho et al., EMNLP 2024 (arXiv:2401.06432): with rank r and g = `Pruning.keep`, the loss gets the regulariser
mu ||B[:, g r:]|| ||A[g r:, :]||; if that product is smaller after training than before, only g r ranks are kept. Here
the product is summed over layers, so that all keep one rank; g r is rounded down and is at least 1 (ours).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from iovsim.domain import Adapter, Pruning
from iovsim.learning.adapter import adapted_layers


def kept_rank(rank: int, pruning: Pruning) -> int:
    """What is left of `rank` if a client gives any up."""
    return max(1, math.floor(pruning.keep * rank))


def pruned(before: Adapter, after: Adapter, pruning: Pruning) -> Adapter:
    """The trained adapter without its last ranks if they have shrunk; the product of what is kept does not change."""
    keep = kept_rank(after.rank, pruning)
    if tail_size(after, keep) >= tail_size(before, keep):
        return after
    rescale = after.scale / after.scaling.scale(after.alpha, keep)
    tensors = dict(after.tensors)
    for layer in adapted_layers(after):
        a, b = f"{layer}.lora_A.weight", f"{layer}.lora_B.weight"
        tensors[a] = tensors[a][:keep].copy()
        tensors[b] = (rescale * tensors[b][:, :keep].astype(np.float64)).astype(np.float32)
    return replace(after, rank=keep, tensors=tensors)


def tail_size(adapter: Adapter, keep: int) -> float:
    """The sum over layers of ||B[:, keep:]|| ||A[keep:, :]||, Frobenius norms."""
    pairs = ((adapter.tensors[f"{name}.lora_{x}.weight"] for x in "BA") for name in adapted_layers(adapter))
    return math.fsum(float(np.linalg.norm(b[:, keep:]) * np.linalg.norm(a[keep:])) for b, a in pairs)


def add_gradient(penalty: float, keep: Tensor, a: Tensor, b: Tensor, a_gradient: Tensor, b_gradient: Tensor) -> None:
    """Adds the gradient of the regulariser of one layer, for V vehicles at once, to the gradients given.

    `a` (V, rank, inputs), `b` (V, outputs, rank) and `keep` (V,), each vehicle's first rank of the tail. A norm of zero
    has the gradient zero.
    """
    in_tail = (torch.arange(a.shape[1], device=a.device) >= keep[:, None]).to(a.dtype)
    a_tail, b_tail = a * in_tail[:, :, None], b * in_tail[:, None, :]
    a_norm, b_norm = (torch.linalg.vector_norm(tail.flatten(1), dim=1)[:, None, None] for tail in (a_tail, b_tail))
    for gradient, tail, own, other in ((a_gradient, a_tail, a_norm, b_norm), (b_gradient, b_tail, b_norm, a_norm)):
        gradient += penalty * other / own.where(own > 0, torch.ones_like(own)) * tail
