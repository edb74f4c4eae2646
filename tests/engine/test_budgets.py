"""What rounds spent reaches the rules of budgets and prices as it was, and what they say holds from then on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from iovsim.domain import (
    Adapter,
    Assignment,
    BudgetPolicy,
    CloudView,
    Evaluation,
    Head,
    PriceRule,
    RoundOutcome,
    RoundPlan,
    RoundUse,
    RoundView,
    World,
)
from iovsim.engine.course import downlink, uplink
from iovsim.engine.estimate import estimate
from iovsim.engine.terms import Terms
from iovsim.errors import PolicyError
from iovsim.policies.convergence import ConvergenceBudgets
from iovsim.policies.kinds import all_available, energy_budget
from iovsim.policies.price import DualPrice
from iovsim.testing import FakeTrainer, tiny_world

from .conftest import two_task_world

if TYPE_CHECKING:
    from .conftest import Runner


@dataclass
class Listening:
    """A budget rule that keeps what it was told, and moves `step_j` from lights to signs at every call."""

    step_j: float = 0.0
    heard: list[CloudView] = field(default_factory=list)

    def check(self, tasks: int) -> None: ...

    def redistribute(self, view: CloudView) -> Mapping[str, float]:
        self.heard.append(view)
        budgets = {t.task: t.budget_j for t in view.tasks}
        return budgets | {"signs": budgets["signs"] + self.step_j, "lights": budgets["lights"] - self.step_j}


def uneven_world() -> World:
    """Both RSUs host signs, the first alone hosts lights."""
    world = two_task_world()
    return replace(world, rsus=(world.rsus[0], replace(world.rsus[1], tasks=("signs",))))


def by_period(rounds: pd.DataFrame, task: str, *columns: str) -> list[tuple[Any, ...]]:
    """Sums over RSUs of two rounds at a time, which is what lies between merges."""
    mine = rounds[rounds["task"] == task].groupby(lambda i: rounds["round"][i] // 2)[list(columns)].sum()
    return list(mine.itertuples(index=False, name=None))


def test_a_rule_hears_what_rounds_since_the_last_merge_were_granted_and_spent(run_world: Runner) -> None:
    rule = Listening()
    run, _ = run_world(uneven_world(), all_available(), budget=rule)
    rounds, merges = run.table("rounds"), run.table("merges")
    assert len(rule.heard) == merges["merge"].max() - 1 == 2, "nothing is asked after the last merge"
    assert [view.rounds for view in rule.heard] == [2, 2]
    for task in ("signs", "lights"):
        heard = [next(t for t in view.tasks if t.task == task) for view in rule.heard]
        spent = by_period(rounds, task, "energy_budget_j", "energy_j", "overrun_j")[:2]
        np.testing.assert_allclose([(t.granted_j, t.used_j, t.overrun_j) for t in heard], spent, rtol=1e-12)
        assert any(t.overrun_j > 0 for t in heard)
        for t, (granted_j, used_j, overrun_j) in zip(heard, spent, strict=True):
            assert t.utilisation == pytest.approx((used_j - overrun_j) / granted_j)
    assert 0 < rule.heard[0].tasks[0].utilisation < 1, "one RSU's overrun makes up for no other's rest"
    assert [t.budget_j for t in rule.heard[0].tasks] == [1000.0, 100.0], "of all RSUs that host it"
    assert rule.heard[0].total_j == 1100.0


def test_a_rule_sees_validation_figures_now_and_before_and_none_of_the_held_out_set(run_world: Runner) -> None:
    class Apart(FakeTrainer):
        def evaluate(self, task: str, adapter: Adapter, heads: tuple[Head, ...] = ()) -> Evaluation:  # type: ignore[override]
            found = super().evaluate(task, adapter, heads)
            return replace(found, overall=replace(found.overall, accuracy=0.999, loss=123.0))

    rule = Listening()
    run, _ = run_world(two_task_world(), all_available(), budget=rule, trainer=Apart())
    evaluations = run.table("evaluations").query("scope == 'validation'")
    for task in ("signs", "lights"):
        rows = evaluations[evaluations["task"] == task].sort_values("merge")
        losses, accuracies = rows["loss"].tolist(), rows["accuracy"].tolist()
        assert len(set(losses)) == len(losses) == 4
        for number, view in enumerate(rule.heard):
            seen = next(t for t in view.tasks if t.task == task)
            assert (seen.loss_before, seen.loss) == (losses[number], losses[number + 1])
            assert (seen.accuracy_before, seen.accuracy) == (accuracies[number], accuracies[number + 1])


def test_budgets_hold_from_the_merge_on_and_are_shared_by_the_rsus_of_a_task(run_world: Runner) -> None:
    rule = Listening(step_j=30.0)
    run, _ = run_world(uneven_world(), all_available(), budget=rule)
    rounds, budgets = run.table("rounds"), run.table("budgets")
    seen = rounds.groupby(["task", "round"])["energy_budget_j"].unique().map(list)
    for period, (signs_j, lights_j) in enumerate([(500.0, 100.0), (515.0, 70.0), (530.0, 40.0)]):
        for number in (2 * period, 2 * period + 1):
            assert seen["signs", number] == [signs_j]
            assert seen["lights", number] == [lights_j]
    total_j = rounds.groupby("round")["energy_budget_j"].sum()
    assert total_j.tolist() == [1100.0] * 6, "what all RSUs are granted in a period never changes"
    assert budgets.groupby("merge")[["budget_before_j", "budget_j"]].sum().to_numpy().tolist() == [[1100.0] * 2] * 2
    assert budgets["time_s"].tolist() == [40.0, 40.0, 80.0, 80.0]
    spent = rounds.query("round < 4")[["energy_budget_j", "energy_j", "overrun_j"]].sum()
    np.testing.assert_allclose(budgets[["granted_j", "used_j", "overrun_j"]].sum(), spent)


def test_an_idle_task_loses_budget_to_a_busy_one_in_a_run(run_world: Runner) -> None:
    class OnlySigns:
        def plan(self, view: RoundView) -> RoundPlan:
            plan = energy_budget().plan(view)
            return RoundPlan({v: a for v, a in plan.assignments.items() if a.task == "signs"})

        def feedback(self, outcome: RoundOutcome) -> None: ...

    run, _ = run_world(two_task_world(), OnlySigns(), budget=ConvergenceBudgets(every_rounds=2, cap_share=0.95))
    lights = run.table("rounds").query("task == 'lights'").groupby("round")["energy_budget_j"].first()
    assert lights.tolist() == pytest.approx([100.0] * 2 + [0.08 * 600.0] * 4)


def wrong(change: Callable[[dict[str, float]], object]) -> BudgetPolicy:
    class Wrong(Listening):
        def redistribute(self, view: CloudView) -> Mapping[str, float]:
            return change({t.task: t.budget_j for t in view.tasks})  # type: ignore[return-value]

    return Wrong()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda b: {"signs": 1200.0},
            r"rule Wrong: it returned the tasks \['signs'\], given were \['lights', 'signs'\]",
        ),
        (lambda b: b | {"signs": 1001.0}, r"must sum to 1200 J, found .* with the sum 1201 J"),
        (lambda b: b | {"signs": math.nan}, r"must sum to 1200 J, found .* with the sum nan J"),
        (lambda b: {"signs": 1300.0, "lights": -100.0}, r"budgets must not be negative"),
        (lambda b: b["sings"], r"budget rule Wrong: redistribute\(\) failed in .*test_budgets.py, line \d+: KeyError"),
        (lambda b: None, r"budget rule Wrong: redistribute\(\) failed in .*: TypeError"),
    ],
)
def test_a_rules_own_faults_are_told(
    run_world: Runner, change: Callable[[dict[str, float]], object], message: str
) -> None:
    with pytest.raises(PolicyError, match=message):
        run_world(two_task_world(), all_available(), budget=wrong(change))


class Watching:
    """Everybody trains; keeps the price of every view, by RSU, round and task."""

    def __init__(self) -> None:
        self.prices: dict[tuple[str, int, str], float] = {}

    def plan(self, view: RoundView) -> RoundPlan:
        self.prices |= {(view.rsu, view.round, t.task): t.price for t in view.tasks}
        return all_available().plan(view)

    def feedback(self, outcome: RoundOutcome) -> None: ...


@pytest.mark.parametrize("step_j", [0.0, 30.0])
def test_a_task_has_a_price_at_each_rsu_which_a_change_of_its_budget_leaves(run_world: Runner, step_j: float) -> None:
    policy, rule = Watching(), DualPrice(price_max=4.0)
    run, _ = run_world(two_task_world(), policy, budget=Listening(step_j), price=rule)
    rounds = run.table("rounds")
    prices = {(r.rsu, r.round, r.task): r.price for r in rounds.itertuples()}
    assert prices == policy.prices, "what is recorded is what was seen"
    for (_, _), mine in rounds.sort_values("round").groupby(["rsu", "task"]):
        price, met = 0.0, mine["clients"].where(mine["clients"] > 0).expanding().mean()
        for row, mean in zip(mine.itertuples(), met, strict=True):
            assert row.price == price
            price = rule.update(price, RoundUse(0, row.energy_budget_j, row.energy_j, row.clients, mean))  # type: ignore[arg-type]
    assert rounds["price"].nunique() > 5
    assert len(set(rounds.query("round == 3")["price"])) > 1
    assert rounds["energy_budget_j"].nunique() == (6 if step_j else 2)


def test_the_price_comes_with_every_download_and_counts_there(run_world: Runner, world: World) -> None:
    free, _ = run_world(world, all_available())
    priced, _ = run_world(world, all_available(), price=DualPrice(bits=32.0))
    for run, bits in ((free, 0.0), (priced, 32.0)):
        done = run.table("jobs").query("status == 'delivered'")
        assert len(done) > 5
        assert (done["downlink_bits"] - done["uplink_bits"] == bits).all()
    assert (free.table("rounds")["price"] == 0).all()


def test_a_download_with_a_price_takes_longer_and_is_predicted_so(terms: Callable[[float], Terms]) -> None:
    assignment = Assignment("v0", "signs", 8, 1, 2e6, 2e6, 0.2, 28.0)
    free, priced = terms(100.0), replace(terms(100.0), price_bits=1e6)
    down, dear = downlink(free, assignment, 0.0, 100.0), downlink(priced, assignment, 0.0, 100.0)
    assert dear.bits == down.bits + 1e6
    assert dear.end_s > down.end_s
    assert estimate(priced, assignment, 0.0).downlink_s == pytest.approx(dear.end_s)
    assert uplink(priced, assignment, 0.0, 100.0) == uplink(free, assignment, 0.0, 100.0)


def test_a_policy_that_weighs_the_price_keeps_to_the_budget_where_it_binds(run_world: Runner) -> None:
    """Vehicles of unequal worth, in a jam: each round those take part whose worth exceeds the price of their energy."""

    class Priced:
        def plan(self, view: RoundView) -> RoundPlan:
            worth = dict(zip([c.vehicle for c in view.clients], view.rng.uniform(size=len(view.clients)), strict=True))
            (task,) = view.tasks
            plan = all_available().plan(view).assignments
            taken = {v: a for v, a in plan.items() if worth[v] > task.price * view.estimate(a).energy_j / 150.0}
            return RoundPlan(taken)

        def feedback(self, outcome: RoundOutcome) -> None: ...

    world = jam(rounds=100)
    rule = DualPrice(reference_j=150.0)
    for budget_j, binds in ((400.0, True), (3000.0, False)):
        tasks = (replace(world.tasks[0], round_energy_j=budget_j),)
        run, _ = run_world(replace(world, tasks=tasks), Priced(), price=rule)
        rounds = run.table("rounds")
        if binds:
            assert rounds["energy_j"].mean() == pytest.approx(budget_j, rel=0.1)
            assert (rounds["price"][20:] > 0).all()
        else:
            assert 400.0 < rounds["energy_j"].mean() < budget_j
            assert (rounds["price"] == 0).all()


def jam(rounds: int) -> World:
    """One RSU, ten vehicles that hardly move."""
    world = tiny_world(5, vehicles=10, rsus=1, duration_s=20.0)
    end_s = 20.0 * rounds
    slow = [replace(c, end_s=end_s, time_s=c.time_s * rounds) for c in world.contacts]
    links = [replace(world.links.link(c.contact), time_s=c.time_s) for c in slow]
    return replace(world, end_s=end_s, contacts=Jam(slow), links=Links(links), merge_every_rounds=10)


class Jam(list[Any]):
    """A contact book of contacts that last all the time."""

    def active(self, rsu: str, time_s: float) -> list[Any]:
        return sorted(self, key=lambda c: c.vehicle)

    def of_vehicle(self, vehicle: str) -> list[Any]:
        return [c for c in self if c.vehicle == vehicle]


class Links(list[Any]):
    """Their links."""

    def link(self, contact: int) -> Any:
        return next(link for link in self if link.contact == contact)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_a_price_that_is_none_is_refused(run_world: Runner, world: World, value: float) -> None:
    class Wrong:
        bits = 0.0

        def update(self, price: float, use: RoundUse) -> float:
            return value

    rule: PriceRule = Wrong()
    with pytest.raises(PolicyError, match=r"RSU 'rsu0', round 0, task 'signs', price rule Wrong: update\(\) returned"):
        run_world(world, all_available(), price=rule)
