"""Turns paired differences into effect sizes: how large a difference is beside its own spread, or how one-sided."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from iovsim.results.significance import signed_ranks


def cohens_d_z(differences: Sequence[float]) -> float | None:
    """Mean over standard deviation of the differences; None for fewer than two values, or for ones without spread.

    Source: Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd ed., p. 48.
    """
    if len(differences) < 2:
        return None
    spread = statistics.stdev(differences)
    return statistics.mean(differences) / spread if spread > 0 else None


def hedges_g_z(differences: Sequence[float]) -> float | None:
    """Cohen's d_z, which is too large for few values, times `hedges_correction(n - 1)`.

    None where there is no d_z, and for two values, for which there is no unbiased estimate.
    """
    d_z = cohens_d_z(differences)
    if d_z is None or len(differences) < 3:
        return None
    return d_z * hedges_correction(len(differences) - 1)


def hedges_correction(degrees: int) -> float:
    """Gamma(m / 2) / (sqrt(m / 2) Gamma((m - 1) / 2)) for m >= 2 degrees of freedom; about 1 - 3 / (4 m - 1).

    Source: Hedges, Journal of Educational Statistics 6 (1981) 107, eq. 6e.
    """
    return math.exp(math.lgamma(degrees / 2) - math.lgamma((degrees - 1) / 2)) / math.sqrt(degrees / 2)


def rank_biserial(differences: Sequence[float]) -> float | None:
    """Matched-pairs rank-biserial correlation, -1 to 1: sum of the ranks above zero minus below, over their total.

    The ranks are those of Wilcoxon's test; None where no value differs from zero. Source: Kerby, Comprehensive
    Psychology 3 (2014), the simple difference formula.
    """
    ranks = signed_ranks(differences)
    return float(ranks.sum() / abs(ranks).sum()) if len(ranks) else None
