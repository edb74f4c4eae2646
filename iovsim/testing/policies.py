"""The contract of policies."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

from iovsim.domain import JobEnd, JobStatus, LossReason, Policy, RoundOutcome, RoundPlan, RoundView
from iovsim.engine.admit import admit
from iovsim.engine.ask import ask
from iovsim.errors import PolicyError
from iovsim.rng import stream
from iovsim.testing.worlds import tiny_views


def check_policy(make: Callable[[], Policy]) -> None:
    """Puts a policy through many rounds and raises `PolicyError` with the first fault.

    Every plan must be admissible (see `engine.admit`), a policy made anew must plan the same from the same views,
    views must stay untouched, and `feedback` must take a round in which every job was lost or failed. `make` is called
    twice.
    """
    first, second = make(), make()
    name = type(first).__name__
    for view in tiny_views():
        clients = copy.deepcopy(view.clients)
        plan = ask(first, view)
        admit(view, plan, refuse_over_budget=False)
        again = second.plan(replace(view, rng=stream(0, "policy", view.rsu, view.round)))
        if plan.assignments != again.assignments:
            raise PolicyError(
                f"{name}: two fresh instances plan differently from the same view; draw only from view.rng."
            )
        if view.clients != clients:
            raise PolicyError(f"{name}: plan() changed the view; it is the engine's.")
        for policy in (first, second):
            policy.feedback(_nothing_gained(view, plan))


def _nothing_gained(view: RoundView, plan: RoundPlan) -> RoundOutcome:
    """The round if every second job were lost on the way and the training of all others failed."""
    ends = ((JobStatus.LOST_DOWNLINK, LossReason.CONTACT), (JobStatus.FAILED, LossReason.DIVERGED))
    jobs = tuple(
        JobEnd(a, i, view.start_s, view.start_s + 1.0, *ends[i % 2], (), None)
        for i, a in enumerate(plan.assignments.values())
    )
    return RoundOutcome(view.rsu, view.round, view.start_s, view.start_s + 1.0, view, plan, jobs, {})
