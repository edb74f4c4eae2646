"""UCB-DUAL in the engine: where the budget binds the price keeps a task within it, with a slack one it is UCB."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from iovsim.domain import RoundUse, World
from iovsim.policies.bandit_rank import ucb_dual
from iovsim.policies.price import DualPrice
from iovsim.policies.select import SelectAll
from iovsim.policies.staged import StagedPolicy
from tests.engine.conftest import Runner
from tests.engine.test_budgets import jam

REFERENCE_J = 80.0
PRICE = DualPrice(step=4.0, falling=True, reference_j=REFERENCE_J)


def policy(**changes: float | bool) -> StagedPolicy:
    return StagedPolicy((SelectAll(), ucb_dual(energy_ref_j=REFERENCE_J, **changes)))  # type: ignore[arg-type]


def with_budget(world: World, budget_j: float) -> World:
    return replace(world, tasks=(replace(world.tasks[0], round_energy_j=budget_j),))


@pytest.fixture(scope="module")
def crowd() -> World:
    return jam(rounds=150)


def test_the_price_keeps_a_task_within_a_budget_that_binds(crowd: World, run_world: Runner) -> None:
    free, _ = run_world(with_budget(crowd, 1e6), policy())
    most_j = free.table("rounds")["energy_j"].mean()
    run, _ = run_world(with_budget(crowd, 0.5 * most_j), policy(), price=PRICE)
    rounds = run.table("rounds")
    assert (rounds["price"][20:] > 0).all()
    used = rounds["energy_j"].cumsum() / (0.5 * most_j * pd.RangeIndex(1, len(rounds) + 1))
    assert used.iloc[-1] < 1.05, "on average the budget is kept"
    assert used.iloc[-1] - 1 < used.iloc[20] - 1 + 0.02, "and more closely the longer it lasts"
    assert used.iloc[-1] > 0.7, "and what is granted is used"


def test_with_a_slack_budget_the_price_stays_0_and_it_is_ucb(crowd: World, run_world: Runner) -> None:
    slack = with_budget(crowd, 1e6)
    dual, _ = run_world(slack, policy(), price=PRICE)
    plain, _ = run_world(slack, policy(cost_scale=0.0, decline=False))
    assert (dual.table("rounds")["price"] == 0).all()
    columns = ["round", "vehicle", "rank", "status"]
    pd.testing.assert_frame_equal(dual.table("jobs")[columns], plain.table("jobs")[columns])
    assert dual.table("jobs")["rank"].nunique() > 2


def test_a_price_that_rose_returns_to_0_when_the_budget_is_slack_again() -> None:
    rule, price = PRICE, 0.0
    for number in range(40):
        price = rule.update(price, RoundUse(number, 400.0, 600.0, 10, 10.0))
    assert price > 0
    for number in range(40, 400):
        price = rule.update(price, RoundUse(number, 1200.0, 600.0, 10, 10.0))
    assert price == 0.0
