"""Samples become the states below the cut, worked out once for the experiment and kept, in memory or on disk.

Samples are worked out in groups that only the data decide, so states do not depend on who asked first.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from iovsim.domain import IntArray
from iovsim.learning.backbones.backbone import Inputs

GROUP = 64
"""Samples that are worked out together, of like length."""

IN_MEMORY_BYTES = 2 * 1024**3
"""A larger store is mapped from a nameless file in the folder for temporary files."""


class Kept:
    """States of a set of samples: (n, t, width) or, where they are features, (n, width)."""

    def __init__(self, inputs: Inputs, below: Callable[..., Tensor], in_memory_bytes: int = IN_MEMORY_BYTES) -> None:
        self._inputs = inputs
        self._below = below
        self._in_memory_bytes = in_memory_bytes
        order = np.argsort(inputs.lengths, kind="stable")
        self._groups = [order[k : k + GROUP] for k in range(0, len(order), GROUP)]
        self._group_of = np.empty(len(order), dtype=np.int64)
        for number, group in enumerate(self._groups):
            self._group_of[group] = number
        self._alike = bool(inputs.lengths.min() == inputs.lengths.max())
        self._done = np.zeros(len(self._groups), dtype=bool)
        self._rows: Tensor | None = None  # all samples' tokens, one below the other
        self._starts: IntArray | None = None  # where each sample's begin; None: features, one row each

    def states(self, rows: IntArray) -> Tensor:
        """Of the samples at `rows`; shorter ones are filled up with zeros, as the inputs' masks expect."""
        for number in np.unique(self._group_of[rows]):
            if not self._done[number]:
                self._fill(self._groups[number])
                self._done[number] = True
        if self._rows is None:
            raise ValueError("no rows are asked for")
        if self._starts is None:
            return self._rows.index_select(0, torch.from_numpy(rows))
        if self.alike:
            whole = self._rows.view(len(self._group_of), -1, self._rows.shape[1])
            return whole.index_select(0, torch.from_numpy(rows))  # several times faster than by brackets
        counts = self._starts[rows + 1] - self._starts[rows]
        longest = int(counts.max())
        places = np.arange(longest)
        real = places < counts[:, None]
        wanted = np.where(real, self._starts[rows][:, None] + places, self._starts[rows][:, None])
        states = self._rows[torch.from_numpy(wanted)]
        return states if real.all() else states * torch.from_numpy(real)[:, :, None]

    @property
    def alike(self) -> bool:
        """Whether all samples are equally long."""
        return self._alike

    def _fill(self, group: IntArray) -> None:
        with torch.no_grad():
            states = self._below(*self._inputs.batch(group)).to("cpu")
        if self._rows is None:
            self._rows = self._allocate(states, group)
        if self._starts is None:
            self._rows[torch.from_numpy(group)] = states
            return
        for place, sample in enumerate(group):
            start, end = self._starts[sample : sample + 2]
            self._rows[start:end] = states[place, : end - start]

    def _allocate(self, states: Tensor, group: IntArray) -> Tensor:
        """Room for all samples. Tokens beside those counted in `lengths` (a class token) are the same for all."""
        count, width = len(self._inputs.lengths), states.shape[-1]
        if states.dim() == 2:
            return self._empty(count, width, states.dtype)
        beside = states.shape[1] - int(self._inputs.lengths[group].max())
        self._starts = np.concatenate(([0], np.cumsum(self._inputs.lengths + beside)))
        return self._empty(int(self._starts[-1]), width, states.dtype)

    def _empty(self, rows: int, width: int, dtype: torch.dtype) -> Tensor:
        size = rows * width * dtype.itemsize
        if size <= self._in_memory_bytes:
            return torch.empty(rows, width, dtype=dtype)
        with tempfile.TemporaryFile() as file:
            file.truncate(size)
            mapped = np.memmap(file, dtype=np.uint8, mode="r+", shape=(size,))
        return torch.from_numpy(mapped).view(dtype).view(rows, width)
