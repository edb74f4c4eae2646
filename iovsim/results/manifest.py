"""Describes a run in `manifest.json`: what was run, with what, how far it came, and what its tables hold."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from iovsim.domain import Precision, TrainerKind, TrainerSpec
from iovsim.errors import ResultsError
from iovsim.files import write_whole
from iovsim.results.recorder import TableFile

FORMAT = 3
"""Version of the run folder's layout and table schema; raised whenever a reader of the old one would be misled."""

NAME = "manifest.json"
_VERSIONED = (
    "iovsim",
    "torch",
    "numpy",
    "peft",
    "transformers",
    "tokenizers",
    "safetensors",
    "pillow",
    "eclipse-sumo",
    "pyarrow",
)


def now() -> str:
    """The wall clock in UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def installed_versions() -> dict[str, str]:
    """Versions of Python and of the packages on which a run's numbers depend; "absent" where one is not installed."""
    return {"python": platform.python_version()} | {package: _version(package) for package in _VERSIONED}


@cache  # looking through the installed packages takes longer than all the rest of a manifest
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


class RunStatus(StrEnum):
    """How far a run came. A run that was killed outright stays `running`."""

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """The policy of a run: its name (that of its file), its registered kind, parameters and forecast."""

    name: str
    kind: str
    forecast: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Charge:
    """One task's two models: the one that was really trained, and the one whose time and energy were charged."""

    trained: str
    charged: str


@dataclass(frozen=True, slots=True)
class StoreRecord:
    """What the training store gave a run. It changes no table: it only says what was not computed again."""

    counts: Mapping[str, int]  # such as training_hits, training_misses, evaluation_hits, read_bytes
    problem: str  # why nothing more was kept in it; empty where all was well


@dataclass(frozen=True, slots=True)
class Input:
    """A file or folder that a run reads and that did not come with iovsim. `sha256` is empty where it is gone."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a run came from: what it takes, beside the specification, to run it again from anywhere. Absolute paths."""

    scenario_folder: str  # at which the scenario's relative paths start
    command_folder: str  # in which the command was given: the user's own modules are looked for there
    inputs: Mapping[str, Input]  # by dotted key, or "module" and its name
    store: str | None  # folder of the training store; None: everything is computed
    store_limit_bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `manifest.json` holds. `scenario` is the whole resolved world file, as JSON would hold it."""

    world: str
    world_hash: str
    seed: int
    policy: PolicyRecord
    scenario: Mapping[str, Any]
    charge_as: Mapping[str, Charge]  # by task
    traffic: Mapping[str, int] = field(default_factory=dict)  # what was counted when it was recorded or imported
    training: TrainerSpec = field(default_factory=TrainerSpec)
    origin: Origin | None = None  # None: the run came from no command, or was written before this was kept
    store: StoreRecord | None = None  # None: everything was computed
    versions: Mapping[str, str] = field(default_factory=installed_versions)
    status: RunStatus = RunStatus.RUNNING
    started: str = field(default_factory=now)  # wall clock, ISO 8601, UTC
    finished: str | None = None
    wall_s: float | None = None
    error: str | None = None  # the message, if the run failed
    tables: Mapping[str, TableFile] = field(default_factory=dict)  # by name; of a complete run
    format: int = FORMAT

    def to_json(self) -> str:
        """The text of the file; `TypeError` or `ValueError` where the scenario or a parameter is not plain JSON."""
        return json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`; `KeyError`, `TypeError` or `ValueError` where something is missing or strange."""
        known = {"store": None, "origin": None, "traffic": {}} | dict(
            content
        )  # runs of before there were such say nothing of them
        plain = {name: known[name] for name in cls.__dataclass_fields__}
        for name, kind in (("world", str), ("world_hash", str), ("seed", int), ("scenario", dict)):
            if not isinstance(plain[name], kind):
                raise TypeError(f"{name} is {plain[name]!r}, not of type {kind.__name__}")
        return cls(
            **plain
            | {
                "policy": PolicyRecord(**plain["policy"]),
                "training": TrainerSpec(
                    TrainerKind(plain["training"]["kind"]),
                    Precision(plain["training"]["precision"]),
                    plain["training"]["device"],
                ),
                "origin": None if plain["origin"] is None else _origin(plain["origin"]),
                "store": None if plain["store"] is None else StoreRecord(**plain["store"]),
                "charge_as": {task: Charge(**charge) for task, charge in plain["charge_as"].items()},
                "tables": {name: TableFile(**entry) for name, entry in plain["tables"].items()},
                "status": RunStatus(plain["status"]),
            }
        )


def _origin(plain: Mapping[str, Any]) -> Origin:
    inputs = {key: Input(**entry) for key, entry in plain["inputs"].items()}
    return Origin(**{**plain, "inputs": inputs})


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes `manifest.json` in one step. Raises `ResultsError` where the folder cannot be written."""
    write_whole(folder / NAME, manifest.to_json().encode())


def read_manifest(folder: Path) -> Manifest:
    """Reads `manifest.json`. Raises `ResultsError` where it is missing, damaged, or of another format version."""
    path = folder / NAME
    content = read_content(folder)
    if content["format"] != FORMAT:
        raise ResultsError(
            f"{path}: format version {content['format']!r}, this iovsim reads {FORMAT}; run again, or read it with the "
            "version of iovsim that wrote it."
        )
    try:
        return Manifest.from_json(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResultsError(f"{path}: damaged manifest ({error!r}); restore the file or run again.") from error


def read_content(folder: Path) -> dict[str, Any]:
    """What `manifest.json` holds, of whatever format version. Raises `ResultsError` where it is no such file."""
    path = folder / NAME
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ResultsError(
            f"{folder}: not a run folder (no {NAME}); name a folder that 'iovsim run' has written."
        ) from None
    except OSError as error:
        raise ResultsError(f"{path}: cannot read: {error.strerror}; check the path and its permissions.") from error
    except ValueError as error:
        raise ResultsError(f"{path}: not valid JSON ({error}); restore the file or run again.") from error
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        raise ResultsError(f"{path}: not a manifest (no format version in it); restore the file or run again.")
    return content
