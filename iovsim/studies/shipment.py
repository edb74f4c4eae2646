"""Files of the user's own, which lie where the command is given, become the same files on whatever node a run is made.

Whatever a node has at the same path with the same content is used there, and not sent.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iovsim.config import Scenario
from iovsim.errors import IovsimError
from iovsim.experiment.inputs import scenario_inputs
from iovsim.mobility.sumo_config import files_read, read_config
from iovsim.paths import PACKAGE
from iovsim.results.manifest import Input
from iovsim.studies.parcel import Parcel, files_in, settle

MODULE = "module "
"""Begins the keys of modules among the inputs (`experiment.inputs`)."""

Fetch = Callable[[Any], Parcel]
"""Turns a piece of `Shipped` into its parcel: what sends it decides how."""


@dataclass(frozen=True, slots=True)
class Shipment:
    """What is to be sent for one input: `files` below `base`, of which `inner` is the one that the input names."""

    key: str
    input: Input
    base: Path
    files: tuple[Path, ...]
    inner: str

    @property
    def place(self) -> str:
        """Where it goes below a cache folder. The base's own name stays, for a model is called after its folder."""
        names = [file.relative_to(self.base).as_posix() for file in self.files]
        digest = hashlib.sha256(repr((self.input.sha256, self.inner, names)).encode()).hexdigest()
        return f"shipped/{digest[:32]}/{self.base.name or 'root'}"


@dataclass(frozen=True, slots=True)
class Shipped:
    """A shipment whose pieces can be had with a `Fetch`."""

    key: str
    input: Input
    place: str
    inner: str
    pieces: tuple[Any, ...]


def shipments(inputs: Mapping[str, Input]) -> list[Shipment]:
    """All that a world file names by path. What is gone is left out: the run will say so as it does where it was given.

    Raises `TraceError` for a SUMO configuration that cannot be read.
    """
    return [_shipment(key, i) for key, i in inputs.items() if not key.startswith(MODULE) and i.sha256]


def own_modules(inputs: Mapping[str, Input]) -> Shipment | None:
    """The modules in the current folder, if one of them is among the inputs: all files of Python in the folder itself,
    and in the packages that are named.
    """
    here = Path.cwd()
    named = {key.removeprefix(MODULE): Path(i.path) for key, i in inputs.items() if key.startswith(MODULE)}
    ours = {name for name, source in named.items() if _is_own(source, here)}
    if not ours:
        return None
    packages = {name.partition(".")[0] for name in ours if "." in name}
    sources = sorted([*here.glob("*.py"), *(f for package in packages for f in (here / package).rglob("*.py"))])
    digest = hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in sources)).hexdigest()
    return Shipment(MODULE, Input(str(here), digest), here, tuple(sources), "")


def use_modules(shipped: Iterable[Shipped], cache: Path, fetch: Fetch) -> None:
    """Has this process look for the user's own modules where those that were sent lie, if any were."""
    for one in shipped:
        os.chdir(_settled(one, cache, fetch))  # that is where they are looked for first


def at_home(
    scenario: Scenario, shipped: Iterable[Shipped], cache: Path, fetch: Fetch
) -> tuple[Scenario, dict[str, str]]:
    """The scenario with its files as this node has them, and what each path here stands for.

    Raises `ResultsError` where what was sent cannot be written.
    """
    here = _inputs_here(scenario)
    away = [one for one in shipped if here.get(one.key) != one.input]
    paths = {one.key: _settled(one, cache, fetch) / one.inner for one in away}
    return _moved(scenario, paths), {str(paths[one.key]): one.input.path for one in away}


def _shipment(key: str, found: Input) -> Shipment:
    path = Path(found.path)
    if key != "mobility.sumocfg":
        return Shipment(key, found, path, tuple(files_in(path)), "")
    files = [file.resolve() for file in files_read(read_config(path))]
    base = Path(os.path.commonpath([file.parent for file in files]))
    return Shipment(key, found, base, tuple(files), path.resolve().relative_to(base).as_posix())


def _is_own(source: Path, here: Path) -> bool:
    installed = (Path(sys.prefix), PACKAGE)
    return source.is_relative_to(here) and not any(source.is_relative_to(folder) for folder in installed)


def _inputs_here(scenario: Scenario) -> Mapping[str, Input]:
    """What of the scenario's files this node has at the same paths; nothing, where SUMO cannot read what it has."""
    try:
        return scenario_inputs(scenario)
    except IovsimError:
        return {}


def _settled(shipped: Shipped, cache: Path, fetch: Fetch) -> Path:
    return settle((fetch(piece) for piece in shipped.pieces), cache / shipped.place)


def _moved(scenario: Scenario, paths: Mapping[str, Path]) -> Scenario:
    """The same scenario with other paths under some keys, such as `tasks.signs.data.path`."""
    sections = {
        name: getattr(scenario, name).model_copy(
            update={key.partition(".")[2]: path for key, path in paths.items() if key.startswith(f"{name}.")}
        )
        for name in ("mobility", "rsus")
    }
    tasks = []
    for task in scenario.tasks:
        for part in ("data", "backbone"):
            path = paths.get(f"tasks.{task.name}.{part}.path")
            if path is not None:
                section = getattr(task, part).model_copy(update={"path": path})
                task = task.model_copy(update={part: section})
        tasks.append(task)
    return scenario.model_copy(update={**sections, "tasks": tuple(tasks)})
