"""Turns a heap of runs into runs by policy and seed, or says why they must not be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from iovsim.errors import ResultsError
from iovsim.results.run import Run
from iovsim.results.variants import value_of


@dataclass(frozen=True, slots=True)
class Paired:
    """Runs by policy (in the order given) and seed; every policy has every one of `seeds`, on the same worlds."""

    runs: Mapping[str, Mapping[int, Run]]
    seeds: tuple[int, ...]
    dropped: tuple[int, ...]  # seeds left out because not all policies have them


def pair(runs: Sequence[Run], common_seeds: bool = False, by: str | None = None) -> Paired:
    """Sorts runs into policies and seeds; or, with a dotted key `by`, those of one policy into the key's values.

    Raises `ResultsError` where there are no runs, two runs share policy and seed, a policy's parameters differ between
    its runs, the worlds' names or the precisions of training differ, a policy lacks a seed (unless `common_seeds` drops
    the seeds that not all have), or runs of one seed have different world hashes (with `by` they may).
    """
    table = _by_policy(runs, by)
    every = sorted({seed for by_seed in table.values() for seed in by_seed})
    common = tuple(seed for seed in every if all(seed in by_seed for by_seed in table.values()))
    dropped = tuple(seed for seed in every if seed not in common)
    if not common or (dropped and not common_seeds):
        lacking = "; ".join(
            f"{policy!r} lacks {', '.join(str(seed) for seed in every if seed not in by_seed)}"
            for policy, by_seed in table.items()
            if len(by_seed) < len(every)
        )
        advice = "run them, or compare on the common seeds only" if common else "run at least one seed for all"
        raise ResultsError(f"compare: the policies have different seeds: {lacking}; {advice}.")
    for seed in common if by is None else ():
        _check_same_world([by_seed[seed] for by_seed in table.values()])
    return Paired(table, common, dropped)


def _by_policy(runs: Sequence[Run], by: str | None) -> dict[str, dict[int, Run]]:
    if not runs:
        raise ResultsError("compare: no runs given; name at least one run folder.")
    table: dict[str, dict[int, Run]] = {}
    for run in runs:
        if run.manifest.world != runs[0].manifest.world:
            raise ResultsError(
                f"{run.path}: world {run.manifest.world!r}, but {runs[0].path} is of world "
                f"{runs[0].manifest.world!r}; compare runs of one world only."
            )
        if run.manifest.training.precision is not runs[0].manifest.training.precision:
            raise ResultsError(
                f"{run.path}: trained in {run.manifest.training.precision}, but {runs[0].path} in "
                f"{runs[0].manifest.training.precision}; compare runs of one precision only."
            )
        by_seed = table.setdefault(run.manifest.policy.name if by is None else value_of(run, by), {})
        _check_same_policy(run, by_seed)
        by_seed[run.manifest.seed] = run
    return table


def _check_same_policy(run: Run, by_seed: Mapping[int, Run]) -> None:
    policy, seed = run.manifest.policy, run.manifest.seed
    if seed in by_seed:
        raise ResultsError(
            f"{run.path}: policy {policy.name!r} with seed {seed} is already given by {by_seed[seed].path}; "
            "leave one of them out."
        )
    for other in by_seed.values():
        changed = differing_keys(asdict(other.manifest.policy), asdict(policy))
        if changed:
            raise ResultsError(
                f"{run.path}: policy {policy.name!r} is not the one of {other.path} "
                f"(different: {_shortened(changed)}); give the two policies different names."
            )


def _check_same_world(runs: Sequence[Run]) -> None:
    first = runs[0]
    for run in runs[1:]:
        if run.manifest.world_hash == first.manifest.world_hash:
            continue
        changed = differing_keys(first.manifest.scenario, run.manifest.scenario)
        cause = (
            f"the scenarios differ in {_shortened(changed)}"
            if changed
            else "the scenarios are equal, so the map, the trace or iovsim itself changed in between"
        )
        raise ResultsError(
            f"compare: different worlds for seed {run.manifest.seed}: {first.path} has hash "
            f"{first.manifest.world_hash[:12]}, {run.path} has {run.manifest.world_hash[:12]}; {cause}. "
            "Run both policies again on one world."
        )


def differing_keys(one: Any, other: Any, at: str = "") -> list[str]:
    """Dotted keys at which two JSON-like values differ, with both values, sorted."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        changed = []
        for key in sorted({*one, *other}):
            changed += differing_keys(one.get(key), other.get(key), f"{at}.{key}" if at else str(key))
        return changed
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        return [k for i, (a, b) in enumerate(zip(one, other, strict=True)) for k in differing_keys(a, b, f"{at}[{i}]")]
    return [] if one == other else [f"{at} ({_brief(one)} / {_brief(other)})"]


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _shortened(names: Sequence[str], limit: int = 8) -> str:
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")
