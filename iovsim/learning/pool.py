"""Turns a pool's labels and districts into cells of samples alike in both, and takes samples out of them by chance."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from iovsim.domain import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """`samples[first[p, c] : first[p, c] + size[p, c]]` are the indices of part p's samples of the c-th class.

    Parts are the districts in ascending order, or a single one; only classes with samples count, in ascending order.
    """

    districts: IntArray | None  # (parts,): what each part is the part of; None: one part that serves them all
    samples: IntArray  # (n,)
    first: IntArray  # (parts, classes)
    size: IntArray  # (parts, classes)

    def parts(self, district: IntArray) -> IntArray:
        """The part that serves each district (n,); -1 where the pool has none for it."""
        if self.districts is None:
            return np.zeros(len(district), dtype=np.int64)
        part = np.searchsorted(self.districts, district)
        known = np.append(self.districts, -1)[part] == district
        return np.where(known, part, -1).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Stock:
    """What is left of a pool; `take` lowers it. It costs as much as was taken, however large the pool."""

    pool: Pool
    left: IntArray  # (parts, classes)
    moved: dict[int, int] = field(default_factory=dict)  # what has changed places among `pool.samples`


def sort_pool(labels: IntArray, districts: IntArray | None) -> Pool:
    """The pool of `labels` (n,) with n >= 1, and `districts` (n,) or None."""
    classes, label = np.unique(labels, return_inverse=True)
    names, part = (None, np.zeros_like(label)) if districts is None else np.unique(districts, return_inverse=True)
    cell = part * len(classes) + label
    size = np.bincount(cell, minlength=(1 if names is None else len(names)) * len(classes)).astype(np.int64)
    return Pool(
        districts=names,
        samples=np.argsort(cell, kind="stable").astype(np.int64),
        first=(np.cumsum(size) - size).reshape(-1, len(classes)),
        size=size.reshape(-1, len(classes)),
    )


def full(pool: Pool) -> Stock:
    """The stock of a pool that nothing was taken from."""
    return Stock(pool, pool.size.copy())


def take(stock: Stock, part: IntArray, mix: FloatArray, rng: np.random.Generator) -> IntArray:
    """A sample for each request, none twice: `part` (n,), its class by `mix` (n, classes), and any one of that class.

    Where a class runs out, later requests that fall on it get -1.
    """
    pool = stock.pool
    luck = rng.random((len(part), 2))  # row by row, so that what the first requests get does not depend on the later
    share = np.cumsum(mix, axis=1)
    share /= share[:, -1:]
    label = (luck[:, :1] >= share).sum(axis=1)  # a class of share 0 is never drawn
    taken = np.full(len(part), -1, dtype=np.int64)
    for i, (p, c, where) in enumerate(zip(part.tolist(), label.tolist(), luck[:, 1].tolist(), strict=True)):
        left = int(stock.left[p, c])
        if left:  # one step of a Fisher-Yates shuffle: the last of the cell moves to where the chosen one was
            chosen, last = (int(pool.first[p, c]) + k for k in (int(where * left), left - 1))
            taken[i] = pool.samples[stock.moved.get(chosen, chosen)]
            stock.moved[chosen] = stock.moved.get(last, last)
            stock.left[p, c] = left - 1
    return taken


def take_all(stock: Stock, part: IntArray, mix: FloatArray, rng: np.random.Generator) -> IntArray:
    """As `take`, but every request gets a sample; each part must have enough of them.

    A class that has run out passes its share to the request's other classes in proportion (Reddi et al., "Adaptive
    Federated Optimization", 2021, its partition of CIFAR-100), and where none of those is left, to all in proportion to
    their stock, which is ours.
    """
    taken = np.full(len(part), -1, dtype=np.int64)
    while len(waiting := np.flatnonzero(taken < 0)):
        left = stock.left[part[waiting]]
        within = mix[waiting] * (left > 0)
        within = np.where(within.any(axis=1, keepdims=True), within, left)
        taken[waiting] = take(stock, part[waiting], within, rng)
    return taken
