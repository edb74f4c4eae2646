"""Turns runs of several policies on the same worlds into means, paired differences and what can be said of them.

Seeds are paired: policies of one seed met the same world, so their differences carry less noise than their values
(common random numbers; Law, Simulation Modeling and Analysis, 5th ed., sections 10.2.1 and 11.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from iovsim.errors import ResultsError, near_match
from iovsim.results.comparison import Comparison, Family, Row
from iovsim.results.contrasts import Contrast, clear_best, contrasts, pairs_of
from iovsim.results.intervals import interval
from iovsim.results.measured import Measured, measure
from iovsim.results.notes import notes, small_print
from iovsim.results.pairing import pair
from iovsim.results.pareto import standings
from iovsim.results.run import Run
from iovsim.results.significance import TestName
from iovsim.results.targets import Target, measure_targets
from iovsim.results.variants import Variant, in_words, value_of, variants


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked beside means and differences to the baseline.

    `every_pair` contrasts each policy with each other. `half_widths`, by metric, are those at which the numbers of
    seeds more are aimed. `test` decides what is called significant.
    """

    every_pair: bool = False
    targets: tuple[Target, ...] = ()
    half_widths: Mapping[str, float] = field(default_factory=dict)
    test: TestName = "t"


def compare_variants(
    runs: Sequence[Run], baseline: str | None = None, common_seeds: bool = False, asked: Asked | None = None
) -> tuple[Comparison, ...]:
    """Groups runs whose scenarios differ (see `variants.variants`), and compares the policies within each group.

    The baseline is the same in all, by default the policy of the first run. Raises `ResultsError` as `compare` does,
    and where a group has no run of the baseline: its policies have nothing to be compared with.
    """
    groups = variants(runs)
    reference = runs[0].manifest.policy.name if baseline is None and runs else baseline
    for variant, mine in groups if len(groups) > 1 else ():
        names = {run.manifest.policy.name for run in mine}
        if reference not in names:
            raise ResultsError(
                f"compare: the runs with {in_words(variant)} have no policy {reference!r}, the baseline; they have "
                f"{', '.join(map(repr, sorted(names)))}, such as {mine[0].path}. Only policies on the same worlds are "
                "compared: run the baseline there too, or leave these runs out."
            )
    if not groups:
        return (compare(runs),)
    return tuple(compare(mine, reference, common_seeds, asked, variant) for variant, mine in groups)


def compare_values(
    runs: Sequence[Run],
    by: str,
    baseline: str | None = None,
    common_seeds: bool = False,
    asked: Asked | None = None,
) -> tuple[Comparison, ...]:
    """Compares the values of a dotted key `by`, in place of policies: for each policy, and each variant of other keys.

    Runs of a seed then differ in that key alone, and are paired by it, though their worlds do. The baseline is one of
    the values, by default that of the first run. Raises `ResultsError` as `compare` does, for an unknown key, and where
    not all groups have the baseline.
    """
    if not runs:
        return (compare(runs),)
    reference = value_of(runs[0], by) if baseline is None else baseline
    groups: dict[str, tuple[Variant, list[Run]]] = {}
    for variant, mine in variants(runs):
        for run in mine:
            rest = {"policies.name": run.manifest.policy.name, **{k: v for k, v in variant.items() if k != by}}
            groups.setdefault(in_words(rest), (rest, []))[1].append(run)
    return tuple(compare(mine, reference, common_seeds, asked, rest, by) for rest, mine in groups.values())


def compare(
    runs: Sequence[Run],
    baseline: str | None = None,
    common_seeds: bool = False,
    asked: Asked | None = None,
    variant: Variant | None = None,
    by: str | None = None,
) -> Comparison:
    """Compares the runs' policies seed by seed; `baseline` is by default the policy of the first run.

    `variant` is what to call these runs among others; with `by` the values of that key take the place of policies.
    Raises `ResultsError` where the runs cannot be compared (see `iovsim.results.pairing.pair`), or where `baseline`, a
    target's task or a metric is not among them.
    """
    asked = asked or Asked()
    paired = pair(runs, common_seeds, by)
    policies, seeds = tuple(paired.runs), paired.seeds
    reference = policies[0] if baseline is None else baseline
    if reference not in policies:
        what = "policy" if by is None else f"value of {by}"
        raise ResultsError(f"baseline: no {what} {reference!r} among the runs, {near_match(reference, policies)}")
    tables = [*measure(paired.runs, seeds), *measure_targets(paired.runs, seeds, asked.targets)]
    tables.sort(key=lambda table: (table.task == "", table.task))
    for name in asked.half_widths:
        if name not in (known := {table.metric.name for table in tables}):
            raise ResultsError(f"half-width of {name!r}: no such metric; {near_match(name, known)}")
    families = tuple(_family(table, policies, reference, asked) for table in tables)
    comparisons = len(pairs_of(policies, reference, asked.every_pair))
    return Comparison(
        world=runs[0].manifest.world,
        variant=variant or {},
        baseline=reference,
        policies=policies,
        seeds=seeds,
        manifests={policy: tuple(by_seed[seed].manifest for seed in seeds) for policy, by_seed in paired.runs.items()},
        test=asked.test,
        rows=tuple(row for table, mine in zip(tables, families, strict=True) for row in _rows(table, policies, mine)),
        families=families,
        standings=tuple(standings(tables, policies, seeds)) if len(policies) > 1 else (),
        notes=tuple(notes(variant or {}, len(seeds), comparisons, asked.test, paired.dropped, tables, by)),
        small_print=tuple(small_print(len(seeds), comparisons)),
    )


def _family(table: Measured, policies: Sequence[str], reference: str, asked: Asked) -> Family:
    pairs = pairs_of(policies, reference, asked.every_pair)
    found = contrasts(table, pairs, asked.half_widths.get(table.metric.name))
    return Family(table.metric, table.task, tuple(found), clear_best(table, asked.test))


def _rows(table: Measured, policies: Sequence[str], family: Family) -> list[Row]:
    """A row for each policy; its contrast to the baseline is the first of the family that begins with it."""
    to_baseline: dict[str, Contrast] = {}
    for found in family.contrasts:
        to_baseline.setdefault(found.policy, found)
    rows = []
    for policy in policies:
        values, reach = table.values[policy], table.reaches.get(policy)
        never = reach is not None and reach.reached == 0
        value = None if never else interval(list(values.values()))
        rows.append(Row(table.metric, table.task, policy, value, to_baseline.get(policy), values, reach))
    return rows
