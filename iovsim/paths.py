"""Where files lie: what ships with the package, beside it or inside it, and what is kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

from iovsim.errors import ScenarioError

PACKAGE = Path(__file__).parent


def shared_dir(name: str) -> Path:
    """The folder `scenarios` or `sumo_maps`, from an installed wheel or from a checkout.

    Raises `ScenarioError` where neither holds it (a damaged installation).
    """
    for base in (PACKAGE, PACKAGE.parent):
        if (base / name).is_dir():
            return base / name
    raise ScenarioError(f"{PACKAGE}: the folder {name!r} that ships with iovsim is missing; reinstall the package.")


def usable_cache(asked: Path | None = None, where: str = "--cache") -> Path:
    """The folder for recorded traffic, made if need be; None: the default one.

    Raises `ScenarioError`, in which `where` names who asked, where it cannot be made.
    """
    folder = asked or cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ScenarioError(f"{where} {folder}: cannot be made or written: {error.strerror}; choose another.") from None
    return folder


def cache_dir() -> Path:
    """Where recorded traces and built worlds are kept: `$IOVSIM_CACHE`, else the user's cache folder."""
    named = os.environ.get("IOVSIM_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "iovsim"


def data_dir() -> Path:
    """Where what the user has fetched by name is kept: `$IOVSIM_DATA`, else the user's data folder."""
    named = os.environ.get("IOVSIM_DATA")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "iovsim"
