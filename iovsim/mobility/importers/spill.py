"""A stream of points in any order becomes batches that each hold vehicles whole, whatever the size of the stream.

Points go to one of a number of files on disk, chosen by their vehicle; each file is then read at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from iovsim.files import explained
from iovsim.mobility.importers.records import POINT, Records

MOST_FILES = 200
"""That are open at once; macOS allows 256."""


def spill(batches: Iterable[Records], files: int, folder: Path) -> list[Path]:
    """Write every point (arrays of `POINT`) to the file of its vehicle, in the order of the stream."""
    paths = [folder / f"points-{number}" for number in range(files)]
    with explained(folder, "write"), ExitStack() as stack:
        out = [stack.enter_context(path.open("wb")) for path in paths]
        for batch in batches:
            number = batch["vehicle"] % files
            order = np.argsort(number, kind="stable")
            bounds = np.searchsorted(number[order], np.arange(files + 1))
            for file, first, stop in zip(out, bounds[:-1], bounds[1:], strict=True):
                file.write(batch[order[first:stop]].tobytes())
    return paths


def spilled(paths: Iterable[Path]) -> Iterator[Records]:
    """The points of each file, which is then removed; no batch for an empty one."""
    for path in paths:
        points = np.fromfile(path, dtype=POINT)
        path.unlink()
        if len(points):
            yield points
