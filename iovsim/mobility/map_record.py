"""`map.json`: what lies in a map's folder and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from iovsim.errors import ScenarioError

NAME = "map.json"


@dataclass(frozen=True, slots=True)
class MapRecord:
    """`sumocfg` and the keys of `files` are relative to the folder; a file's value is the SHA-256 of its bytes.

    `built` holds, for a map made here, the options, commands and versions that make it again.
    """

    sumocfg: str
    title: str
    source: str
    licence: str
    files: Mapping[str, str]
    built: Mapping[str, Any] = field(default_factory=dict)


def write_record(folder: Path, record: MapRecord) -> None:
    text = json.dumps(asdict(record), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / NAME).write_text(text, encoding="utf-8")


def read_record(folder: Path) -> MapRecord:
    """Raises `ScenarioError` for a folder without a sound `map.json`."""
    path = folder / NAME
    try:
        return MapRecord(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ScenarioError(f"{folder}: no {NAME} in it; it is no folder of 'iovsim map get' or 'build'.") from None
    except (OSError, ValueError, TypeError) as error:
        raise ScenarioError(f"{path}: damaged ({error}); fetch or build the map again.") from None
