"""Names of maps become SUMO configurations: those that ship with the package, and those the user has had fetched.

A fetched map is a folder in the user's data folder with a `map.json`, made whole or not at all.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from iovsim.errors import ScenarioError, near_match
from iovsim.files import sha256_of, whole_folder
from iovsim.mobility.catalogue import Entry, catalogue
from iovsim.mobility.download import fetch
from iovsim.mobility.map_record import NAME as RECORD
from iovsim.mobility.map_record import MapRecord, read_record, write_record
from iovsim.mobility.roadmap import read_map
from iovsim.mobility.sumo_config import files_read, inputs, read_config
from iovsim.paths import data_dir, shared_dir

POINTER = b"version https://git-lfs.github.com/"
"""How a stand-in begins that git keeps in place of a large file."""

Progress = Callable[[str, float], None]


def builtin_maps() -> dict[str, Path]:
    """Name to configuration of the maps that ship with the package."""
    return {p.parent.name: p for p in sorted(shared_dir("sumo_maps").glob("*/*.sumocfg"))}


def installed_maps() -> dict[str, Path]:
    """Name to folder of the maps that have been fetched."""
    return {p.parent.name: p.parent for p in sorted((data_dir() / "maps").glob(f"*/{RECORD}"))}


def map_config(name: str) -> Path:
    """The configuration of a built-in or fetched map.

    Raises `ScenarioError` for an unknown name, for a public map that is not installed, with the command that fetches
    it, and for one whose folder is damaged.
    """
    builtin = builtin_maps()
    if name in builtin:
        return builtin[name]
    installed = installed_maps()
    if name in installed:
        return installed[name] / read_record(installed[name]).sumocfg
    entry = catalogue().get(name)
    if entry is None:
        raise ScenarioError(f"unknown map {name!r}; {near_match(name, {*builtin, *installed, *catalogue()})}")
    by_hand = "" if entry.url else f", after unpacking what {entry.homepage} hands out to FOLDER,"
    raise ScenarioError(
        f"map {name!r} is public, but not installed; run{by_hand}: iovsim map get {name}"
        + ("" if entry.url else " --from FOLDER")
    )


def install(
    entry: Entry, folder: Path | None = None, *, overwrite: bool = False, progress: Progress = lambda step, done: None
) -> Path:
    """Fetch a public map, or copy it from a `folder` on this machine; returns its place.

    A file without a hash in the catalogue must have the one that was recorded when the map was installed before.
    Raises `ScenarioError` where the map is installed already and not to be replaced, where a file is missing, cannot be
    reached or is another one than due, `TraceError` where SUMO refuses the configuration.
    """
    place = data_dir() / "maps" / entry.name
    known: Mapping[str, str] = {}
    if (place / RECORD).is_file():
        if not overwrite:
            raise ScenarioError(f"{place}: map {entry.name!r} is installed already; replace it with --overwrite.")
        known = read_record(place).files
    if folder is None and not entry.url:
        raise ScenarioError(
            f"map {entry.name!r} cannot be fetched from here: get it from {entry.homepage}, unpack it, and run: iovsim "
            f"map get {entry.name} --from FOLDER"
        )
    files = entry.files or _files_of(entry, folder)
    with whole_folder(place) as part:
        found = {}
        for file, due in files.items():
            target = part / file
            target.parent.mkdir(parents=True, exist_ok=True)
            progress(file, 0.0)
            if folder is None:
                fetch(f"{entry.url}/{file}", target, partial(progress, file))
            else:
                _copy(folder / file, target)
            found[file] = _checked(target, file, due, known.get(file, ""), entry)
        progress("checking", 0.0)
        read_map(inputs(part / entry.sumocfg))
        write_record(part, MapRecord(entry.sumocfg, entry.title, entry.source, entry.licence, found))
    return place


def _files_of(entry: Entry, folder: Path | None) -> dict[str, str]:
    """Of an entry that lists no files, those that its configuration in `folder` reads."""
    assert folder is not None
    config = read_config(folder / entry.sumocfg)
    base = folder.resolve()
    files = [path.resolve() for path in files_read(config)]
    outside = [path for path in files if not path.is_relative_to(base)]
    if outside:
        raise ScenarioError(f"{folder}: its configuration reads {outside[0]}, which lies elsewhere; name its folder.")
    return {path.relative_to(base).as_posix(): "" for path in files}


def _copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise ScenarioError(f"{source}: no such file; --from must name a folder with all files of the map.")
    shutil.copyfile(source, target)


def _checked(path: Path, file: str, due: str, recorded: str, entry: Entry) -> str:
    """The file's SHA-256, if it may be used."""
    with path.open("rb") as opened:
        if opened.read(len(POINTER)) == POINTER:
            raise ScenarioError(
                f"map {entry.name!r}: {file} is only a pointer of git-lfs; clone {entry.homepage} with it, and run: "
                f"iovsim map get {entry.name} --from FOLDER"
            )
    found = sha256_of(path)
    if due and found != due:
        raise ScenarioError(
            f"map {entry.name!r}: {file} has SHA-256 {found}, but {due} is due; it is damaged, or not that "
            f"of {entry.source}."
        )
    if recorded and found != recorded:
        raise ScenarioError(
            f"map {entry.name!r}: {file} has SHA-256 {found}, but had {recorded} when it was first installed; if "
            f"that is as it should be, remove {data_dir() / 'maps' / entry.name} first."
        )
    return found
