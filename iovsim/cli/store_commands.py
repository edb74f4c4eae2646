"""`store info` and `store clear`: a store of finished training becomes a few lines about it, or an empty one."""

from __future__ import annotations

import math
import time
from pathlib import Path

import typer
from rich.console import Console

from iovsim.cli.run_commands import CacheOption
from iovsim.cli.store_options import LimitOption, StoreOption
from iovsim.errors import ResultsError
from iovsim.files import clear_leftovers
from iovsim.learning.store.folder import StoredFile, oldest_first, remove, stored_files
from iovsim.learning.store.place import LIMIT_GIB, folder_of, limit_bytes
from iovsim.paths import cache_dir

MIB = 2**20
DAY_S = 86_400.0


def register(app: typer.Typer) -> None:
    """Adds this module's group of commands."""
    group = typer.Typer(no_args_is_help=True, help="Look at, or empty, the store of finished training.")
    group.command("info")(info)
    group.command("clear")(clear)
    app.add_typer(group, name="store")


def info(store: StoreOption = None, limit: LimitOption = LIMIT_GIB, cache: CacheOption = None) -> None:
    """Show a store's entries, their bytes, when the oldest was last used, and the limit that runs keep by default."""
    most_bytes = limit_bytes(limit)
    folder, files = _files(store, cache)
    size_bytes = sum(file.size_bytes for file in files)
    now_s = time.time()
    oldest = oldest_first(files, now_s)[:1]
    days = [max(now_s - file.used_s, 0.0) / DAY_S for file in oldest]
    for name, text in (
        ("store", str(folder)),
        ("entries", str(len(files))),
        ("bytes", f"{size_bytes} ({size_bytes / MIB:.1f} MiB)"),
        ("oldest", f"last used {days[0]:.1f} days ago" if days else "none"),
        ("limit", f"{most_bytes} ({most_bytes / MIB:.1f} MiB)"),
    ):
        Console(soft_wrap=True).print(f"{name}: {text}", highlight=False, markup=False)


def clear(store: StoreOption = None, cache: CacheOption = None) -> None:
    """Remove everything that a store holds, and nothing else that lies in its folder."""
    folder, files = _files(store, cache)
    remove(files, math.inf)
    clear_leftovers(folder)
    left = sum(file.path.exists() for file in files)
    if left:
        raise ResultsError(f"{folder}: {left} of its {len(files)} files cannot be removed; check its permissions.")
    size_bytes = sum(file.size_bytes for file in files)
    Console(soft_wrap=True).print(
        f"removed {len(files)} entries, {size_bytes / MIB:.1f} MiB: {folder}", highlight=False, markup=False
    )


def _files(store: Path | None, cache: Path | None) -> tuple[Path, list[StoredFile]]:
    """The store's folder and what is in it. Raises `ResultsError` for a folder that is named and not there."""
    folder = folder_of(store, cache or cache_dir())
    if store is not None and not folder.is_dir():
        raise ResultsError(f"--store {folder}: no such folder; name one that 'iovsim run --store' has written.")
    return folder, stored_files(folder)
