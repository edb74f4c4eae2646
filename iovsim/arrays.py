"""Arrays become a folder of plain `.npy` files and come back mapped: processes that read the same share the memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iovsim.files import whole_folder


def save_arrays(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes a file `<name>.npy` each, all or none. Raises `ResultsError` where they cannot be written."""
    with whole_folder(folder) as part:
        for name, array in arrays.items():
            np.save(part / f"{name}.npy", array, allow_pickle=False)


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
