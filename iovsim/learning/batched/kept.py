"""Samples become the states below the cut, worked out once and kept, in memory, on disk, or in files that runs share.

Samples are worked out in groups that only the data decide, so states do not depend on who asked first.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from iovsim.domain import IntArray
from iovsim.errors import TrainingError
from iovsim.learning.backbones.backbone import Inputs
from iovsim.learning.batched.state_files import Shape, StateFile, made, opened, reserve

GROUP = 64
"""Samples that are worked out together, of like length."""

IN_MEMORY_BYTES = 2 * 1024**3
"""A larger store is mapped from a nameless file in the folder for temporary files."""


class Kept:
    """States of a set of samples: (n, t, width) or, where they are features, (n, width)."""

    def __init__(
        self,
        inputs: Inputs,
        below: Callable[..., Tensor],
        in_memory_bytes: int = IN_MEMORY_BYTES,
        folder: Path | None = None,
    ) -> None:
        """`folder`, which must be of these inputs and this trunk alone, outlives the process."""
        self._inputs = inputs
        self._below = below
        self._in_memory_bytes = in_memory_bytes
        self._folder = folder
        self._file: StateFile | None = None
        order = np.argsort(inputs.lengths, kind="stable")
        self._groups = [order[k : k + GROUP] for k in range(0, len(order), GROUP)]
        self._group_of = np.empty(len(order), dtype=np.int64)
        for number, group in enumerate(self._groups):
            self._group_of[group] = number
        self._alike = bool(inputs.lengths.min() == inputs.lengths.max())
        self._done = np.zeros(len(self._groups), dtype=bool)
        self._rows: Tensor | None = None  # all samples' tokens, one below the other
        self._starts: IntArray | None = None  # where each sample's begin; None: features, one row each

    def work_out(self, rows: IntArray) -> bool:
        """Sees to it that the states of the samples at `rows` are there; whether any had to be worked out."""
        missing = [int(number) for number in np.unique(self._group_of[rows]) if not self._done[number]]
        for number in missing:
            self._fill(number)
            self._done[number] = True
        return bool(missing)

    @property
    def whole(self) -> Tensor:
        """All samples' states where all are equally long, (n, t, width) or (n, width): valid where worked out."""
        if self._rows is None:
            raise ValueError("no rows are asked for")
        if self._starts is None:
            return self._rows
        return self._rows.view(len(self._group_of), -1, self._rows.shape[1])

    def states(self, rows: IntArray) -> Tensor:
        """Of the samples at `rows`; shorter ones are filled up with zeros, as the inputs' masks expect."""
        self.work_out(rows)
        if self._rows is None or self._starts is None or self.alike:
            return self.whole.index_select(0, torch.from_numpy(rows))  # several times faster than by brackets
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

    def _fill(self, number: int) -> None:
        group = self._groups[number]
        if self._rows is None and self._folder is not None:
            self._take_up(opened(self._folder))
        if self._file is not None and self._file.holds(number, self._of(group)):
            return
        with torch.no_grad():
            states = self._below(*self._inputs.batch(group)).to("cpu")
        if self._rows is None:
            self._rows = self._allocate(states, group)
        if self._starts is None:
            self._rows[torch.from_numpy(group)] = states
        else:
            for place, sample in enumerate(group):
                start, end = self._starts[sample : sample + 2]
                self._rows[start:end] = states[place, : end - start]
        if self._file is not None:
            self._file.keep(number, self._of(group))

    def _of(self, group: IntArray) -> Tensor:
        """All rows of a group's samples."""
        if self._rows is None:
            raise ValueError("no rows are there yet")
        if self._starts is None:
            return self._rows.index_select(0, torch.from_numpy(group))
        return torch.cat([self._rows[self._starts[sample] : self._starts[sample + 1]] for sample in group])

    def _allocate(self, states: Tensor, group: IntArray) -> Tensor:
        """Room for all samples. Tokens beside those counted in `lengths` (a class token) are the same for all."""
        beside = None if states.dim() == 2 else states.shape[1] - int(self._inputs.lengths[group].max())
        self._starts = self._starts_with(beside)
        rows, width = self._counted(), states.shape[-1]
        if self._folder is not None:
            self._file = made(self._folder, Shape(rows, width, len(self._groups), beside, states.dtype))
        return self._empty(rows, width, states.dtype) if self._file is None else self._file.rows

    def _take_up(self, file: StateFile | None) -> None:
        """Goes on with a file that is there, if it is as one of these samples would be."""
        if file is None:
            return
        self._starts = self._starts_with(file.shape.beside)
        if (file.shape.rows, file.shape.groups) == (self._counted(), len(self._groups)):
            self._file, self._rows = file, file.rows

    def _starts_with(self, beside: int | None) -> IntArray | None:
        """Where each sample's tokens begin; None for features, which have one row each."""
        return None if beside is None else np.concatenate(([0], np.cumsum(self._inputs.lengths + beside)))

    def _counted(self) -> int:
        return len(self._inputs.lengths) if self._starts is None else int(self._starts[-1])

    def _empty(self, rows: int, width: int, dtype: torch.dtype) -> Tensor:
        size = rows * width * dtype.itemsize
        if size <= self._in_memory_bytes:
            return torch.empty(rows, width, dtype=dtype)
        with tempfile.TemporaryFile() as file:
            try:
                reserve(file, size)
            except OSError as error:
                raise TrainingError(
                    f"{tempfile.gettempdir()}: no room for {size} bytes of states below the lowest adapter "
                    f"({error.strerror}); free space there, or let TMPDIR name another folder."
                ) from error
            mapped = np.memmap(file, dtype=np.uint8, mode="r+", shape=(size,))
        return torch.from_numpy(mapped).view(dtype).view(rows, width)
