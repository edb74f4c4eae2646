"""Turns a pool's labels and districts into cells of samples alike in both, and takes samples out of them by chance."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from iovsim.domain import FloatArray, IntArray

EPSILON = 1e-9
"""What a product of a whole number and a fraction may miss the exact one by."""


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


def sort_pool(labels: IntArray, districts: IntArray | None, among: IntArray | None = None) -> Pool:
    """The pool of `labels` (n,) with n >= 1, and `districts` (n,) or None.

    With `among` (k,), of these samples only; parts and classes stay those of all, so that such pools share them.
    """
    classes, label = np.unique(labels, return_inverse=True)
    names, part = (None, np.zeros_like(label)) if districts is None else np.unique(districts, return_inverse=True)
    among = np.arange(len(labels)) if among is None else among
    cell = (part * len(classes) + label)[among]
    size = np.bincount(cell, minlength=(1 if names is None else len(names)) * len(classes)).astype(np.int64)
    return Pool(
        districts=names,
        samples=among[np.argsort(cell, kind="stable")].astype(np.int64),
        first=(np.cumsum(size) - size).reshape(-1, len(classes)),
        size=size.reshape(-1, len(classes)),
    )


def cut(
    labels: IntArray, districts: IntArray | None, fraction: float, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """The indices (n - m,) and (m,) of a training part and a test part, cut by chance within each cell.

    A cell's share of the test is `fraction`, rounded up or down such that those of its part add up to the part's,
    rounded; but of two samples or more both parts get one at least, and a single one is for training.
    """
    order = rng.permutation(len(labels))
    pool = sort_pool(labels, districts, order)
    so_far = np.pad(np.cumsum(pool.size, axis=1), ((0, 0), (1, 0)))
    wanted = np.diff(rounded(so_far, fraction), axis=1)
    tests = np.clip(wanted, pool.size > 1, np.maximum(pool.size - 1, 0))
    place = np.arange(len(labels)) - np.repeat(pool.first.ravel(), pool.size.ravel())
    test = place < np.repeat(tests.ravel(), pool.size.ravel())
    return np.sort(pool.samples[~test]), np.sort(pool.samples[test])


def rounded(count: NDArray[np.integer], fraction: float) -> IntArray:
    """`count * fraction` to the nearest whole number, halves up."""
    return np.asarray(np.floor(count * fraction + 0.5 + EPSILON), dtype=np.int64)


def full(pool: Pool) -> Stock:
    """The stock of a pool that nothing was taken from."""
    return Stock(pool, pool.size.copy())


def take(stock: Stock, part: IntArray, mix: FloatArray, rng: np.random.Generator) -> IntArray:
    """A sample for each request, none twice: `part` (n,), its class by `mix` (n, classes), and any one of that class.

    A class that has run out passes its share to the request's other classes in proportion (Reddi et al., "Adaptive
    Federated Optimization", 2021, its partition of CIFAR-100), and where none of those is left, to all in proportion to
    their stock, which is ours. A request whose part is used up gets -1.
    """
    pool = stock.pool
    luck = rng.random((len(part), 3))  # row by row, so that what the first requests get does not depend on the later
    label = _classes(mix, luck[:, 0])
    taken = np.full(len(part), -1, dtype=np.int64)
    for i, (p, c, again, where) in enumerate(zip(part.tolist(), label.tolist(), *luck.T[1:].tolist(), strict=True)):
        if not stock.left[p, c]:
            rest = stock.left[p]
            if not rest.any():
                continue
            others = mix[i] * (rest > 0)
            c = int(_classes(others if others.any() else rest, again))
        left = int(stock.left[p, c])  # one step of a Fisher-Yates shuffle: the last of the cell moves to the chosen one
        first = int(pool.first[p, c])
        chosen, last = first + int(where * left), first + left - 1
        taken[i] = pool.samples[stock.moved.get(chosen, chosen)]
        stock.moved[chosen] = stock.moved.get(last, last)
        stock.left[p, c] = left - 1
    return taken


def _classes(mix: FloatArray | IntArray, luck: FloatArray | float) -> IntArray:
    """The classes (...) that `luck` (...) in [0, 1) falls on by `mix` (..., classes); never one of share 0."""
    share = np.cumsum(mix, axis=-1)
    return np.asarray((np.expand_dims(luck, -1) >= share / share[..., -1:]).sum(axis=-1))
