"""Wished budgets become granted ones: none below a floor, none above a cap, and their sum kept to the joule."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from iovsim.errors import ScenarioError

TOLERANCE = 1e-9
"""Relative slack: n floors of 1/n may add up to a little more than the whole."""


def check_shares(floor_share: float, cap_share: float) -> None:
    """Raises `ScenarioError` for bounds that no share could keep."""
    if not 0 <= floor_share <= cap_share <= 1:
        raise ScenarioError(
            f"floor_share = {floor_share:g}, cap_share = {cap_share:g}: allowed are 0 <= floor_share <= cap_share <= 1."
        )


def check_fit(floor_share: float, cap_share: float, tasks: int) -> None:
    """Raises `ScenarioError` where so many tasks cannot share the whole within the bounds; one alone has it all."""
    if tasks > 1 and floor_share * tasks > 1 + TOLERANCE:
        raise ScenarioError(
            f"floor_share = {floor_share:g}: {tasks} tasks' floors exceed the whole; allowed is at most "
            f"{1 / tasks:.4g}."
        )
    if tasks > 1 and cap_share * tasks < 1 - TOLERANCE:
        raise ScenarioError(
            f"cap_share = {cap_share:g}: {tasks} tasks' caps do not make up the whole; needed is at least "
            f"{1 / tasks:.4g}."
        )


def bounded(wished_j: Mapping[str, float], total_j: float, floor_share: float, cap_share: float) -> dict[str, float]:
    """The budgets nearest to the wished ones (Euclidean) that sum to `total_j` within the bounds, shares of it.

    They are clip(wished + shift, floor, cap) with one shift for all, which is found exactly: the sum is linear in it
    between the shifts at which a task meets a bound. Ours: to clip and then rescale, as one would first, breaks the
    bounds that the clipping has just seen to. `check_fit` must have passed, so a lone task gets all. Wishes must be
    finite.
    """
    if len(wished_j) == 1:
        return dict.fromkeys(wished_j, total_j)
    floor_j, cap_j = floor_share * total_j, cap_share * total_j
    wished = np.array(list(wished_j.values()))
    shifts = np.sort(np.concatenate([floor_j - wished, cap_j - wished]))
    sums = [np.clip(wished + shift, floor_j, cap_j).sum() for shift in shifts]
    granted = np.clip(wished + np.interp(total_j, sums, shifts), floor_j, cap_j)
    return dict(zip(wished_j, granted.tolist(), strict=True))
