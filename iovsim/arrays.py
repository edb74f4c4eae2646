"""Arrays become a folder of plain `.npy` files and come back mapped: processes that read the same share the memory."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from iovsim.files import whole_folder

SAMPLES = 500_000
"""How many samples of contacts are worked on at a time: bounds memory to some 100 MB, whatever their number."""


def save_arrays(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes a file `<name>.npy` each, all or none. Raises `ResultsError` where they cannot be written."""
    with whole_folder(folder) as part:
        for name, array in arrays.items():
            np.save(part / f"{name}.npy", array, allow_pickle=False)


def save_pieces(
    folder: Path, pieces: Iterable[Mapping[str, NDArray[Any]]], whole: Mapping[str, NDArray[Any]] | None = None
) -> None:
    """Writes what `save_arrays` would of the pieces' arrays end to end, one dimension each, never holding two pieces.

    Every piece has the same names and types; there is at least one. The arrays `whole` are written as they are.
    Raises `ResultsError` where they cannot be written.
    """
    with whole_folder(folder) as part, ExitStack() as files:
        for name, array in (whole or {}).items():
            np.save(part / f"{name}.npy", array, allow_pickle=False)
        open_: dict[str, tuple[IO[bytes], np.dtype[Any]]] = {}
        lengths: dict[str, int] = {}
        for piece in pieces:
            for name, array in piece.items():
                if name not in open_:
                    open_[name] = files.enter_context((part / f"{name}.npy").open("wb")), array.dtype
                    _header(*open_[name], 0)
                open_[name][0].write(np.ascontiguousarray(array).data)
                lengths[name] = lengths.get(name, 0) + len(array)
        for name, (file, dtype) in open_.items():
            file.seek(0)
            _header(file, dtype, lengths[name])  # as long as before: numpy leaves room for the length to grow


def runs(offsets: NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
    """Cuts things that own the rows `offsets[i]:offsets[i + 1]` into runs `first, last` of at most `most` rows each, or
    one thing; at least one run."""
    first = 0
    while True:
        last = int(np.searchsorted(offsets, offsets[first] + most, side="right")) - 1
        last = min(max(last, first + 1), len(offsets) - 1)
        yield first, last
        first = last
        if first == len(offsets) - 1:
            return


def rows(array: NDArray[Any], count: int) -> Iterator[NDArray[Any]]:
    """An array in parts of at most `count` rows, as views."""
    return (array[start : start + count] for start in range(0, len(array), count))


def _header(file: IO[bytes], dtype: np.dtype[Any], length: int) -> None:
    npy.write_array_header_1_0(file, {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": (length,)})


def mapped_arrays(folder: Path) -> dict[str, NDArray[Any]]:
    """What `save_arrays` wrote, by name, read-only; what is never looked at is never read.

    Raises `FileNotFoundError` where there is no such folder, `ValueError` for a file that is cut, is no array or holds
    pickles.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder")
    # As plain arrays: every slice of numpy's own class for mapped ones costs several times as much.
    return {
        file.stem: np.asarray(np.load(file, mmap_mode="r", allow_pickle=False)) for file in sorted(folder.glob("*.npy"))
    }


def let_go(arrays: Iterable[NDArray[Any]]) -> None:
    """Gives back the memory of what was read of mapped arrays; what is looked at again is read again.

    Nothing happens to other arrays, nor where the system knows no such advice.
    """
    for array in arrays:
        base: object = array
        while isinstance(base, np.ndarray):
            base = base.base
        if isinstance(base, mmap.mmap) and hasattr(base, "madvise"):
            base.madvise(mmap.MADV_DONTNEED)
