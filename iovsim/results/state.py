"""A folder and the run that is asked for become what the folder holds of it: nothing, all, a part, something else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from iovsim.errors import ResultsError
from iovsim.files import PART
from iovsim.locks import LOCK
from iovsim.results.manifest import FORMAT, NAME, Manifest, RunStatus, read_content, read_manifest
from iovsim.results.recorder import TABLES_DIR, table_path
from iovsim.results.specification import differences, named

ADAPTERS = "adapters"
FIGURES = "figures"
TRAFFIC = "traffic.parquet"

OURS = frozenset({NAME, LOCK, TABLES_DIR, ADAPTERS, FIGURES, TRAFFIC})
"""What a run writes into its folder, beside what it is just writing."""


class Stage(StrEnum):
    """How far the run that is asked for has come in a folder."""

    ABSENT = "absent"
    COMPLETE = "complete"
    UNFINISHED = "unfinished"  # or being written at this moment: its lock tells (`iovsim.locks`)
    OTHER = "other"  # another run, or something else


@dataclass(frozen=True, slots=True)
class RunState:
    """What a folder holds of a run. `reason` says why it is unfinished, or what else is there."""

    stage: Stage
    reason: str = ""
    is_run: bool = True  # what is there may be replaced by a run; false: it is somebody else's
    differing: tuple[str, ...] = ()  # what another run specifies otherwise


def state_in(folder: Path, asked: Manifest) -> RunState:
    """What `folder` holds of the run that `asked` describes; only reads. An empty world hash there is not compared."""
    if not folder.exists():
        return RunState(Stage.ABSENT)
    if not folder.is_dir():
        return RunState(Stage.OTHER, "is a file, a run needs a folder", is_run=False)
    entries = {entry.name for entry in folder.iterdir()}
    if not entries - {LOCK}:
        return RunState(Stage.ABSENT)
    if NAME not in entries:
        return RunState(Stage.OTHER, f"holds files but no run ({NAME} is missing)", is_run=False)
    try:
        content = read_content(folder)
    except ResultsError as error:
        if all(name in OURS or name.startswith(PART) for name in entries):
            return RunState(Stage.UNFINISHED, "its manifest is damaged")
        return RunState(Stage.OTHER, f"holds files that are no run ({error})", is_run=False)
    if "world_hash" not in content:
        return RunState(Stage.OTHER, f"holds a {NAME} that is not the manifest of a run", is_run=False)
    if content["format"] != FORMAT:
        return RunState(Stage.OTHER, f"holds a run of format version {content['format']}, this iovsim writes {FORMAT}")
    try:
        found = read_manifest(folder)
    except ResultsError as error:
        return RunState(Stage.OTHER, f"holds a damaged run ({error})")
    return _compared(folder, found, asked)


def _compared(folder: Path, found: Manifest, asked: Manifest) -> RunState:
    differing = tuple(differences(found, asked))
    if differing:
        reason = f"holds another run (status: {found.status}): {named(differing)}"
        return RunState(Stage.OTHER, reason, differing=differing)
    if asked.world_hash and found.world_hash != asked.world_hash:
        return RunState(Stage.OTHER, _other_world(found, asked))
    if found.status is not RunStatus.COMPLETE:
        return RunState(Stage.UNFINISHED, f"status: {found.status}")
    gone = sorted(name for name in found.tables if not table_path(folder, name).is_file())
    if gone:
        return RunState(Stage.UNFINISHED, f"its tables {', '.join(gone)} are gone")
    return RunState(Stage.COMPLETE)


def _other_world(found: Manifest, asked: Manifest) -> str:
    """Equal specifications, another world: the program is another. Runs of both could not be compared."""
    updated = [
        f"{package} {found.versions.get(package, 'absent')} -> {asked.versions.get(package, 'absent')}"
        for package in sorted(found.versions.keys() | asked.versions.keys())
        if found.versions.get(package) != asked.versions.get(package)
    ]
    return (
        f"holds a run (status: {found.status}) of the same specification in another world ({found.world_hash[:12]}, "
        f"now {asked.world_hash[:12]}), because the program has changed ({', '.join(updated) or 'equal versions'})"
    )
