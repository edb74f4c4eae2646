"""Every registered policy passes the conformance kit, and the kit catches what it should."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from iovsim.domain import (
    BudgetPolicy,
    CloudView,
    Drive,
    Fallback,
    FallbackView,
    PriceRule,
    Reroute,
    RoundOutcome,
    RoundPlan,
    RoundUse,
    RoundView,
    SetSpeed,
    StopAt,
    TrafficAction,
    TrafficRule,
    TrafficView,
    Way,
    WayKind,
)
from iovsim.errors import PolicyError, ScenarioError
from iovsim.learning.aggregators.kinds import AGGREGATORS
from iovsim.policies.budget import unchanged
from iovsim.policies.draft import draft
from iovsim.policies.fallback import CheapestWay, EarlyUpload, way_of
from iovsim.policies.kinds import BUDGETS, FALLBACKS, POLICIES, PRICES, TRAFFIC_RULES
from iovsim.policies.stay_covered import StayCovered
from iovsim.testing import check_aggregator, check_budget, check_fallback, check_policy, check_price, check_traffic


@pytest.mark.parametrize("name", POLICIES)
def test_registered_policies_conform(name: str) -> None:
    check_policy(POLICIES[name])


@pytest.mark.parametrize("name", AGGREGATORS)
def test_registered_aggregators_conform(name: str) -> None:
    check_aggregator(AGGREGATORS[name])


@pytest.mark.parametrize("name", BUDGETS)
def test_registered_budget_rules_conform(name: str) -> None:
    check_budget(BUDGETS[name])


@pytest.mark.parametrize("name", PRICES)
def test_registered_price_rules_conform(name: str) -> None:
    check_price(PRICES[name])


@pytest.mark.parametrize(
    "make",
    [
        *(FALLBACKS[name] for name in FALLBACKS if name != "none"),
        lambda: CheapestWay("authors"),
        lambda: CheapestWay(at_once=True),
        lambda: EarlyUpload(at_once=True),
    ],
)
def test_registered_fallbacks_conform(make: Callable[[], Fallback]) -> None:
    check_fallback(make)


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


class Half:
    """A whole budget rule: every task moves half way to an equal share."""

    def check(self, tasks: int) -> None: ...

    def redistribute(self, view: CloudView) -> dict[str, float]:
        return {t.task: 0.5 * (t.budget_j + view.total_j / len(view.tasks)) for t in view.tasks}


def test_a_users_own_budget_rule_conforms() -> None:
    check_budget(Half)


class Generous(Half):
    def redistribute(self, view: CloudView) -> dict[str, float]:
        return {t.task: 1.01 * t.budget_j for t in view.tasks}


class Forgetful(Half):
    def redistribute(self, view: CloudView) -> dict[str, float]:
        return dict(list(unchanged(view).items())[:1])


class Dicing(Half):
    def redistribute(self, view: CloudView) -> dict[str, float]:
        weights = {t.task: random.random() for t in view.tasks}
        return {t: view.total_j * w / sum(weights.values()) for t, w in weights.items()}


class FirstCome(Half):
    def redistribute(self, view: CloudView) -> dict[str, float]:
        return dict.fromkeys(unchanged(view), 0.0) | {view.tasks[0].task: view.total_j}


class Fragile(Half):
    def redistribute(self, view: CloudView) -> dict[str, float]:
        weights = {t.task: t.used_j for t in view.tasks}
        return {t: view.total_j * w / sum(weights.values()) for t, w in weights.items()}


class Picky(Half):
    def check(self, tasks: int) -> None:
        raise ScenarioError("never")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Generous, r"budgets must not be negative and must sum to"),
        (Forgetful, r"it returned the tasks \['task0'\], given were \['task0', 'task1'\]"),
        (Dicing, r"two fresh instances move budgets differently"),
        (FirstCome, r"the order of tasks matters"),
        (Fragile, r"Fragile: redistribute\(\) failed in .*test_contract.py, line \d+: ZeroDivisionError"),
        (Picky, r"check\(\) refuses any number of tasks"),
    ],
)
def test_the_kit_catches_faults_of_budget_rules(rule: type[BudgetPolicy], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        check_budget(rule)


@dataclass
class Steady:
    """A whole price rule: always the same."""

    bits: float = 32.0

    def update(self, price: float, use: RoundUse) -> float:
        return 0.5


class Sinking(Steady):
    def update(self, price: float, use: RoundUse) -> float:
        return price + use.used_j - use.budget_j


class ByHead(Steady):
    def update(self, price: float, use: RoundUse) -> float:
        return use.used_j / use.clients


class Moody(Steady):
    def update(self, price: float, use: RoundUse) -> float:
        return random.random()


def test_a_users_own_price_rule_conforms() -> None:
    check_price(Steady)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Steady(bits=-1.0), r"Steady: bits = -1.0; it must be a finite number from 0 on"),
        (Sinking, r"Sinking, round \d+: update\(\) returned -.*; a price is a finite number from 0 on"),
        (ByHead, r"ByHead: update\(\) failed in .*: ZeroDivisionError"),
        (Moody, r"two fresh instances set different prices"),
    ],
)
def test_the_kit_catches_faults_of_price_rules(make: Callable[[], PriceRule], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        check_price(make)


class Stubborn:
    """A whole fallback: a job goes on for as long as that is offered."""

    def choose(self, view: FallbackView) -> Way:
        return way_of(view, WayKind.GO_ON) or view.ways[-1]


class Hopeful:
    """Takes for granted that there is a carrier."""

    def choose(self, view: FallbackView) -> Way:
        return next(way for way in view.ways if way.kind is WayKind.CARRIER)


class Whimsical:
    def choose(self, view: FallbackView) -> Way:
        return random.choice(view.ways)


class Inventive:
    def choose(self, view: FallbackView) -> Way:
        return Way(WayKind.UPLOAD, fraction=1.0)


def test_a_users_own_fallback_conforms() -> None:
    check_fallback(Stubborn)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Hopeful, r"fallback Hopeful: choose\(\) failed in .*: StopIteration"),
        (Inventive, r"fallback Inventive: choose\(\) returned Way.*one of view\.ways"),
        (Whimsical, r"Whimsical: two fresh instances choose differently"),
    ],
)
def test_the_kit_catches_faults_of_fallbacks(make: Callable[[], Fallback], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        check_fallback(make)


@pytest.mark.parametrize(
    "make",
    [
        *(cast("Callable[[], TrafficRule]", TRAFFIC_RULES[name]) for name in TRAFFIC_RULES if name != "none"),
        lambda: StayCovered(safety=1.0, least_share=1.0, detour=True),
    ],
)
def test_registered_traffic_rules_conform(make: Callable[[], TrafficRule]) -> None:
    check_traffic(make)


@dataclass
class Chauffeur:
    """A whole traffic rule: does to each client that is on the road what `act_on` says."""

    act_on: Callable[[TrafficView, Drive], TrafficAction]

    def act(self, view: TrafficView) -> list[TrafficAction]:
        return [self.act_on(view, drive) for drive in view.drives.values()]


def slower(view: TrafficView, drive: Drive) -> TrafficAction:
    return SetSpeed(drive.vehicle, 0.5 * drive.allowed_mps * float(view.round.rng.random()), view.next_s)


@pytest.mark.parametrize(
    "act_on",
    [
        slower,
        lambda view, drive: Reroute(drive.vehicle, view.edges[view.rsu.rsu]),
        lambda view, drive: StopAt(drive.vehicle, min(view.stations), 60.0) if view.stations else slower(view, drive),
    ],
)
def test_a_users_own_traffic_rule_conforms(act_on: Callable[[TrafficView, Drive], TrafficAction]) -> None:
    check_traffic(lambda: Chauffeur(act_on))


@pytest.mark.parametrize(
    ("act_on", "message"),
    [
        (lambda view, drive: Reroute(drive.vehicle, "nowhere"), r"rule Chauffeur.* the road network has no edge 'now"),
        (lambda view, drive: SetSpeed("v99", 1.0, view.next_s), r"vehicle 'v99' is not attached to this RSU"),
        (lambda view, drive: SetSpeed(drive.vehicle, 1.0, 0.0), r"until_s = 0; it must be finite and after"),
        (lambda view, drive: StopAt(drive.vehicle, "plug0", 60.0), r"no charging station 'plug0'; it has none\."),
        (lambda view, drive: SetSpeed(drive.vehicle, random.random(), view.next_s), r"two fresh instances act diff"),
        (lambda view, drive: view.stations["x"], r"act\(\) failed in .*: KeyError"),
        (lambda view, drive: None, r"act\(\) gave None; allowed are Reroute, SetSpeed and StopAt"),
    ],
)
def test_the_kit_catches_faults_of_traffic_rules(
    act_on: Callable[[TrafficView, Drive], TrafficAction], message: str
) -> None:
    with pytest.raises(PolicyError, match=message):
        check_traffic(lambda: Chauffeur(act_on))


def test_the_kit_catches_traffic_rules_that_change_views() -> None:
    class Dropping(Chauffeur):
        def act(self, view: TrafficView) -> list[TrafficAction]:
            view.drives.clear()  # type: ignore[attr-defined]
            return []

    with pytest.raises(PolicyError, match=r"act\(\) changed the view"):
        check_traffic(lambda: Dropping(slower))
