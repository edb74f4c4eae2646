"""Bytes under keys become files in a folder that stays under a limit, whoever else reads, writes and clears it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from iovsim.files import clear_leftovers, scratch

LOOK_EVERY = 0.05
"""Part of the limit that a process writes before it looks at the whole store again."""

FILLED = 0.9
"""Part of the limit that a look leaves: room for what several processes write before they look again."""

AHEAD_S = 60.0
"""A time of last use further in the future than this was told by a clock that was wrong."""

FOLDER = re.compile("[0-9a-f]{2}")
FILE = re.compile(r"[0-9a-f]{64}\.safetensors")
"""Names of the store's own. What is being written lies outside these folders (`iovsim.files`)."""


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """Where results are kept, and how many bytes of them."""

    folder: Path
    limit_bytes: int


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a store. `used_s` is when it was last written or read, in seconds of the epoch."""

    path: Path
    size_bytes: int
    used_s: float


def stored_files(folder: Path) -> list[StoredFile]:
    """The store's own files, whatever else lies in the folder; those that vanish meanwhile are left out."""
    found = []
    for part in _listed(folder, FOLDER):
        for file in _listed(Path(part), FILE):
            with suppress(OSError):
                facts = file.stat(follow_symlinks=False)
                found.append(StoredFile(Path(file), facts.st_size, facts.st_mtime))
    return found


def oldest_first(files: Iterable[StoredFile], now_s: float) -> list[StoredFile]:
    """By their last use; before all, those of a wrong clock, which would otherwise outlive everything."""
    return sorted(files, key=lambda file: (file.used_s <= now_s + AHEAD_S, file.used_s))


def remove(files: Iterable[StoredFile], least_bytes: float) -> int:
    """Removes files, in their order, until so many bytes are gone, by whomever; returns how many."""
    gone = 0
    for file in files:
        if gone >= least_bytes:
            break
        with suppress(OSError):
            file.path.unlink(missing_ok=True)
            gone += file.size_bytes
    return gone


class StoreFolder:
    """A store on the disk. No method raises an `OSError`: what cannot be read is not there.

    `problem` says why nothing is written any more; it is empty where all is well.
    """

    def __init__(self, spec: StoreSpec) -> None:
        self._folder = spec.folder
        self._limit_bytes = spec.limit_bytes
        self._unseen_bytes = spec.limit_bytes  # written since the last look; the first write looks
        self.problem = ""
        clear_leftovers(spec.folder)

    def read(self, key: str) -> bytes | None:
        """What was written under `key`, which counts as used now; None where there is nothing."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        with suppress(OSError):
            os.utime(path)
        return content

    def write(self, key: str, content: bytes) -> int:
        """Keeps `content` under `key`, whole or not at all; returns the bytes written."""
        if self.problem:
            return 0
        if len(content) > FILLED * self._limit_bytes:
            self._give_up(f"one result takes {len(content)} bytes of at most {self._limit_bytes}; raise --store-limit")
            return 0
        try:
            self._make_room(len(content))
            self._write_whole(self._path(key), content)
        except FileNotFoundError:  # somebody removes the folder at this very moment
            return 0
        except OSError as error:
            self._give_up(f"{error.strerror or error}; free space, or choose another with --store")
            return 0
        return len(content)

    def remove(self, key: str) -> None:
        """Removes what `key` holds, for it is damaged."""
        with suppress(OSError):
            self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.safetensors"

    def _make_room(self, needed_bytes: int) -> None:
        """Looks at the whole store if that is due, and removes what was used longest ago."""
        self._unseen_bytes += needed_bytes
        if self._unseen_bytes <= LOOK_EVERY * self._limit_bytes:
            return
        self._unseen_bytes = needed_bytes
        files = stored_files(self._folder)
        over_bytes = sum(file.size_bytes for file in files) + needed_bytes - FILLED * self._limit_bytes
        remove(oldest_first(files, time.time()), over_bytes)

    def _write_whole(self, path: Path, content: bytes) -> None:
        with scratch(self._folder) as folder:
            part = folder / path.name
            part.write_bytes(content)  # not brought to the disk at once: an entry knows whether it is whole
            path.parent.mkdir(exist_ok=True)
            os.replace(part, path)  # noqa: PTH105 (the rule of the project names os.replace: atomic on every platform)

    def _give_up(self, why: str) -> None:
        self.problem = f"training store {self._folder}: nothing more is kept in it: {why}."


def _listed(folder: Path, names: re.Pattern[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if names.fullmatch(entry.name)]
    except OSError:
        return []
