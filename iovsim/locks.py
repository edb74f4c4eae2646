"""Turns a folder into one that a single process at a time writes, by a lock that ends with the process in any case."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

LOCK = ".lock"
"""The file in a folder by which its lock is known. Its being there says nothing: only the operating system knows."""


def taken(folder: Path) -> FileLock | None:
    """The lock of `folder`, now held; None where another process holds it, or is just removing the folder.

    Raises `OSError` where the folder cannot be written.
    """
    file = folder / LOCK
    lock = FileLock(file)
    try:
        lock.acquire(blocking=False)
    except (Timeout, FileNotFoundError, FileExistsError):
        return None
    if file.exists():
        return lock
    lock.release()  # of a file that its last holder was just removing: it guards nothing
    return None


def let_go(lock: FileLock) -> None:
    """Gives the lock back; its file goes, if it is still there."""
    with suppress(OSError):
        Path(lock.lock_file).unlink(missing_ok=True)  # before, since afterwards it may be somebody else's
    lock.release()


def is_taken(folder: Path) -> bool:
    """Whether a process holds the lock of `folder` at this moment."""
    if not (folder / LOCK).exists():
        return False
    try:
        lock = taken(folder)
    except OSError:  # not ours to write: then whoever holds it must not be disturbed either
        return False
    if lock is None:
        return True
    lock.release()
    return False
