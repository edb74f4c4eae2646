"""Writes a small file whole or not at all, and turns the operating system's refusals into `ResultsError`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iovsim.errors import ResultsError


@contextmanager
def explained(path: Path, doing: str) -> Iterator[None]:
    """Turns an `OSError` inside the block into a `ResultsError` that names `path`, what was tried, and the reason."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ResultsError(f"{path}: cannot {doing}: {reason}. Free space or choose a writable place.") from error


def write_whole(path: Path, content: bytes) -> None:
    """Replaces `path` by `content` in one step: under a temporary name first, then `os.replace`.

    Raises `ResultsError` where the place cannot be written; the old file, if any, is then untouched.
    """
    part = path.with_name(f".{path.name}.part")
    with explained(path, "write"):
        try:
            part.write_bytes(content)
            os.replace(part, path)  # noqa: PTH105 (the rule of the project names os.replace: atomic on every platform)
        except OSError:
            part.unlink(missing_ok=True)
            raise
