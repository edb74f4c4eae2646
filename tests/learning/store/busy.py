"""A process that writes and reads many entries of a small store; whatever it reads must be whole."""

from __future__ import annotations

import sys
from pathlib import Path

from iovsim.learning.digest import digest_of
from iovsim.learning.store.folder import StoreFolder, StoreSpec

LIMIT_BYTES = 30_000
ENTRY_BYTES = 64 * 20


def main(path: Path, first: int) -> None:
    """A third of what it writes is written by its neighbour too."""
    keys = [digest_of(k) for k in range(400)]
    folder = StoreFolder(StoreSpec(path, LIMIT_BYTES))
    hits = 0
    for step in range(250):
        key = keys[(first + step * 7) % len(keys)]
        folder.write(key, key.encode() * 20)
        for asked in (key, keys[(step * 3) % len(keys)]):
            found = folder.read(asked)
            assert found in (None, asked.encode() * 20)
            hits += found is not None
    assert folder.problem == ""
    assert hits > 100


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
