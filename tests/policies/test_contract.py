"""Every registered policy passes the conformance kit, and the kit catches what it should."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import pytest

from iovsim.domain import RoundOutcome, RoundPlan, RoundView
from iovsim.errors import PolicyError
from iovsim.learning.aggregate import AGGREGATORS
from iovsim.policies.draft import draft
from iovsim.policies.kinds import POLICIES
from iovsim.testing import check_aggregator, check_policy


@pytest.mark.parametrize("name", POLICIES)
def test_registered_policies_conform(name: str) -> None:
    check_policy(POLICIES[name])


@pytest.mark.parametrize("name", AGGREGATORS)
def test_registered_aggregators_conform(name: str) -> None:
    check_aggregator(AGGREGATORS[name])


@dataclass
class Nearest:
    """A whole policy in a few lines: the `most` nearest free vehicles."""

    most: int = 2
    rounds: int = field(default=0, init=False)

    def plan(self, view: RoundView) -> RoundPlan:
        return draft(view, sorted(view.clients, key=lambda c: c.distance_m)[: self.most])

    def feedback(self, outcome: RoundOutcome) -> None:
        self.rounds += 1


def test_a_users_own_policy_conforms() -> None:
    check_policy(Nearest)


class Greedy(Nearest):
    def plan(self, view: RoundView) -> RoundPlan:
        plan = super().plan(view)
        whole = {v: replace(a, bandwidth_up_hz=view.bandwidth_up_hz) for v, a in plan.assignments.items()}
        return RoundPlan(whole)


class Fickle(Nearest):
    def plan(self, view: RoundView) -> RoundPlan:
        free = [c for c in view.clients if not c.busy]
        return draft(view, random.sample(free, k=min(1, len(free))))


class Deaf(Nearest):
    def feedback(self, outcome: RoundOutcome) -> None:
        if any(j.update is None for j in outcome.jobs):
            raise PolicyError("an update is missing")


class Vandal(Nearest):
    def plan(self, view: RoundView) -> RoundPlan:
        plan = super().plan(view)
        for client in view.clients:
            client.samples["signs"] = 0  # type: ignore[index]
        return plan


class Silent(Nearest):
    def plan(self, view: RoundView) -> RoundPlan:
        return None  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (Greedy, "bandwidth_up_hz add up to"),
        (Fickle, "two fresh instances plan differently"),
        (Deaf, "an update is missing"),
        (Vandal, "plan\\(\\) changed the view"),
        (Silent, "plan\\(\\) returned NoneType; it must return a RoundPlan"),
    ],
)
def test_the_kit_catches_faults(policy: type[Nearest], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        check_policy(policy)
