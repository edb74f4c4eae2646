"""A built-in scenario's, policy's or study's name, or a path to a file of one's own, becomes the file to read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from iovsim.errors import ScenarioError, near_match
from iovsim.paths import shared_dir


def scenario_file(name_or_path: str | Path) -> Path:
    """The file of a built-in scenario, or the path given. Raises `ScenarioError` for a name that nothing has."""
    return _file(name_or_path, builtin_scenarios(), "scenario", "world file")


def policy_file(name_or_path: str | Path) -> Path:
    """The file of a built-in policy, or the path given. Raises `ScenarioError` for a name that nothing has."""
    return _file(name_or_path, builtin_policies(), "policy", "policy file")


def study_file(name_or_path: str | Path) -> Path:
    """The file of a built-in study, or the path given. Raises `ScenarioError` for a name that nothing has."""
    return _file(name_or_path, builtin_studies(), "study", "study file")


def builtin_scenarios() -> dict[str, Path]:
    """Name to file of the scenarios that ship with the package."""
    return {p.stem: p for p in sorted(shared_dir("scenarios").glob("*.toml"))}


def builtin_policies() -> dict[str, Path]:
    """Name to file of the policies that ship with the package."""
    return {p.stem: p for p in sorted((shared_dir("scenarios") / "policies").glob("*.toml"))}


def builtin_studies() -> dict[str, Path]:
    """Name to file of the studies that ship with the package."""
    return {p.stem: p for p in sorted((shared_dir("scenarios") / "studies").glob("*.toml"))}


def _file(name_or_path: str | Path, known: Mapping[str, Path], what: str, file: str) -> Path:
    """A text is a path if it ends in '.toml', otherwise a name."""
    if isinstance(name_or_path, Path) or name_or_path.endswith(".toml"):
        return Path(name_or_path)
    if name_or_path not in known:
        raise ScenarioError(
            f"{what} {name_or_path!r}: no such built-in {what}; {near_match(name_or_path, known)} "
            f"A path to a {file} must end in '.toml'."
        )
    return known[name_or_path]
