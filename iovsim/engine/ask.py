"""A method's own faults become one line for its author instead of a traceback through the engine."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from iovsim.domain import Fallback, FallbackView, Policy, RoundPlan, RoundView, Way
from iovsim.errors import IovsimError, PolicyError


def ask(policy: Policy, view: RoundView) -> RoundPlan:
    """The policy's plan. Raises `PolicyError` where `plan` fails or returns something else."""
    where = f"RSU {view.rsu!r}, round {view.round}, policy {type(policy).__name__}"
    with own_faults(f"{where}: plan()"):
        plan = policy.plan(view)
    if not isinstance(plan, RoundPlan):
        raise PolicyError(f"{where}: plan() returned {type(plan).__name__}; it must return a RoundPlan.")
    return plan


def ask_fallback(fallback: Fallback, view: FallbackView) -> Way:
    """The way that the fallback takes. Raises `PolicyError` where `choose` fails or returns something else."""
    where = f"RSU {view.rsu!r}, round {view.round}, vehicle {view.vehicle!r}, fallback {type(fallback).__name__}"
    with own_faults(f"{where}: choose()"):
        way = fallback.choose(view)
    if way not in view.ways:
        raise PolicyError(f"{where}: choose() returned {way!r}; it must return one of view.ways.")
    return way


@contextmanager
def own_faults(call: str) -> Iterator[None]:
    """Whatever goes wrong inside becomes a `PolicyError` with its place; `call` says who was asked for what."""
    try:
        yield
    except IovsimError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise PolicyError(
            f"{call} failed in {last.filename}, line {last.lineno}: {type(error).__name__}: {error}; the checks of "
            "iovsim.testing find such faults early."
        ) from error
