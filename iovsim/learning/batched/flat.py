"""Adapters of several vehicles become rows of one flat buffer, and rows become adapters again.

Ranks are padded to a class that the job alone decides, so that a result never depends on who is trained beside it.
Padded rows of A and columns of B are zero, get zero gradients, and stay zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

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


def layout_of(tensors: Arrays, rank: int) -> Layout:
    """The layout of adapters like this one, with its padded rank."""
    shapes: dict[str, tuple[int, ...]] = {}
    offsets: dict[str, int] = {}
    length = 0
    for name in sorted(tensors):
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
