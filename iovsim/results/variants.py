"""Turns runs whose scenarios differ in a few keys into groups that do not, each with its keys and their values."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from numbers import Real

from iovsim.errors import ResultsError, near_match
from iovsim.results.run import Run
from iovsim.results.specification import specified

Variant = Mapping[str, object]
"""Dotted keys, as in a study file, and their values."""

_OF_POLICIES = ("policies.", "module ")
"""Begin the keys in which policies differ by nature: they count where runs of one policy differ among themselves."""
_NO_WORLD = ("seed", "policies.name", "training.kind", "training.device")


LONGEST = 100
"""Letters of a folder's name; file systems allow 255 bytes."""


def variants(runs: Sequence[Run]) -> list[tuple[Variant, list[Run]]]:
    """The runs by what they specify otherwise than others, in ascending order of values.

    Keys are those of the scenario in which any two runs differ, those of a policy file in which two runs of that policy
    differ, and the precision of training. Seeds, titles and how fast a run was made are none. Runs that all specify the
    same are one group without keys.
    """
    specifications = [_comparable(run) for run in runs]
    by_policy: dict[str, list[Mapping[str, str]]] = {}
    for run, specification in zip(runs, specifications, strict=True):
        by_policy.setdefault(run.manifest.policy.name, []).append(specification)
    keys = sorted(
        {key for key in _varying(specifications) if not key.startswith(_OF_POLICIES)}
        | {key for mine in by_policy.values() for key in _varying(mine) if key.startswith(_OF_POLICIES)}
    )
    groups: dict[tuple[str | None, ...], list[Run]] = {}
    for run, specification in zip(runs, specifications, strict=True):
        groups.setdefault(tuple(specification.get(key) for key in keys), []).append(run)
    found = [
        ({key: None if value is None else json.loads(value) for key, value in zip(keys, values, strict=True)}, mine)
        for values, mine in groups.items()
    ]
    return sorted(found, key=lambda group: [_order(value) for value in group[0].values()])


def value_of(run: Run, key: str) -> str:
    """What the run specifies for a dotted key, in words. Raises `ResultsError` for a key that it does not have."""
    specification = specified(run.manifest)
    if key not in specification:
        raise ResultsError(f"{run.path}: no key {key!r} in its scenario or policy; {near_match(key, specification)}")
    return str(plain(specification[key]))


def in_words(variant: Variant) -> str:
    """`time.duration_s = 60.0, rsus.count = 4`; empty for a variant without keys."""
    return ", ".join(f"{key} = {plain(value)}" for key, value in variant.items())


def folder_name(variant: Variant) -> str:
    """The variant as the name of a folder: `time.duration_s=60.0,rsus.count=4`; cut where it would be too long."""
    told = ",".join(f"{key}={plain(value)}" for key, value in variant.items())
    name = re.sub(r"[^A-Za-z0-9_.,=+-]+", "-", told)
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


def plain(value: object) -> str | float | bool | None:
    """A key's value as it can stand in a cell: numbers and texts as they are, tables and lists as JSON."""
    return value if value is None or isinstance(value, str | int | float) else json.dumps(value, sort_keys=True)


def _comparable(run: Run) -> dict[str, str]:
    specification = specified(run.manifest)
    return {
        key: json.dumps(value, sort_keys=True, default=str)
        for key, value in specification.items()
        if key not in _NO_WORLD
    }


def _varying(specifications: Sequence[Mapping[str, str]]) -> set[str]:
    every = {key for specification in specifications for key in specification}
    return {key for key in every if len({specification.get(key) for specification in specifications}) > 1}


def _order(value: object) -> tuple[int, float, str]:
    """Numbers by size, before all else by its text."""
    return (0, float(value), "") if isinstance(value, Real) else (1, 0.0, str(plain(value)))
