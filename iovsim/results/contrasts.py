"""Turns a metric's values by policy and seed into paired differences, with all that can be said about them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from iovsim.results.effects import cohens_d_z, hedges_g_z, rank_biserial
from iovsim.results.intervals import Interval, interval
from iovsim.results.measured import ByPolicy, Measured
from iovsim.results.planning import seeds_more
from iovsim.results.resampling import bootstrap_interval
from iovsim.results.significance import LEVEL, TestName, holm, paired_t_p, wilcoxon_p

DIGITS = 12
"""Significant digits of the values to which differences are kept: what is beyond is rounding, not a difference."""

Pair = tuple[str, str]
"""The policy, and the one that is subtracted."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """Policy minus `against`, over the seeds of which both have a value. None: cannot be had of so few or such values.

    `zeros`: seeds without a difference, which Wilcoxon's test leaves out. The `_holm` values are corrected for all
    contrasts of this metric and task that were asked for. `more`: seeds more until the interval is narrow enough.
    """

    policy: str
    against: str
    difference: Interval | None
    bootstrap: tuple[float, float] | None
    zeros: int
    t_p: float | None
    t_holm: float | None
    wilcoxon_p: float | None
    wilcoxon_holm: float | None
    d_z: float | None
    g_z: float | None
    rank_biserial: float | None
    more: int | None

    def corrected(self, test: TestName) -> float | None:
        """The corrected p of one of the tests."""
        return self.t_holm if test == "t" else self.wilcoxon_holm

    def significant(self, test: TestName) -> bool:
        """Whether the corrected p of the test is at most `LEVEL`."""
        p = self.corrected(test)
        return p is not None and p <= LEVEL


def pairs_of(policies: Sequence[str], baseline: str, every: bool) -> list[Pair]:
    """Each policy against the baseline, in order; with `every`, then each of the others against those before it."""
    others = [policy for policy in policies if policy != baseline]
    return [(p, baseline) for p in others] + ([(q, p) for p, q in combinations(others, 2)] if every else [])


def contrasts(table: Measured, pairs: Sequence[Pair], wished: float | None = None) -> list[Contrast]:
    """The contrasts of all pairs, which are one family for Holm's correction.

    `wished` is the half-width at which the number of seeds more is aimed; without it see `planning.seeds_more`.
    """
    found = [_contrast(table, pair, wished) for pair in pairs]
    corrected = zip(found, holm([c.t_p for c in found]), holm([c.wilcoxon_p for c in found]), strict=True)
    return [replace(c, t_holm=t, wilcoxon_holm=w) for c, t, w in corrected]


def clear_best(table: Measured, test: TestName) -> str | None:
    """The policy of the best mean, where its difference to the second best is significant; otherwise None.

    Corrected for all pairs of policies, not for one: which two are the best is only known from the values themselves.
    """
    means = {policy: statistics.mean(by_seed.values()) for policy, by_seed in table.values.items() if by_seed}
    if len(means) < 2:
        return None
    order = sorted(means, key=lambda p: -means[p] if table.metric.better == "higher" else means[p])
    pairs = list(combinations(order, 2))
    judge = paired_t_p if test == "t" else wilcoxon_p
    p = holm([judge(paired_differences(table.values, pair)) for pair in pairs])[pairs.index((order[0], order[1]))]
    return order[0] if p is not None and p <= LEVEL else None


def paired_differences(values: ByPolicy, pair: Pair) -> list[float]:
    """Policy minus the other, by seed in ascending order, rounded to `DIGITS` digits of the largest value.

    So that 0.3 - 0.1 and 0.4 - 0.2 are equal sizes for the tests, and the same value of both is exactly none.
    """
    one, other = (values.get(policy, {}) for policy in pair)
    common = sorted(one.keys() & other.keys())
    largest = max((max(abs(one[seed]), abs(other[seed])) for seed in common), default=0.0)
    if largest == 0:
        return [0.0] * len(common)
    places = DIGITS - 1 - math.floor(math.log10(largest))
    return [round(one[seed] - other[seed], places) + 0.0 for seed in common]  # + 0.0: no zero below zero


def _contrast(table: Measured, pair: Pair, wished: float | None) -> Contrast:
    policy, against = pair
    differences = paired_differences(table.values, pair)
    return Contrast(
        policy=policy,
        against=against,
        difference=interval(differences),
        bootstrap=bootstrap_interval(differences, table.metric.name, table.task, *sorted(pair)),
        zeros=differences.count(0.0),
        t_p=paired_t_p(differences),
        t_holm=None,
        wilcoxon_p=wilcoxon_p(differences),
        wilcoxon_holm=None,
        d_z=cohens_d_z(differences),
        g_z=hedges_g_z(differences),
        rank_biserial=rank_biserial(differences) if len(differences) > 1 else None,
        more=seeds_more(differences, wished),
    )
