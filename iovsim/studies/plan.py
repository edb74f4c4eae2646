"""A study file becomes the runs that it asks for: variants of the grid x seeds x policies."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from iovsim.config import PolicyFile, Scenario, StudyFile, load_policy, load_scenario
from iovsim.domain import TrainerSpec
from iovsim.errors import ScenarioError, located, near_match
from iovsim.experiment.run import RunSpec
from iovsim.learning.store.folder import StoreSpec

POLICIES = "policies."
"""What keys begin with that change the policy files and not the scenario."""

LONGEST_NAME = 80
"""Of a variant's folder; some file systems take no more than 143 bytes."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One combination of the grid's values; without a grid there is one, without a name."""

    name: str
    changes: Mapping[str, object]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """All runs of a study, those of one world together, in the order in which they are best begun."""

    study: StudyFile
    variants: tuple[Variant, ...]
    runs: tuple[RunSpec, ...]
    out: Path


def plan_of(study: StudyFile, out: Path, store: StoreSpec | None) -> Plan:
    """Runs go to OUT/<policy>/seed-<seed>, with a grid to OUT/<variant>/<policy>/seed-<seed>.

    Raises `ScenarioError` for whatever is wrong with the scenario, a policy or a key that is varied.
    """
    variants = _variants(study.grid)
    training = TrainerSpec(study.training.trainer, study.training.precision, study.training.device)
    runs: list[RunSpec] = []
    for variant in variants:
        changes = study.set | dict(variant.changes)
        with located(f"{study.source}: key 'scenario', 'set' or 'grid'"):
            scenario = load_scenario(study.resolved(study.scenario), _for_scenario(changes))
        with located(f"{study.source}: key 'policies', or one of 'set' or 'grid' that begins with it"):
            policies = [load_policy(study.resolved(p), _for_policies(changes)) for p in study.policies]
        _check(study, scenario, policies)
        folder = out / variant.name
        runs += [
            RunSpec(scenario, policy, seed, folder / policy.name / f"seed-{seed}", training, store, variant.name)
            for seed in study.seed_numbers
            for policy in policies
        ]
    return Plan(study, variants, tuple(runs), out)


def _variants(grid: Mapping[str, Sequence[object]]) -> tuple[Variant, ...]:
    combinations = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    names = _names(combinations)
    return tuple(Variant(name, changes) for name, changes in zip(names, combinations, strict=True))


def _names(combinations: Sequence[Mapping[str, object]]) -> list[str]:
    """Folder names: `round_energy_j=100,duration_s=60`; numbered where that is too long or not different enough."""
    keys = list(combinations[0])
    last = [key.rpartition(".")[2] for key in keys]
    short = {key: end if last.count(end) == 1 else key for key, end in zip(keys, last, strict=True)}
    names = [",".join(f"{short[key]}={_text(value)}" for key, value in c.items()) for c in combinations]
    if max(map(len, names)) > LONGEST_NAME or len({name.lower() for name in names}) < len(names):
        return [f"variant-{number}" for number in range(1, len(names) + 1)]
    return names


def _text(value: object) -> str:
    """A value as part of a folder's name."""
    if isinstance(value, Mapping) and "kind" in value:
        value = [v for _, v in sorted(value.items(), key=lambda item: item[0] != "kind")]
    plain = value if isinstance(value, str) else json.dumps(value)
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", plain).strip("_")


def _for_scenario(changes: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in changes.items() if not key.startswith(POLICIES)}


def _for_policies(changes: Mapping[str, object]) -> dict[str, object]:
    return {key.removeprefix(POLICIES): value for key, value in changes.items() if key.startswith(POLICIES)}


def _check(study: StudyFile, scenario: Scenario, policies: Sequence[PolicyFile]) -> None:
    """Raises `ScenarioError` for names that mean nothing in this study, and for two policies of one name."""
    names = [policy.name for policy in policies]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ScenarioError(f"study {study.name!r}: two policies are named {twice[0]!r}; give each its own 'name'.")
    if study.baseline is not None and study.baseline not in names:
        raise ScenarioError(
            f"study {study.name!r}: key 'baseline': {study.baseline!r} is none of the study's policies; "
            f"{near_match(study.baseline, names)}"
        )
    tasks = [task.name for task in scenario.tasks]
    for task in study.targets:
        if task not in tasks:
            raise ScenarioError(f"study {study.name!r}: key 'targets': no task {task!r}; {near_match(task, tasks)}")
