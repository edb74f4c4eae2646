"""The contracts of rules that move budgets and set prices."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from iovsim.domain import BudgetPolicy, CloudView, PriceRule, RoundUse, TaskUse
from iovsim.engine.ask import own_faults
from iovsim.engine.budgets import admit_budgets, admit_price
from iovsim.engine.state import Crowd
from iovsim.errors import PolicyError, ScenarioError
from iovsim.rng import stream

CALLS = 40
ROUNDS = 2


def check_budget(make: Callable[[], BudgetPolicy]) -> None:
    """Puts a budget rule through many merges and raises `PolicyError` with the first fault.

    Cities of one, two, three and seven tasks, those apart that the rule's `check` refuses, with every kind of task:
    busy and idle ones, hard and converged ones, ones that spend far above budget or whose loss is 0 or not finite.
    Budgets must be admissible (see `engine.budgets`), a rule made anew must move the same, and the order of tasks must
    not matter.
    """
    served = 0
    for tasks in (1, 2, 3, 7):
        try:
            make().check(tasks)
        except ScenarioError:
            continue
        served += 1
        for scale_j in (1e-3, 100.0, 1e6):
            _check_city(make, tasks, scale_j)
    if not served:
        raise PolicyError(f"{type(make()).__name__}: check() refuses any number of tasks.")


def check_price(make: Callable[[], PriceRule]) -> None:
    """Raises `PolicyError` at the first fault of a price rule.

    Prices must be finite and not negative after any round: with nothing spent, far too much, no budget, no clients; and
    a rule made anew must set the same. `bits` must not be negative.
    """
    first, second = make(), make()
    name = type(first).__name__
    if not (math.isfinite(first.bits) and first.bits >= 0):
        raise PolicyError(f"{name}: bits = {first.bits!r}; it must be a finite number from 0 on.")
    rng = stream(0, "check price")
    price, crowd = 0.0, Crowd()
    for number in range(200):
        used_j, budget_j = (float(rng.choice([0.0, 1e-3, 50.0, 1e6]) * rng.uniform()) for _ in range(2))
        clients = int(rng.integers(0, 20))
        use = RoundUse(number, budget_j, used_j, clients, crowd.meet(clients))
        with own_faults(f"{name}: update()"):
            one, other = (rule.update(price, use) for rule in (first, second))
        admit_price(f"{name}, round {number}", one)
        if one != other:
            raise PolicyError(f"{name}: two fresh instances set different prices after the same rounds.")
        price = one


def _check_city(make: Callable[[], BudgetPolicy], tasks: int, scale_j: float) -> None:
    """Follows the budgets of one city; two rules hear all in order, a third one backwards."""
    first, second, third = make(), make(), make()
    name = type(first).__name__
    budgets_j = {f"task{i}": scale_j * (1 + i) for i in range(tasks)}
    for view in _views(budgets_j, scale_j):
        with own_faults(f"{name}: redistribute()"):
            one, other, back = (
                dict(rule.redistribute(v))
                for rule, v in ((first, view), (second, view), (third, replace(view, tasks=view.tasks[::-1])))
            )
        admit_budgets(name, view, one)
        if one != other:
            raise PolicyError(f"{name}: two fresh instances move budgets differently after the same merges.")
        if any(not math.isclose(one[t], back[t], rel_tol=1e-6, abs_tol=1e-9 * view.total_j) for t in one):
            raise PolicyError(f"{name}: the order of tasks matters; found {one} and, told backwards, {back}.")
        budgets_j.update(one)


def _views(budgets_j: dict[str, float], scale_j: float) -> Iterator[CloudView]:
    """Merges of a city; `budgets_j` is what its tasks have when the next view is asked for."""
    rng = stream(0, "check budget", str(len(budgets_j)))
    losses = dict.fromkeys(budgets_j, 2.0)
    accuracies = dict.fromkeys(budgets_j, 0.1)
    for call in range(CALLS):
        uses = []
        for number, (task, budget_j) in enumerate(budgets_j.items()):
            part = (1.0, 0.0, rng.uniform(), 0.9)[(number + call // 10) % 4]
            loss = (2.0 * 0.95**call, 0.0, rng.uniform(0, 3), 1.5, (math.inf, math.nan)[call % 2])[number % 5]
            accuracy = float(rng.uniform()) if number % 3 else 0.0
            overrun_j = float(rng.choice([0.0, 100.0 * scale_j]))
            granted_j = ROUNDS * budget_j
            used_j = part * granted_j + overrun_j
            uses.append(
                TaskUse(task, budget_j, granted_j, used_j, overrun_j, loss, accuracy, losses[task], accuracies[task])
            )
            losses[task], accuracies[task] = loss, accuracy
        yield CloudView(ROUNDS, tuple(uses))
