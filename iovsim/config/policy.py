"""The policy file: a TOML text becomes a checked `PolicyFile`: who trains and how, by kinds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from iovsim.config.builtin import policy_file
from iovsim.config.changes import changed, with_changes
from iovsim.config.model import Kind, Model, read_toml, validate
from iovsim.config.numbers import Name


class PolicyFile(Model):
    """A method to compare: who trains and how (`policy`), how updates are joined, and what it may know of the future.

    `budget` moves energy budget between tasks at the cloud; `price` tells vehicles what their task's energy is worth.

    `tuning` says what is trained and sent: adapters and head, the head alone, or everything; without adapters every
    rank is 0. `forecast = "oracle"` gives the policy the true end of each contact; it stands in the manifest and in
    every table. `fallback` says what becomes of jobs whose vehicles leave before they are done; with "none" they go on
    until they are cut off. `traffic` says what is done to the vehicles' driving, in live runs only.
    """

    name: Name
    title: str = ""
    policy: Kind
    aggregator: Kind = Kind(kind="svd")
    budget: Kind = Kind(kind="keep")
    price: Kind = Kind(kind="none")
    forecast: Kind = Kind(kind="heading")
    fallback: Kind = Kind(kind="none")
    traffic: Kind = Kind(kind="none")
    tuning: Literal["lora", "head", "full"] = "lora"


def load_policy(name_or_path: str | Path, changes: Mapping[str, object] | None = None) -> PolicyFile:
    """A policy file by path (a text must end in '.toml'), or a built-in one by name.

    `changes` gives dotted keys other values (see `config.changes.changed`). Raises `ScenarioError` for an unknown name
    (the nearest is offered), a missing file or a wrong key.
    """
    path = policy_file(name_or_path)
    return policy_from(read_toml(path), str(path), changes)


def policy_from(data: dict[str, Any], where: str, changes: Mapping[str, object] | None = None) -> PolicyFile:
    """A policy file from tables that are already read; `where` names them in errors."""
    return validate(PolicyFile, changed(data, changes or {}), with_changes(where, changes or {}))
