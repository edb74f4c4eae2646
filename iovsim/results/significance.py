"""Turns paired differences into p values, and the p values of a family into corrected ones.

Sources: Student's paired t test as in Law, Simulation Modeling and Analysis, 5th ed., section 10.2.1; Wilcoxon,
Biometrics Bulletin 1 (1945) 80; Holm, Scandinavian Journal of Statistics 6 (1979) 65.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import stdtr

from iovsim.domain import FloatArray

LEVEL = 0.05
"""What is called significant: a p value, corrected for its family, of at most this."""

TestName = Literal["t", "wilcoxon"]


def paired_t_p(differences: Sequence[float]) -> float | None:
    """Two-sided p of the paired t test: that of t = mean / (s / sqrt(n)) with n - 1 degrees of freedom.

    None for fewer than two values, and for values that are all equal and not zero, of which no spread can be estimated.
    Values that are all zero have p = 1 (ours: the test statistic is 0 / 0, and nothing speaks for a difference).
    """
    n = len(differences)
    if n < 2:
        return None
    if not any(differences):
        return 1.0
    spread = statistics.stdev(differences)
    if spread == 0:
        return None
    return float(2 * stdtr(n - 1, -abs(statistics.mean(differences)) * math.sqrt(n) / spread))


def wilcoxon_p(differences: Sequence[float]) -> float | None:
    """Two-sided exact p of Wilcoxon's signed-rank test; 1 where all values are zero, None for fewer than two values.

    Zeros are left out, as Wilcoxon did; values of equal size share their mean rank. The distribution is that of the
    rank sum over all choices of signs for the very ranks found, so p is exact with ties too.
    """
    if len(differences) < 2:
        return None
    doubled = np.rint(2 * signed_ranks(differences)).astype(np.int64)  # mean ranks may be halves
    chances = np.ones(1)
    for rank in np.abs(doubled):
        chances = 0.5 * (np.append(chances, np.zeros(rank)) + np.append(np.zeros(rank), chances))
    smaller_sum = min(int(doubled[doubled > 0].sum()), -int(doubled[doubled < 0].sum()))
    return min(2 * float(chances[: smaller_sum + 1].sum()), 1.0)


def signed_ranks(differences: Sequence[float]) -> FloatArray:
    """Ranks by size of the values that are not zero, each with its value's sign; equal sizes share their mean rank."""
    values = np.array([d for d in differences if d != 0], dtype=np.float64)
    ranks: FloatArray = np.sign(values) * pd.Series(np.abs(values)).rank().to_numpy()
    return ranks


def smallest_wilcoxon_p(n: int) -> float:
    """The smallest p that Wilcoxon's test can give for `n` values that are not zero: all signs equal, 2 of 2^n ways."""
    return min(2.0 ** (1 - n), 1.0)


def seeds_for_wilcoxon(comparisons: int) -> int:
    """The fewest seeds with which Wilcoxon's p can be significant after Holm's correction for so many comparisons."""
    return math.ceil(1 + math.log2(comparisons / LEVEL))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction: of the i-th smallest of m values, the largest of (m - j + 1) p_j for j up to i.

    A comparison is significant at a level if its corrected value is at most the level; the chance of any false one in
    the family is then at most the level, however the tests depend on each other. None stays None, and counts in m like
    a p of 1, which can only make the others larger.
    """
    m, largest = len(p_values), 0.0
    corrected: list[float | None] = [None] * m
    for place, (p, i) in enumerate(sorted((p, i) for i, p in enumerate(p_values) if p is not None)):
        largest = max(largest, min((m - place) * p, 1.0))
        corrected[i] = largest
    return corrected
