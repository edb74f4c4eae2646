"""The policy file: a TOML text becomes a checked `PolicyFile`; built-in ones are known by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from iovsim.config.model import Kind, Model, read_toml, validate
from iovsim.config.numbers import Name
from iovsim.errors import ScenarioError, near_match
from iovsim.paths import shared_dir


class PolicyFile(Model):
    """A method to compare: who trains and how (`policy`), how updates are joined, and what it may know of the future.

    `tuning` says what is trained and sent: adapters and head, the head alone, or everything; without adapters every
    rank is 0. `forecast = "oracle"` gives the policy the true end of each contact; it stands in the manifest and in
    every table.
    """

    name: Name
    title: str = ""
    policy: Kind
    aggregator: Kind = Kind(kind="svd")
    budget: Kind = Kind(kind="keep")
    forecast: Kind = Kind(kind="heading")
    tuning: Literal["lora", "head", "full"] = "lora"


def load_policy(name_or_path: str) -> PolicyFile:
    """A policy file by path (`*.toml`) or a built-in one by name.

    Raises `ScenarioError` for an unknown name (the nearest is offered), a missing file or a wrong key.
    """
    if name_or_path.endswith(".toml"):
        path = Path(name_or_path)
        return policy_from(read_toml(path), str(path))
    known = builtin_policies()
    if name_or_path not in known:
        raise ScenarioError(
            f"policy {name_or_path!r}: no such built-in policy; {near_match(name_or_path, known)} "
            "A path to a policy file must end in '.toml'."
        )
    return policy_from(read_toml(known[name_or_path]), str(known[name_or_path]))


def policy_from(data: dict[str, Any], where: str) -> PolicyFile:
    """A policy file from tables that are already read; `where` names them in errors."""
    return validate(PolicyFile, data, where)


def builtin_policies() -> dict[str, Path]:
    """Name to file of the policies that ship with the package."""
    return {p.stem: p for p in sorted((shared_dir("scenarios") / "policies").glob("*.toml"))}
