"""Folders of unfinished runs become the specifications of these runs again, from their manifests alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from iovsim.config import Scenario, policy_from, scenario_from
from iovsim.errors import ResultsError, ScenarioError
from iovsim.experiment.run import RunSpec, states_of
from iovsim.learning.store.folder import StoreSpec
from iovsim.results import Manifest, RunStatus, Stage, read_manifest
from iovsim.results.manifest import NAME
from iovsim.results.specification import named


def unfinished_runs(folders: Iterable[Path]) -> list[RunSpec]:
    """The runs in the given folders and below that did not come to their end, sorted by path.

    Raises `ResultsError` for a folder that is not there or holds no run at all, and for a run that cannot go on: its
    manifest is damaged or too old, or a file that it read is gone or has changed. `ScenarioError` for a module of the
    user's that is not found from here.
    """
    manifests: dict[Path, Manifest] = {}
    for folder in folders:
        if not folder.is_dir():
            raise ResultsError(f"{folder}: no such folder; name a run folder or a folder of runs.")
        found = {path.parent: read_manifest(path.parent) for path in folder.rglob(NAME)}
        if not found:
            raise ResultsError(f"{folder}: no run in it or below (no {NAME}); name a run folder or a folder of runs.")
        manifests |= found
    left = {path: manifest for path, manifest in sorted(manifests.items()) if manifest.status is not RunStatus.COMPLETE}
    specs = _sharing_scenarios([_spec_of(path, manifest) for path, manifest in left.items()])
    try:
        states = states_of(specs)
    except ScenarioError as error:  # a module of the user's is not found
        places = sorted({manifest.origin.command_folder for manifest in left.values() if manifest.origin})
        raise ScenarioError(f"{error} What is to be resumed was begun in {', '.join(places)}; go there.") from error
    for spec, state in zip(specs, states, strict=True):
        if state.stage is Stage.OTHER:
            raise ResultsError(
                f"{spec.out}: cannot go on as it was begun: {named(state.differing) or state.reason}; undo that, or "
                "run it anew with 'iovsim run ... --overwrite'."
            )
    return specs


def _spec_of(path: Path, manifest: Manifest) -> RunSpec:
    """What was asked for when the run at `path` was begun."""
    origin = manifest.origin
    if origin is None:
        raise ResultsError(
            f"{path / NAME}: does not say where the run came from; give its 'iovsim run' command again instead."
        )
    # The file may have gone or changed since: what counts is what the manifest keeps of it.
    scenario = scenario_from(dict(manifest.scenario), Path(origin.scenario_folder) / f"{manifest.world}.toml")
    policy = policy_from({"name": manifest.policy.name, **manifest.policy.parameters}, str(path / NAME))
    store = None if origin.store is None else StoreSpec(Path(origin.store), origin.store_limit_bytes)
    return RunSpec(scenario, policy, manifest.seed, path, manifest.training, store)


def _sharing_scenarios(specs: Sequence[RunSpec]) -> list[RunSpec]:
    """The same with equal scenarios as one object, so that what they read is looked through once."""
    known: dict[tuple[str, Path], Scenario] = {}
    return [
        replace(s, scenario=known.setdefault((s.scenario.model_dump_json(), s.scenario.resolved(Path())), s.scenario))
        for s in specs
    ]
