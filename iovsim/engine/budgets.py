"""What rounds spent becomes prices, after each of them, and budgets, after merges."""

from __future__ import annotations

import math
from collections.abc import Mapping

from iovsim.domain import CloudView, RoundOutcome, RoundUse, TaskUse, World
from iovsim.engine.ask import own_faults
from iovsim.engine.records import record_budget
from iovsim.engine.state import Setting, Spent, State
from iovsim.errors import PolicyError

TOLERANCE = 1e-6
"""Relative slack on the sum of budgets."""


def settle(setting: Setting, state: State, outcome: RoundOutcome) -> None:
    """Counts what a round of an RSU was granted and spent, by task, and moves the tasks' prices there.

    Raises `PolicyError` for a price that is no finite number from 0 on.
    """
    rule = setting.method.price
    for task in outcome.view.tasks:
        used_j = outcome.energy_j.get(task.task, 0.0)
        spent = state.spent[task.task]
        spent.granted_j += task.energy_budget_j
        spent.used_j += used_j
        spent.overrun_j += max(used_j - task.energy_budget_j, 0.0)
        where = f"RSU {outcome.rsu!r}, round {outcome.round}, task {task.task!r}, price rule {type(rule).__name__}"
        clients = sum(task.task in c.tasks for c in outcome.view.clients)
        mean_clients = state.crowd[outcome.rsu, task.task].meet(clients)
        use = RoundUse(outcome.round, task.energy_budget_j, used_j, clients, mean_clients)
        with own_faults(f"{where}: update()"):
            price = rule.update(task.price, use)
            admit_price(where, price)
        state.price[outcome.rsu, task.task] = price


def redistribute(setting: Setting, state: State, time_s: float) -> None:
    """Lets the method move energy budget between tasks. Raises `PolicyError` unless tasks and sum stay the same."""
    rule = setting.method.budget
    hosts = _hosts(setting.world)
    view = _view(setting.world, state, hosts)
    where = f"budget rule {type(rule).__name__}"
    with own_faults(f"{where}: redistribute()"):
        budgets_j = dict(rule.redistribute(view))
        admit_budgets(where, view, budgets_j)
    for task in view.tasks:
        record_budget(setting, state, time_s, view.rounds, task, budgets_j[task.task])
        if budgets_j[task.task] != task.budget_j:  # what was kept stays the same to the last bit
            state.budget_j[task.task] = budgets_j[task.task] / hosts[task.task]
        state.spent[task.task] = Spent()
    state.validated_before = dict(state.validated)


def admit_budgets(where: str, view: CloudView, budgets_j: Mapping[str, float]) -> None:
    """Raises `PolicyError` unless there is a budget for each task, none below 0, and they sum to the total."""
    given = sorted(t.task for t in view.tasks)
    if sorted(budgets_j) != given:
        raise PolicyError(f"{where}: it returned the tasks {sorted(budgets_j)}, given were {given}.")
    total_j = view.total_j
    sum_j = math.fsum(budgets_j.values())
    if not (abs(sum_j - total_j) <= TOLERANCE * total_j and min(budgets_j.values()) >= 0):
        raise PolicyError(
            f"{where}: budgets must not be negative and must sum to {total_j:.6g} J, found {dict(budgets_j)} with the "
            f"sum {sum_j:.6g} J."
        )


def admit_price(where: str, price: float) -> None:
    """Raises `PolicyError` unless the price is a finite number from 0 on."""
    if not (math.isfinite(price) and price >= 0):
        raise PolicyError(f"{where}: update() returned {price!r}; a price is a finite number from 0 on.")


def _hosts(world: World) -> dict[str, int]:
    """How many RSUs run rounds of each task."""
    return {t.task: sum(t.task in r.tasks for r in world.rsus) for t in world.tasks}


def _view(world: World, state: State, hosts: Mapping[str, int]) -> CloudView:
    return CloudView(
        rounds=world.merge_every_rounds,
        tasks=tuple(
            TaskUse(
                task=name,
                budget_j=state.budget_j[name] * hosts[name],
                granted_j=state.spent[name].granted_j,
                used_j=state.spent[name].used_j,
                overrun_j=state.spent[name].overrun_j,
                loss=state.validated[name].loss,
                accuracy=state.validated[name].accuracy,
                loss_before=state.validated_before[name].loss,
                accuracy_before=state.validated_before[name].accuracy,
            )
            for name in state.budget_j
        ),
    )
