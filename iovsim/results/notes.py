"""Turns the number of seeds and of comparisons into what a reader must know, and into what so few seeds cannot give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from iovsim.results.intervals import half_width, short
from iovsim.results.measured import Measured, Reach
from iovsim.results.metrics import Metric
from iovsim.results.resampling import FEWEST, RESAMPLES
from iovsim.results.significance import LEVEL, TestName, seeds_for_wilcoxon, smallest_wilcoxon_p
from iovsim.results.variants import Variant, in_words

TESTS = {"t": "paired t test", "wilcoxon": "Wilcoxon's signed-rank test"}

REACHED = (
    "In brackets: how many runs reached the target, and the median by Kaplan and Meier, which supposes that runs which "
    "ended without it would have gone on like the others."
)


def notes(
    variant: Variant,
    seeds: int,
    comparisons: int,
    test: TestName,
    dropped: Sequence[int],
    tables: Sequence[Measured],
    by: str | None = None,
) -> Iterator[str]:
    """What stands below every table of values. `comparisons`: contrasts of each metric and task."""
    what = "policy" if by is None else f"value of {by}"
    yield f"↑ higher is better, ↓ lower is better; Δ: {what} minus baseline, paired by seed."
    if by is not None:
        yield f"Worlds of a seed differ in {by}; traffic, devices and data are the same where that key leaves them so."
    if variant:
        yield f"Variant: {in_words(variant)}."
    if dropped:
        yield f"Left out, because not all policies have them: seeds {', '.join(map(str, dropped))}."
    targets = [target_note(table.metric, table.task, table.reaches) for table in tables if table.reaches]
    yield from [*targets, REACHED] if targets else []
    if seeds == 1:
        yield (
            "One seed: no interval can be given, no test, no effect size and no number of seeds needed, and no "
            "difference is shown to be more than chance."
        )
        return
    yield (
        f"±: half-width of a 95 % Student t interval over {seeds} seeds; it supposes roughly normal values and is not "
        "corrected for the number of comparisons."
    )
    if seeds == 2:
        yield f"Two seeds: t intervals of one degree of freedom are {half_width(1.0, 2):.0f} times the sample's spread."
    if comparisons:
        corrected = f", corrected by Holm for {comparisons} comparisons" if comparisons > 1 else ""
        yield f"Significant: p of the {TESTS[test]}{corrected} of each metric and task is at most {LEVEL:g}."


def small_print(seeds: int, comparisons: int) -> Iterator[str]:
    """What stands below a table of contrasts."""
    if seeds == 1:
        return
    if seeds < FEWEST:
        yield f"No bootstrap interval: {seeds} seeds have too few resamples; from {FEWEST} seeds on."
    else:
        yield (
            f"Bootstrap: 95 % interval of the mean, BCa, {RESAMPLES} resamples of the seeds; with few seeds it is too "
            "narrow: of normal values it covered the mean in 83 % of trials with 5 seeds, in 90 % with 10."
        )
    smallest, enough = smallest_wilcoxon_p(seeds), seeds_for_wilcoxon(max(comparisons, 1))
    yield (
        "Wilcoxon: signed-rank test, exact; seeds without a difference are left out, ties share their mean rank. With "
        f"{seeds} seeds no p is below {smallest:g}"
        + (f"; {enough} seeds can give {LEVEL:g} after Holm's correction." if seeds < enough else ".")
    )
    if comparisons > 1:
        yield f"Holm: p corrected for the {comparisons} comparisons of a metric and task."
    hedges = "Hedges' g_z, which corrects for few seeds," + (" needs three seeds;" if seeds == 2 else " and")
    yield (
        f"Effect sizes: Cohen's d_z (mean over standard deviation of the differences); {hedges} the matched-pairs "
        "rank-biserial correlation r."
    )
    yield (
        "Seeds more: until the interval of the difference is as narrow as was asked for, or leaves out zero; supposes "
        "that the spread, and for the latter the mean, stay what they are, which is hopeful."
    )


def target_note(metric: Metric, task: str, reaches: Mapping[str, Reach]) -> str:
    """Of a metric of reaching a target: where its values are cut off."""
    limit = next(iter(reaches.values())).limit
    if limit is None:
        return f"{task}, {metric.name}: every run reached it."
    return (
        f"{task}, {metric.name}: cut off at {short(limit)} {metric.unit}, the least at which a run ended that did not "
        "reach it, so that means are restricted means."
    )
