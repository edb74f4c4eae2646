"""Files become one block of bytes that says their names and carries a digest, and the block becomes the same files."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iovsim.errors import ResultsError
from iovsim.files import explained, scratch

MOST_BYTES = 256 * 2**20
"""Of one parcel, unless a single file is larger: what is packed and unpacked at a time has to fit into memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Parcel:
    """Files on their way. `content` (n,) holds one after the other; names are relative, "" is that of a lone file."""

    names: tuple[str, ...]
    sizes_bytes: tuple[int, ...]
    content: NDArray[np.uint8]
    sha256: str  # of names, sizes and content


def packed(base: Path, files: Iterable[Path], most_bytes: float = MOST_BYTES) -> Iterator[Parcel]:
    """The files, named from `base`, in parcels of at most so many bytes. Raises `ResultsError` where it cannot read."""
    waiting: list[tuple[str, bytes]] = []
    waiting_bytes = 0
    for file in files:
        with explained(file, "read"):
            content = file.read_bytes()
        if waiting and waiting_bytes + len(content) > most_bytes:
            yield _parcel(waiting)
            waiting, waiting_bytes = [], 0
        waiting.append(("" if file == base else file.relative_to(base).as_posix(), content))
        waiting_bytes += len(content)
    yield _parcel(waiting)


def packed_whole(base: Path) -> Parcel:
    """A file, or a folder with all that is in it, in one parcel. Raises `ResultsError` where it cannot be read."""
    return next(packed(base, files_in(base), math.inf))


def files_in(base: Path) -> list[Path]:
    """All files below a folder, sorted; of a file, itself."""
    return sorted(p for p in base.rglob("*") if p.is_file()) if base.is_dir() else [base]


def contents(parcel: Parcel) -> Iterator[tuple[str, memoryview]]:
    """Name and content of each file. Raises `ResultsError` for a parcel that was damaged on its way."""
    if _sha256(parcel.names, parcel.sizes_bytes, parcel.content) != parcel.sha256:
        raise ResultsError(f"{_told(parcel.names)}: damaged on the way between two nodes; give the same command again.")
    view, begin = parcel.content.data, 0
    for name, size_bytes in zip(parcel.names, parcel.sizes_bytes, strict=True):
        yield name, view[begin : begin + size_bytes]
        begin += size_bytes


def unpack(parcel: Parcel, path: Path) -> None:
    """Writes the files below the folder `path`, or the lone file as `path`.

    Raises `ResultsError` like `contents`, and where a file cannot be written.
    """
    for name, content in contents(parcel):
        file = path / name
        with explained(file, "write"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


def settle(parcels: Iterable[Parcel], path: Path) -> Path:
    """Has the parcels' files lie at `path`, whole; where something lies there already, nothing is asked of `parcels`.

    Several processes may do so at once: the first wins. Raises `ResultsError` like `unpack`.
    """
    if path.exists():
        return path
    with explained(path, "write"), scratch(path.parent) as folder:
        for parcel in parcels:
            unpack(parcel, folder / path.name)
        if not path.exists():
            try:
                (folder / path.name).rename(path)
            except OSError:
                if not path.exists():  # else another process was there first, with the same
                    raise
    return path


def _parcel(files: Sequence[tuple[str, bytes]]) -> Parcel:
    names = tuple(name for name, _ in files)
    sizes_bytes = tuple(len(content) for _, content in files)
    content = np.frombuffer(b"".join(content for _, content in files), dtype=np.uint8)
    return Parcel(names, sizes_bytes, content, _sha256(names, sizes_bytes, content))


def _sha256(names: Sequence[str], sizes_bytes: Sequence[int], content: NDArray[np.uint8]) -> str:
    digest = hashlib.sha256(repr((names, sizes_bytes)).encode())
    digest.update(content.data)
    return digest.hexdigest()


def _told(names: Sequence[str]) -> str:
    return f"{names[0] or 'a file'}" + (f" and {len(names) - 1} other files" if len(names) > 1 else "")
