"""A process in a mount namespace of its own tries a run on disks that refuse; how each attempt ended becomes JSON."""

from __future__ import annotations

import io
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from iovsim.cli import main
from iovsim.results import Stage
from iovsim.results.manifest import NAME

CANNOT_MOUNT = 99

PLACES = {
    "little room for results": ("size=200k", "runs"),
    "hardly any room for results": ("size=40k", "runs"),
    "results may only be read": ("ro", "runs"),
    "little room for traffic": ("size=16k", "cache/traces"),
    "little room for contacts": ("size=20k", "cache/cities"),
    "the cache may only be read": ("ro", "cache/traces"),
}
BLOCKED = "files may not grow"


def attempt() -> dict[str, object]:
    """One run by the command; what it said, its exit status, and what then lies there."""
    sys.argv = ["iovsim", "run", "world.toml", "-p", "random", "--no-store", "--cache", "cache"]
    said, status = io.StringIO(), 0
    with redirect_stdout(io.StringIO()), redirect_stderr(said):
        try:
            main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0
    manifests = [json.loads(path.read_text()) for path in Path("runs").rglob(NAME)]
    return {
        "said": said.getvalue(),
        "status": status,
        "runs": [manifest["status"] for manifest in manifests],
        "tables": [path.name for path in Path("runs").rglob("*.parquet")],
        "left": [str(path) for path in Path().rglob(".*")],
        "rows": [table["sha256"] for m in manifests for _, table in sorted(m["tables"].items())],
    }


@contextmanager
def mounted(options: str, at: str) -> Iterator[None]:
    """A small disk at a place."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", at], check=False).returncode:
        sys.exit(CANNOT_MOUNT)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", at], check=True)  # an error on its way out may keep a file open


@contextmanager
def no_longer_than(size_bytes: int) -> Iterator[None]:
    """No file may become longer."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def fresh() -> None:
    """Everything is to be done again but the drawing of the data."""
    for name in ("runs", "cache/traces", "cache/cities"):
        shutil.rmtree(name, ignore_errors=True)
        Path(name).mkdir(parents=True)


def attempts() -> Iterator[tuple[str, dict[str, object]]]:
    """Each by its name; the first and the last find nothing in their way."""
    fresh()
    yield Stage.COMPLETE, attempt()
    for name, (options, at) in PLACES.items():
        fresh()
        with mounted(options, at):
            yield name, attempt()
    fresh()
    with no_longer_than(10_000):
        yield BLOCKED, attempt()
    yield "again", attempt()


if __name__ == "__main__":
    print(json.dumps(dict(attempts())))
