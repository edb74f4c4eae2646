"""The place that is asked for a run becomes a folder or a URL, and is filled whole, or is seen not to be a run."""

from __future__ import annotations

import shutil
from pathlib import Path

import fsspec

from iovsim.errors import ResultsError
from iovsim.files import PART, whole_folder
from iovsim.results.manifest import NAME
from iovsim.results.state import OURS
from iovsim.studies.parcel import Parcel, contents, unpack

OF_THE_PROCESS = "memory"
"""The protocol of files that nobody but the process that wrote them can read."""


def url_of(out: Path) -> str | None:
    """`s3://bucket/runs`, of whose slashes a path keeps one; None for a folder."""
    protocol, found, rest = out.as_posix().partition(":/")
    if not found or protocol not in fsspec.available_protocols():
        return None
    return f"{protocol}:///{rest}" if protocol in ("file", "local") else f"{protocol}://{rest}"


def reached_from_everywhere(out: Path) -> bool:
    """Whether whoever made the run can put it there. A folder is the driver's, though others may see it too."""
    url = url_of(out)
    return url is not None and not url.startswith(OF_THE_PROCESS)


def check_place(out: Path) -> None:
    """Raises `ResultsError` for a URL of a kind that this installation cannot write."""
    url = url_of(out)
    if url is not None:
        _file_system(url)


def put(run: Parcel, out: Path) -> None:
    """Puts a finished run in place. Raises `ResultsError` where that cannot be written.

    A folder appears whole; files in an old one that are no part of a run stay. Behind a URL, where nothing can be
    renamed, the manifest comes last, so that a run that was cut short is none.
    """
    url = url_of(out)
    if url is not None:
        _put_behind(run, url)
        return
    with whole_folder(out) as folder:
        unpack(run, folder)
        for entry in out.iterdir() if out.is_dir() else ():
            if entry.name not in OURS and not entry.name.startswith(PART):
                (shutil.copytree if entry.is_dir() else shutil.copy2)(entry, folder / entry.name)


def _put_behind(run: Parcel, url: str) -> None:
    files, root = _file_system(url)
    try:
        for name in (NAME, *sorted(OURS - {NAME})):  # of an old run; its manifest first
            if files.exists(f"{root}/{name}"):
                files.rm(f"{root}/{name}", recursive=True)
        for name, content in sorted(contents(run), key=lambda file: file[0] == NAME):
            files.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
            files.pipe_file(f"{root}/{name}", bytes(content))
    except ResultsError:
        raise
    except Exception as error:  # each protocol has errors of its own, many of them no OSError
        raise ResultsError(
            f"{url}: cannot be written ({type(error).__name__}: {error}); check the place and what it takes to write "
            "there, on the nodes too, then give the same command again."
        ) from error


def _file_system(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    try:
        files, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError, OSError) as error:
        raise ResultsError(f"{url}: cannot be reached ({error}); install what it needs, or choose a folder.") from error
    return files, root.rstrip("/")
