"""Adapters of several vehicles become rows of one flat buffer, and rows become adapters again.

Ranks are padded to a class that the job alone decides, so that a result never depends on who is trained beside it.
Padded rows of A and columns of B are zero, get zero gradients, and stay zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from iovsim.learning.adapter import HEAD

LEAST_RANK = 8
"""Smaller ranks cost a processor as much as this one; powers of two."""

ALIGNED = 64
"""Rows are as long as a multiple of this, so that each element of a row meets the same vector instruction."""

Arrays = Mapping[str, NDArray[np.floating]]


def padded_rank(rank: int, least: int = LEAST_RANK) -> int:
    """The next power of two, at least `least`; 0 stays 0."""
    return max(least, 1 << (rank - 1).bit_length()) if rank else 0


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each tensor lies in a row, by name; shapes with the padded rank."""

    shapes: Mapping[str, tuple[int, ...]]
    offsets: Mapping[str, int]
    length: int

    def view(self, buffer: Tensor, name: str) -> Tensor:
        """One tensor of all vehicles: (V, *shape), without copying."""
        shape, start = self.shapes[name], self.offsets[name]
        return buffer[:, start : start + math.prod(shape)].view(len(buffer), *shape)

    def part(self, row: NDArray[Any], name: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """One tensor within one row, without what its rank is padded with; without copying."""
        padded, start = self.shapes[name], self.offsets[name]
        return row[start : start + math.prod(padded)].reshape(padded)[tuple(map(slice, shape))]


@dataclass(frozen=True, slots=True, eq=False)
class Flat:
    """Parameters of V vehicles (V, n), their gradients, and Adam's moments (SGD leaves them zero)."""

    values: Tensor
    gradients: Tensor
    first: Tensor
    second: Tensor

    def part(self, rows: slice) -> Flat:
        """Those of some vehicles, without copying."""
        return Flat(self.values[rows], self.gradients[rows], self.first[rows], self.second[rows])

    def picked(self, rows: Sequence[int]) -> Flat:
        """Those of some vehicles, in this order."""
        index = torch.tensor(rows, dtype=torch.int64, device=self.values.device)
        kept = (part.index_select(0, index) for part in (self.values, self.first, self.second))
        values, first, second = kept
        return Flat(values, torch.empty_like(values), first, second)


def begun(adapters: Sequence[Arrays], layouts: Sequence[Layout], dtype: torch.dtype, device: torch.device) -> Flat:
    """Adapters as rows of one buffer, filled up to the longest with zeros; nothing done yet."""
    values = torch.zeros(len(adapters), max(layout.length for layout in layouts), dtype=dtype)
    for row, tensors, layout in zip(values, adapters, layouts, strict=True):
        to_row(tensors, layout, row.numpy())
    values = values.to(device)
    return Flat(values, torch.empty_like(values), torch.zeros_like(values), torch.zeros_like(values))


def beside(left: Flat, right: Flat) -> Flat:
    """The rows of both, one below the other, filled up to the longest with zeros."""
    length = max(left.values.shape[1], right.values.shape[1])

    def joined(above: Tensor, below: Tensor) -> Tensor:
        return torch.cat([functional.pad(part, (0, length - part.shape[1])) for part in (above, below)])

    values = joined(left.values, right.values)
    return Flat(values, torch.empty_like(values), joined(left.first, right.first), joined(left.second, right.second))


def layout_of(tensors: Arrays, rank: int) -> Layout:
    """The layout of adapters like this one, with its padded rank.

    Heads come last, so that the factors of tasks with different classes lie at the same places.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    offsets: dict[str, int] = {}
    length = 0
    for name in sorted(tensors, key=lambda name: (name.startswith(HEAD), name)):
        shapes[name] = _padded_shape(name, tensors[name].shape, rank)
        offsets[name] = length
        length += math.prod(shapes[name])
    return Layout(shapes, offsets, -(-length // ALIGNED) * ALIGNED)


def to_row(tensors: Arrays, layout: Layout, row: NDArray[np.floating]) -> None:
    """Fills a row (length,), which must be zero before."""
    for name, array in tensors.items():
        layout.part(row, name, array.shape)[...] = array


def from_row(row: NDArray[np.floating], layout: Layout, like: Arrays) -> dict[str, NDArray[np.float32]]:
    """Arrays of the names, shapes and order of `like`."""
    return {name: layout.part(row, name, array.shape).copy() for name, array in like.items()}


def _padded_shape(name: str, shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    if name.endswith(".lora_A.weight"):
        return (rank, shape[1])
    if name.endswith(".lora_B.weight"):
        return (shape[0], rank)
    return shape
