"""Dotted keys with values become a world or policy file's tables, changed: `tasks.signs.round_energy_j`."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from iovsim.errors import ScenarioError, near_match


def changed(content: dict[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    """A copy of the tables `content` in which each dotted key of `changes` has its new value.

    Lists of tables that have names are addressed by name: `tasks.signs.round_energy_j`, `rsus.sites.harbour.range_m`;
    a name that holds a dot is quoted as in TOML, `tasks."stop.signs".ranks`. Tables that are not there are made, as
    they would have their defaults; whether the keys in them are known is for the validation that follows. Changes apply
    in the order given.

    Raises `ScenarioError`, with the key and the place in it, for a name that no table of a list has, for a key that
    goes on below something that is no table, and for a key that TOML cannot read.
    """
    result = copy.deepcopy(content)
    for key, value in changes.items():
        *before, last = key_parts(key)
        holder: Any = result
        for depth, part in enumerate(before):
            holder = _entered(holder, part, key, ".".join(before[:depth]))
        if not isinstance(holder, dict):
            raise ScenarioError(_not_a_table(key, ".".join(before), holder))
        holder[last] = _plain(value)
    return result


def parse_changes(texts: Sequence[str], where: str = "--set") -> dict[str, Any]:
    """`KEY=VALUE` texts as changes; VALUE is TOML, as in a world file. Raises `ScenarioError`, naming `where`."""
    changes: dict[str, Any] = {}
    for text in texts:
        key, found, value = (part.strip() for part in text.partition("="))
        example = "write KEY=VALUE with a TOML value, for example time.duration_s=60.0 or name='\"mine\"'"
        if not found or not key:
            raise ScenarioError(f"{where} {text!r}: {example}.")
        if key in changes:
            raise ScenarioError(f"{where} {text!r}: {key!r} is changed twice; give each key once.")
        try:
            table = tomllib.loads(f"value = {value}")
        except tomllib.TOMLDecodeError:
            raise ScenarioError(f"{where} {text!r}: {value!r} is no TOML value; {example}.") from None
        if set(table) != {"value"}:
            raise ScenarioError(f"{where} {text!r}: holds more than one value; {example}.")
        changes[key] = table["value"]
    return changes


def key_parts(key: str) -> list[str]:
    """The parts of a dotted key, read as TOML reads them. Raises `ScenarioError` where it cannot be read."""
    parts: list[str] = []
    try:
        table: Any = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        table = {}
    while isinstance(table, dict) and len(table) == 1:
        (part,) = table
        parts.append(part)
        table = table[part]
    if table != 0:
        raise ScenarioError(
            f"change {key!r}: not a dotted key; write for example time.duration_s or tasks.signs.round_energy_j."
        )
    return parts


def with_changes(where: str, changes: Mapping[str, object]) -> str:
    """What complaints about changed tables begin with: they may stand in no file."""
    return f"{where} with {', '.join(changes)} changed" if changes else where


def _entered(holder: Any, part: str, key: str, place: str) -> Any:
    """What stands at `part` of a table, made if need be, or of a list of tables with names."""
    if isinstance(holder, dict):
        return holder.setdefault(part, {})
    if not _has_names(holder):
        raise ScenarioError(_not_a_table(key, place, holder))
    named = {table["name"]: table for table in holder}
    if part not in named:
        raise ScenarioError(f"change {key!r}: '{place}' has none that is named {part!r}; {near_match(part, named)}")
    return named[part]


def _has_names(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(t, dict) and "name" in t for t in value)


def _not_a_table(key: str, place: str, found: object) -> str:
    if _has_names(found):
        return f"change {key!r}: stands for a whole table of '{place}'; name the key in it that is to change."
    return f"change {key!r}: '{place}' is {found!r}, no table that could hold keys; change '{place}' as a whole."


def _plain(value: object) -> Any:
    """The value as TOML would have given it: numpy's numbers become Python's, tuples lists."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    return value
