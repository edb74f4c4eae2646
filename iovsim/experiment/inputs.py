"""Whatever a run reads that did not come with iovsim becomes a place and a digest, under the key that names it."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from iovsim.config import BuiltinData, Kind, ModelFolderSection, PolicyFile, Scenario
from iovsim.experiment.code import outside_sha256
from iovsim.experiment.registry import outside
from iovsim.files import sha256_of
from iovsim.mobility.map_store import installed_maps, map_config
from iovsim.mobility.sumo import traffic_sha256
from iovsim.results.manifest import Input


def scenario_inputs(scenario: Scenario) -> dict[str, Input]:
    """Files, folders and modules that the world file names; those that are gone have an empty digest.

    Raises `TraceError` for a SUMO configuration that SUMO refuses, `ScenarioError` for a module that is not found.
    """
    inputs: dict[str, Input] = {}
    name = scenario.mobility.map
    if scenario.mobility.sumocfg is not None:
        path = scenario.resolved(scenario.mobility.sumocfg)
        inputs["mobility.sumocfg"] = Input(str(path), traffic_sha256(path) if path.is_file() else "")
    elif name in installed_maps():
        path = map_config(name)
        inputs["mobility.sumocfg"] = Input(str(path), traffic_sha256(path))
    paths: dict[str, Path | None] = {
        "mobility.trace": scenario.mobility.trace,
        "mobility.net": scenario.mobility.net,
        "mobility.buildings": scenario.mobility.buildings,
        "rsus.file": scenario.rsus.file,
        "rsus.traffic_trace": scenario.rsus.traffic_trace,
    }
    for task in scenario.tasks:
        paths[f"tasks.{task.name}.data.path"] = None if isinstance(task.data, BuiltinData) else task.data.path
        folder = task.backbone.path if isinstance(task.backbone, ModelFolderSection) else None
        paths[f"tasks.{task.name}.backbone.path"] = folder
    for key, named in paths.items():
        if named is not None:
            inputs[key] = _input(scenario.resolved(named))
    return inputs | _modules(scenario.radio.model_dump(mode="json"))


def policy_inputs(policy: PolicyFile) -> dict[str, Input]:
    """Modules that the policy file names. Raises `ScenarioError` for one that is not found."""
    return _modules(policy.model_dump(mode="json"))


def _input(path: Path) -> Input:
    if path.is_dir():
        digest = hashlib.sha256()
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(f"{file.relative_to(path).as_posix()} {sha256_of(file)}\n".encode())
        return Input(str(path), digest.hexdigest())
    return Input(str(path), sha256_of(path) if path.is_file() else "")


def _modules(table: Mapping[str, Any]) -> dict[str, Input]:
    """The source files of classes from outside."""
    inputs = {}
    for name in _outside_kinds(table):
        source = inspect.getsourcefile(outside(name, f"kind {name!r}"))
        if source is not None:
            inputs[f"module {name.partition(':')[0]}"] = Input(source, outside_sha256(Kind(kind=name)))
    return inputs


def _outside_kinds(value: object) -> Iterator[str]:
    """Of tables in tables and lists, each kind that is written "package.module:Class"."""
    if isinstance(value, Mapping):
        kind = value.get("kind")
        if isinstance(kind, str) and ":" in kind:
            yield kind
        for inner in value.values():
            yield from _outside_kinds(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _outside_kinds(inner)
