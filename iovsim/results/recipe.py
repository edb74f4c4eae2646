"""Turns the manifests of compared runs into the commands that make every number again, and says what these lack."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from iovsim.results.manifest import Manifest
from iovsim.results.specification import specified
from iovsim.results.toml import toml_text

FOLDER = "inputs"
"""Beside the table, for the world and policy files that are not built in."""

_PATHS = ("path", "sumocfg", "trace", "net", "buildings", "file", "traffic_trace")
_DIGITS = 8
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Builtin:
    """What can be named without a file: the scenarios, and the policies' parameters, as a manifest holds them."""

    scenarios: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    policies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Commands by policy, and the one that compares their runs, to be given in the folder of the table.

    `files`, by name, belong into `FOLDER` there.

    `remarks` say with which versions the runs were made, on which worlds, and what the manifests do not hold.
    """

    commands: Mapping[str, tuple[str, ...]]
    compare: str
    files: Mapping[str, str]
    remarks: tuple[str, ...]

    def all_commands(self) -> list[str]:
        """All commands in order."""
        return [*(command for commands in self.commands.values() for command in commands), self.compare]

    def lines(self) -> list[str]:
        """Remarks, then all commands."""
        return [*self.remarks, *self.all_commands()]


def recipe(
    manifests: Mapping[str, Sequence[Manifest]],
    builtin: Builtin,
    out: str = "again",
    options: Sequence[str] = (),
    *,
    apart: bool = False,
) -> Recipe:
    """Of manifests by policy. Worlds and policies that are not built in become files with the manifest's content.

    The commands write their runs to `out`, or, where runs of one policy are compared, `apart` into folders there;
    `options` are those of the comparison.
    """
    files: dict[str, str] = {}
    commands = {
        policy: tuple(_commands(mine, builtin, f"{out}/{number}" if apart else out, files))
        for number, (policy, mine) in enumerate(manifests.items())
    }
    remarks = dict.fromkeys(_remarks([m for mine in manifests.values() for m in mine]))
    return Recipe(commands, shlex.join(["iovsim", "compare", out, *options]), files, tuple(remarks))


def _commands(manifests: Sequence[Manifest], builtin: Builtin, out: str, files: dict[str, str]) -> Iterator[str]:
    """One command for all seeds that were run in the same way."""
    seeds: dict[tuple[str, ...], list[int]] = {}
    for manifest in manifests:
        training = manifest.training
        how = ("--trainer", training.kind, "--precision", training.precision, "--device", training.device)
        what = (*_world(manifest, builtin, files), "--policy", _policy(manifest, builtin, files), *how)
        seeds.setdefault(tuple(map(str, what)), []).append(manifest.seed)
    for what, numbers in seeds.items():
        yield shlex.join(["iovsim", "run", *what, "--seeds", ranges(numbers), "--out", out])


def _world(manifest: Manifest, builtin: Builtin, files: dict[str, str]) -> list[str]:
    """The scenario's name, and where its data are if they are elsewhere; or a file of it."""
    known = builtin.scenarios.get(manifest.world)
    if known is not None and _bare(known) == _bare(manifest.scenario):
        pairs = zip(known["tasks"], manifest.scenario["tasks"], strict=True)
        moved = [task for before, task in pairs if before["data"] != task["data"]]
        options = [word for task in moved for word in ("--data", f"{task['name']}={task['data']['path']}")]
        return [manifest.world, *options]
    return [_file(manifest.world, _anchored(manifest.scenario, manifest), files)]


def _policy(manifest: Manifest, builtin: Builtin, files: dict[str, str]) -> str:
    policy = manifest.policy
    if builtin.policies.get(policy.name) == policy.parameters:
        return policy.name
    return _file(policy.name, {"name": policy.name, **policy.parameters}, files)


def _file(name: str, content: Mapping[str, Any], files: dict[str, str]) -> str:
    """Keeps the content under a name of its own, and returns the path."""
    text = toml_text(content)
    file = f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]}.toml"
    files[file] = text
    return f"{FOLDER}/{file}"


def _bare(scenario: Mapping[str, Any]) -> dict[str, Any]:
    """The scenario without its title, and without the paths of its tasks' data, which `--data` gives."""
    tasks = [
        {**task, "data": {k: v for k, v in task["data"].items() if k != "path"}} for task in scenario.get("tasks", ())
    ]
    return {**scenario, "title": "", "tasks": tasks}


def _anchored(value: Any, manifest: Manifest, key: str = "") -> Any:
    """The same with relative paths made absolute, where the manifest knows at which folder they start."""
    if isinstance(value, Mapping):
        return {k: _anchored(v, manifest, k) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_anchored(one, manifest) for one in value]
    if key in _PATHS and isinstance(value, str) and manifest.origin is not None:
        return str(Path(manifest.origin.scenario_folder) / value)
    return value


def _remarks(manifests: Sequence[Manifest]) -> Iterator[str]:
    for versions in dict.fromkeys(tuple(sorted(m.versions.items())) for m in manifests):
        yield f"made with {', '.join(f'{name} {version}' for name, version in versions)}"
    hashes = sorted({(m.seed, m.world_hash[:_SHOWN]) for m in manifests})
    yield f"hashes of the worlds by seed: {', '.join(f'{seed} {found}' for seed, found in hashes)}"
    for manifest in manifests:
        if manifest.origin is None:
            yield from _lacking(manifest)
        else:
            for key, entry in manifest.origin.inputs.items():
                yield f"needs {key}: {entry.path}, SHA-256 {entry.sha256[:_SHOWN] or 'unknown (it was gone)'}"


def _lacking(manifest: Manifest) -> Iterator[str]:
    """What a manifest without an origin does not say of files and classes from outside."""
    for key, value in specified(manifest).items():
        last = key.rpartition(".")[2]
        if last in _PATHS and isinstance(value, str) and not Path(value).is_absolute():
            yield f"missing in the manifest: the folder at which {key} = {value!r} starts"
        if last == "kind" and isinstance(value, str) and ":" in value:
            yield f"missing in the manifest: the code of {key} = {value!r}"


def ranges(numbers: Sequence[int]) -> str:
    """1, 2, 3, 5 as `1-3,5`, the form that `--seeds` takes."""
    ordered = sorted(set(numbers))
    starts = [ordered[0], *(after for before, after in pairwise(ordered) if after > before + 1)]
    ends = [*(before for before, after in pairwise(ordered) if after > before + 1), ordered[-1]]
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True))
