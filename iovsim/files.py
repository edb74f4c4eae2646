"""What is being written becomes a file or a folder that appears whole or not at all, whenever the process is killed."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock

from iovsim.errors import ResultsError
from iovsim.locks import taken

PART = ".part-"
"""Begins the names of folders in which something is being written."""


@contextmanager
def explained(path: Path, doing: str) -> Iterator[None]:
    """Turns an `OSError` inside the block into a `ResultsError` that names `path`, what was tried, and the reason."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ResultsError(f"{path}: cannot {doing}: {reason}. Free space or choose a writable place.") from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a path of the same suffix to write to; what lies there at the end replaces `path` in one step.

    Raises `ResultsError` where the place cannot be written; the old file, if any, is then untouched.
    """
    clear_leftovers(path.parent)
    with explained(path, "write"), scratch(path.parent) as folder:
        part = folder / f"part-{path.name}"  # who looks for files of that name must not find it
        yield part
        flush(part)
        os.replace(part, path)  # noqa: PTH105 (the rule of the project names os.replace: atomic on every platform)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Gives an empty folder to fill; at the end it takes the place of `path`, whose old content goes.

    Raises `ResultsError` where the place cannot be written; the old folder, if any, is then untouched.
    """
    clear_leftovers(path.parent)
    with explained(path, "write"), scratch(path.parent) as folder:
        part = folder / path.name
        part.mkdir()
        yield part
        for file in part.rglob("*"):
            if file.is_file():
                flush(file)
        if path.exists():
            path.rename(folder / "old")  # no step replaces a folder that is not empty: for a moment there is none
        part.rename(path)


def write_whole(path: Path, content: bytes) -> None:
    """Replaces `path` by `content` in one step. Raises `ResultsError` where the place cannot be written."""
    with whole_file(path) as part:
        part.write_bytes(content)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Has the operating system bring a file to the disk: a name must not outlast its content when power fails."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """A new folder in `parent`, which is made if need be, for what this process is writing; it goes at the end.

    Raises `OSError` where `parent` cannot be written.
    """
    folder, lock = _new_folder(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def clear_leftovers(parent: Path) -> None:
    """Removes what processes that are gone were writing in `parent`, and nothing that one is still writing."""
    for folder in parent.glob(f"{PART}*"):
        with suppress(OSError):
            lock = taken(folder)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                lock.release()


def _new_folder(parent: Path) -> tuple[Path, FileLock]:
    while True:
        folder = parent / f"{PART}{uuid4().hex}"
        folder.mkdir(parents=True)
        try:
            lock = taken(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        if lock is not None:  # else somebody took it for a leftover before it had its lock
            return folder, lock
