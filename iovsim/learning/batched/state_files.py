"""Kept states become files that outlive their process: runs on the same samples fill them and read them together.

States of a group of samples count only with their digest, so whatever a killed process left half-written is worked out
again. Space is taken when a file is made: where the disk is full, states are kept in memory as ever.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iovsim.errors import ResultsError
from iovsim.files import PART, whole_folder

LIMIT_BYTES = 4 * 1024**3
"""Of all files in a place; those that were opened longest ago go first."""

DIGEST_BYTES = 16
DTYPES = {str(dtype): dtype for dtype in (torch.float32, torch.float64, torch.bfloat16)}
SHAPE, ROWS, DIGESTS = "shape.json", "rows.bin", "digests.bin"


@dataclass(frozen=True, slots=True)
class StatesPlace:
    """A folder for states, and the digest of the way in which they are computed."""

    folder: Path
    way: str


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a file: `beside` tokens of each sample are not in its length; None where each has one row of features."""

    rows: int
    width: int
    groups: int
    beside: int | None
    dtype: torch.dtype

    @property
    def size_bytes(self) -> int:
        return self.rows * self.width * self.dtype.itemsize


@dataclass(frozen=True, slots=True, eq=False)
class StateFile:
    """States of all samples, as mapped rows (n, width), and a digest for each group, zero where there are none yet."""

    shape: Shape
    rows: Tensor
    digests: NDArray[np.uint8]  # (groups, 16)

    def holds(self, group: int, own: Tensor) -> bool:
        """Whether the group's rows, given as `own`, are those that were kept."""
        return bool(self.digests[group].any()) and bool((self.digests[group] == _digest(own)).all())

    def keep(self, group: int, own: Tensor) -> None:
        """Vouches for the group's rows, which must be in place."""
        self.digests[group] = _digest(own)


def opened(folder: Path) -> StateFile | None:
    """What `made` has made, perhaps in another process; None where there is nothing, or something damaged."""
    try:
        told = json.loads((folder / SHAPE).read_bytes())
        shape = Shape(**told | {"dtype": DTYPES[told["dtype"]]})
        rows = np.memmap(folder / ROWS, dtype=np.uint8, mode="r+", shape=(shape.size_bytes,))
        digests = np.memmap(folder / DIGESTS, dtype=np.uint8, mode="r+", shape=(shape.groups, DIGEST_BYTES))
        os.utime(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return StateFile(shape, torch.from_numpy(rows).view(shape.dtype).view(shape.rows, shape.width), digests)


def made(folder: Path, shape: Shape) -> StateFile | None:
    """Room for the states of all samples; None where the place cannot be written or has no space."""
    if shape.size_bytes > LIMIT_BYTES:
        return None
    try:
        _make_room(folder.parent, shape.size_bytes)
        with whole_folder(folder) as part:
            for name, size in ((ROWS, shape.size_bytes), (DIGESTS, shape.groups * DIGEST_BYTES)):
                with (part / name).open("wb") as file:
                    reserve(file, size)
            (part / SHAPE).write_text(json.dumps(asdict(shape) | {"dtype": str(shape.dtype)}))
    except (OSError, ResultsError):
        return None
    return opened(folder)


def reserve(file: IO[bytes], size: int) -> None:
    """Fills a new file with zeros that have their space: where the disk has no room, a mapped file kills its process.

    Raises `OSError` where there is no room.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.write(bytes(size))
        file.flush()


def _make_room(place: Path, size: int) -> None:
    """Removes what was opened longest ago until so many bytes more are within the limit."""
    held = [(facts.stat().st_mtime, _size(facts), facts) for facts in _folders(place)]
    total = sum(taken for _, taken, _ in held)
    for _, taken, folder in sorted(held, key=lambda entry: entry[0]):
        if total + size <= LIMIT_BYTES:
            return
        shutil.rmtree(folder, ignore_errors=True)  # processes that have it mapped go on with what they see
        total -= taken


def _folders(place: Path) -> Sequence[Path]:
    return [p for p in place.glob("*") if p.is_dir() and not p.name.startswith(PART)] if place.is_dir() else []


def _size(folder: Path) -> int:
    with suppress(OSError):
        return (folder / ROWS).stat().st_size
    return 0


def _digest(own: Tensor) -> NDArray[np.uint8]:
    content = own.contiguous().view(torch.uint8).numpy()
    return np.frombuffer(hashlib.blake2b(content.tobytes(), digest_size=DIGEST_BYTES).digest(), dtype=np.uint8)
