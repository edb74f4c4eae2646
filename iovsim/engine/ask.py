"""A policy's own faults become one line for its author instead of a traceback through the engine."""

from __future__ import annotations

import traceback

from iovsim.domain import Policy, RoundPlan, RoundView
from iovsim.errors import IovsimError, PolicyError


def ask(policy: Policy, view: RoundView) -> RoundPlan:
    """The policy's plan. Raises `PolicyError` where `plan` fails or returns something else."""
    where = f"RSU {view.rsu!r}, round {view.round}, policy {type(policy).__name__}"
    try:
        plan = policy.plan(view)
    except IovsimError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise PolicyError(
            f"{where}: plan() failed in {last.filename}, line {last.lineno}: {type(error).__name__}: {error}; "
            "iovsim.testing.check_policy finds such faults early."
        ) from error
    if not isinstance(plan, RoundPlan):
        raise PolicyError(f"{where}: plan() returned {type(plan).__name__}; it must return a RoundPlan.")
    return plan
