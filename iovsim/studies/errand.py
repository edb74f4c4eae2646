"""What a node is asked to make becomes a parcel: a world, a built-in data set, or a finished run folder.

Nothing here knows how node and driver talk to each other.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from iovsim.config import BuiltinData
from iovsim.errors import IovsimError, ResultsError
from iovsim.experiment.city import Progress, build_city
from iovsim.experiment.code import package_sha256
from iovsim.experiment.data import builtin_file, load_data
from iovsim.experiment.run import RunSpec, run_one
from iovsim.files import scratch
from iovsim.learning.store.folder import StoreSpec
from iovsim.learning.threads import use_one_thread
from iovsim.paths import usable_cache
from iovsim.results.manifest import Origin, installed_versions, read_manifest, write_manifest
from iovsim.studies.hub_models import have_model
from iovsim.studies.parcel import Parcel, packed_whole, settle
from iovsim.studies.place import put, reached_from_everywhere
from iovsim.studies.shipment import Fetch, Shipped, at_home, use_modules

Kept = Mapping[str, Parcel]
"""Files and folders of a cache, by their place in it: what runs share, and what is made once."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What every node has to know beside the run itself. `program` is that of the driver (`program_here`)."""

    cache: Path
    program: Mapping[str, str]
    modules: tuple[Shipped, ...]
    files: tuple[Shipped, ...]
    models: tuple[Shipped, ...]


PARTS = (
    "",
    "config",
    "domain",
    "energy",
    "engine",
    "experiment",
    "learning",
    "mobility",
    "policies",
    "radio",
    "results",
)
"""Of iovsim, those that a run's results depend on."""


def world_made(spec: RunSpec, errand: Errand, fetch: Fetch, progress: Progress) -> Kept:
    """The recorded traffic of a run's world, its contacts and links. Raises an `IovsimError` for wrong input."""
    with _prepared(spec, errand, fetch) as (cache, here):
        city = build_city(here.scenario, spec.seed, cache, progress)
        recorded = [city.trace] if here.scenario.mobility.trace is None else []
        placed = [] if city.sites is None else [city.sites]
        return {path.relative_to(cache).as_posix(): packed_whole(path) for path in (*recorded, *placed, city.folder)}


def data_made(spec: RunSpec, task: str, errand: Errand, fetch: Fetch, progress: Progress) -> Kept:
    """The built-in data set of one of a run's tasks. Raises an `IovsimError` for wrong input."""
    with _prepared(spec, errand, fetch) as (cache, here):
        progress("generating data", 0.0)
        section = next(t for t in here.scenario.tasks if t.name == task)
        load_data(here.scenario, section, cache)
        if not isinstance(section.data, BuiltinData):
            raise TypeError(f"the data of task {task!r} are not built in, but {section.data.kind}")
        path = builtin_file(here.scenario, section.data, cache)
        return {path.relative_to(cache).as_posix(): packed_whole(path)}


def run_made(
    spec: RunSpec, origin: Origin | None, errand: Errand, kept: Iterable[Kept], fetch: Fetch, progress: Progress
) -> Parcel | None:
    """A finished run folder; None where it has been put in its place already, since any node can write there.

    `origin` is what the driver says of where the run came from; `kept` spares this node what others have made. Raises
    an `IovsimError` for wrong input.
    """
    with _prepared(spec, errand, fetch) as (cache, here):
        for place, parcel in (item for one in kept for item in one.items()):
            settle([parcel], cache / place)
        with scratch(cache / "runs") as folder:
            made = run_one(replace(here, out=folder / "run"), cache, progress)
            # It says what was asked for and where, not where this node has it.
            asked = spec.scenario.model_dump(mode="json")
            write_manifest(made, replace(read_manifest(made), scenario=asked, origin=origin))
            run = packed_whole(made)
    if not reached_from_everywhere(spec.out):
        return run
    put(run, spec.out)
    return None


@lru_cache(maxsize=1)
def program_here() -> Mapping[str, str]:
    """Versions of all that a run's results depend on, and a digest of iovsim's own code."""
    return {**installed_versions(), "iovsim's code": package_sha256(*PARTS)}


@contextmanager
def _prepared(spec: RunSpec, errand: Errand, fetch: Fetch) -> Iterator[tuple[Path, RunSpec]]:
    """Gives this node's cache folder, and the run as it is to be made here; errors name the files of the driver."""
    node = f"node {platform.node()}"
    _check_program(node, errand.program)
    use_one_thread()
    cache = usable_cache(Path(os.environ.get("IOVSIM_CACHE") or errand.cache), f"{node}, cache").absolute()
    use_modules(errand.modules, cache, fetch)
    scenario, meant = at_home(spec.scenario, errand.files, cache, fetch)
    for model in errand.models:
        have_model(model, fetch, node)
    try:
        yield cache, replace(spec, scenario=scenario, store=_store_here(spec.store, errand.cache, cache))
    except IovsimError as error:
        message = str(error)
        for here, there in meant.items():
            message = message.replace(here, there)
        raise type(error)(message) from error


def _check_program(node: str, due: Mapping[str, str]) -> None:
    """Raises `ResultsError` where this node would come to other results than the driver."""
    found = program_here()
    other = [f"{name} {found[name]} and not {due[name]}" for name in due if found[name] != due[name]]
    if other:
        raise ResultsError(
            f"{node}: has {', '.join(other)}, so its results would not be those of the machine where the command was "
            "given; install the same versions on both."
        )


def _store_here(store: StoreSpec | None, driver: Path, cache: Path) -> StoreSpec | None:
    """A store in the driver's cache folder is one in each node's own; any other is the same folder for all."""
    if store is None or not store.folder.is_relative_to(driver):
        return store
    return replace(store, folder=cache / store.folder.relative_to(driver))
