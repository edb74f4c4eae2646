"""The tracks of contacts as they come, block by block, are put into a file, and read from it by contact.

So memory holds the samples of one block, or of some contacts; and of each block, how many samples each contact had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np

from iovsim.domain import FloatArray, IntArray

SAMPLE = ("time_s", "x_m", "y_m", "speed_mps", "angle_deg")
"""Rows of an array of samples."""

TIME = SAMPLE.index("time_s")

ROW = np.dtype((np.float64, len(SAMPLE)))


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """What a block has added: `contacts[i]`, ascending, got the samples `offsets[i]:offsets[i + 1]` of the file."""

    contacts: IntArray
    offsets: IntArray


class TrackFile:
    """Samples by contact, in the order of time, in a file open for writing and reading, which is the caller's.

    First all is taken, then read.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._blocks: list[_Block] = []
        self._written = 0

    def take(self, chunks: Sequence[tuple[IntArray, FloatArray]]) -> None:
        """A block's chunks of contact numbers (n,) and samples (`SAMPLE`, n), a contact's in the order of time."""
        if not chunks:
            return
        contact, places = (np.concatenate(column, axis=-1) for column in zip(*chunks, strict=True))
        order = np.argsort(contact, kind="stable")
        contact = contact[order]
        heads = np.flatnonzero(np.append(True, contact[1:] != contact[:-1])[: len(contact)])
        self._file.write(np.ascontiguousarray(places[:, order].T).data)
        self._blocks.append(_Block(contact[heads], self._written + np.append(heads, len(contact))))
        self._written += len(contact)

    def counts(self, contacts: int) -> IntArray:
        """Samples of each of the first so many contacts."""
        counts = np.zeros(contacts, dtype=np.int64)
        for block in self._blocks:
            counts[block.contacts] += np.diff(block.offsets)
        return counts

    def read(self, first: int, last: int) -> tuple[IntArray, FloatArray]:
        """All samples of the contacts `first` to `last` - 1: their numbers (n,), and (`SAMPLE`, n); a contact's are in
        the order of time."""
        numbers, places = [np.zeros(0, dtype=np.int64)], [np.zeros((0, len(SAMPLE)))]
        for block in self._blocks:
            low, high = np.searchsorted(block.contacts, [first, last])
            if low == high:
                continue
            begin, end = int(block.offsets[low]), int(block.offsets[high])
            self._file.seek(begin * ROW.itemsize)
            places.append(np.frombuffer(self._file.read((end - begin) * ROW.itemsize)).reshape(-1, len(SAMPLE)))
            numbers.append(np.repeat(block.contacts[low:high], np.diff(block.offsets[low : high + 1])))
        return np.concatenate(numbers), np.concatenate(places).T
