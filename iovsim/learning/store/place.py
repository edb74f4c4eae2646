"""What a user says of the training store, or does not say, becomes its folder and limit, or no store."""

from __future__ import annotations

import math
from pathlib import Path

from iovsim.errors import ScenarioError
from iovsim.learning.store.folder import StoreSpec

NAME = "training"
"""Of the store's folder below the cache folder."""

LIMIT_GIB = 4.0


def chosen_store(
    store: Path | None, none: bool, limit_gib: float, cache: Path, where: str = "--store"
) -> StoreSpec | None:
    """The store that a run is to use. Raises `ScenarioError` for options that contradict each other or make no sense.

    A folder that cannot be written is no mistake: the run goes on without, and says so.
    """
    if none and store is not None:
        raise ScenarioError(f"--store {store} and --no-store exclude each other; give one of them.")
    return None if none else StoreSpec(folder_of(store, cache, where), limit_bytes(limit_gib))


def folder_of(store: Path | None, cache: Path, where: str = "--store") -> Path:
    """The store's folder, which need not be there. Raises `ScenarioError` where something else is.

    `where` names in it who asked.
    """
    folder = cache / NAME if store is None else store
    if folder.exists() and not folder.is_dir():
        raise ScenarioError(f"{where} {folder}: is a file, a store needs a folder; choose another.")
    return folder


def limit_bytes(limit_gib: float) -> int:
    """Raises `ScenarioError` for a limit that is not positive and finite."""
    if not 0 < limit_gib < math.inf:
        raise ScenarioError(f"--store-limit {limit_gib:g}: must be above 0 GiB and finite; {LIMIT_GIB:g} is usual.")
    return int(limit_gib * 2**30)
