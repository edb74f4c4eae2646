"""A manifest becomes the dotted keys that specify its run, and two manifests what differs between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from iovsim.results.manifest import Manifest

MOST_NAMED = 5
"""Differences that a message names; a run of something else altogether has hundreds."""


def specified(manifest: Manifest) -> dict[str, object]:
    """Everything that decides what a run gives, by dotted key: of the world file as in it, of the policy file after
    `policies.`, as in a study.

    Files are there by content, so a run whose data were moved is the same. Titles, and what may only make a run
    sooner or later (the store), are left out.
    """
    policy = manifest.policy
    keys = dict(_flat(manifest.scenario))
    keys.pop("title", None)
    keys |= {"seed": manifest.seed, "policies.name": policy.name}
    keys |= dict(_flat(policy.parameters, "policies."))
    training = manifest.training
    keys |= {f"training.{name}": str(getattr(training, name)) for name in ("kind", "precision", "device")}
    if manifest.origin is not None:
        keys |= {key: _content(entry.sha256) for key, entry in manifest.origin.inputs.items()}
    return keys


def differences(found: Manifest, asked: Manifest) -> list[str]:
    """What the run `asked` specifies otherwise than the run `found`: keys, what was found, what is asked for."""
    before, after = specified(found), specified(asked)
    paths = {} if asked.origin is None else {key: entry.path for key, entry in asked.origin.inputs.items()}
    told = []
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) == after.get(key):
            continue
        if key in before and key in paths:
            gone = after[key] == _content("")
            told.append(f"{paths[key]} ({key}) {'is gone' if gone else 'has changed'}")
        else:
            told.append(f"{key} (found {_shown(before, key)}, asked {_shown(after, key)})")
    return told


def named(told: Sequence[str]) -> str:
    """Differences as part of a sentence: the first few, and how many more."""
    more = len(told) - MOST_NAMED
    return ", ".join(told[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, object]]:
    """Tables in tables as dotted keys; tables in a list by their names, whose order is a value too."""
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{key}.")
        elif _have_names(value):
            yield f"{before}{key}", [one["name"] for one in value]
            for one in value:
                yield from _flat(one, f"{before}{key}.{one['name']}.")
        else:
            yield f"{before}{key}", value


def _have_names(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) and "name" in one for one in value)


def _content(sha256: str) -> str:
    return f"content {sha256[:12]}"


def _shown(keys: Mapping[str, object], key: str) -> str:
    return repr(keys[key]) if key in keys else "nothing"
