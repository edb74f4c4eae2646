"""A file that may be compressed becomes a stream of bytes; whatever is wrong with it becomes one clear error."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from iovsim.errors import TraceError

HEAD_BYTES = 65_536


@contextmanager
def unpacked(path: Path) -> Iterator[BinaryIO]:
    """The content of a file, unpacked as it is read where it is a gzip.

    Raises `TraceError` for a file that is missing, empty or unreadable, and for a gzip that is damaged or cut short.
    """
    try:
        with path.open("rb") as raw:
            magic = raw.read(2)
            if not magic:
                raise TraceError(f"{path}: an empty file; name one that holds trajectories.")
            raw.seek(0)
            if magic != b"\x1f\x8b":
                yield raw
                return
            with gzip.GzipFile(fileobj=raw) as file:
                yield cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, file), 1 << 20))
    except FileNotFoundError:
        raise TraceError(f"{path}: no such file; name an existing file of trajectories.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise TraceError(f"{path}: damaged or cut short gzip file ({error}); fetch or pack it again.") from None
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror or error}.") from None


def head(path: Path) -> str:
    """The first characters of a file, unpacked. Raises `TraceError` as `unpacked` does."""
    with unpacked(path) as file:
        return file.read(HEAD_BYTES).decode("utf-8-sig", errors="replace")


def unpacked_bytes(path: Path, limit_bytes: int, advice: str) -> bytes:
    """All of a file's content. Raises `TraceError` with `advice` where it is larger than `limit_bytes`."""
    with unpacked(path) as file:
        content = file.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise TraceError(f"{path}: holds more than {limit_bytes // 2**20} MiB, too much to read at once; {advice}")
    return content
