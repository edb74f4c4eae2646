"""The cloud: the RSUs' adapters of a task become one, which all RSUs go on with; budgets move; quality is measured."""

from __future__ import annotations

from iovsim.domain import Adapter, TaskView, Update
from iovsim.engine.observe import task_view
from iovsim.engine.records import record_evaluation, record_merge, record_validation, record_vehicle_evaluations
from iovsim.engine.state import Contribution, Setting, State
from iovsim.errors import PolicyError


def merge(setting: Setting, state: State, time_s: float, *, last: bool) -> None:
    """Merges every task across RSUs, weighted by the samples aggregated since the last merge.

    The adapters travel between RSUs and cloud over wire; that is not charged. After every `evaluate_every_merges`-th
    merge, and after the last, the merged adapter is evaluated.
    """
    state.merges += 1
    due = last or state.merges % setting.world.evaluate_every_merges == 0
    for task in setting.world.tasks:
        contributions = _take_contributions(setting, state, task.task)
        if contributions:
            updates = [_as_update(state.local[r, task.task], c) for r, c in contributions.items()]
            state.merged[task.task] = setting.method.aggregator.aggregate(state.merged[task.task], updates)
        for rsu in setting.world.rsus:
            if task.task in rsu.tasks:
                state.local[rsu.rsu, task.task] = state.merged[task.task]
        record_merge(setting, state, time_s, task.task, contributions)
        if due:
            evaluate(setting, state, time_s, task.task)
        if last or _is_due(state.merges, setting.world.evaluate_vehicles_every_merges):
            record_vehicle_evaluations(setting, state, time_s, task)
        if last or _is_due(state.merges, setting.world.keep_adapters_every_merges):
            name = "final" if last else f"merge-{state.merges:04d}"
            setting.keep_adapter(task.task, name, state.merged[task.task])
    redistribute_budgets(setting, state)


def evaluate(setting: Setting, state: State, time_s: float, task: str) -> None:
    """Measures the merged adapter on held-out samples, for the record, and on validation samples, for policies."""
    record_evaluation(setting, state, time_s, task, setting.trainer.evaluate(task, state.merged[task]))
    validation = setting.trainer.validate(task, state.merged[task])
    record_validation(setting, state, time_s, task, validation)
    state.accuracy[task] = validation.accuracy


def redistribute_budgets(setting: Setting, state: State) -> None:
    """Lets the method move energy budget between tasks. Raises `PolicyError` unless tasks and sum stay the same."""
    views: list[TaskView] = [task_view(state, t, setting.method.tuning) for t in setting.world.tasks]
    budgets = dict(setting.method.budget.redistribute(views))
    if budgets.keys() != state.budget_j.keys():
        raise PolicyError(
            f"budget policy: it returned the tasks {sorted(budgets)}, given were {sorted(state.budget_j)}."
        )
    before_j, after_j = sum(state.budget_j.values()), sum(budgets.values())
    if abs(after_j - before_j) > 1e-6 * before_j or min(budgets.values()) < 0:
        raise PolicyError(
            f"budget policy: budgets must be non-negative and sum to {before_j:.6g} J, found {budgets} "
            f"with the sum {after_j:.6g} J."
        )
    state.budget_j = budgets


def _is_due(merge: int, every: int | None) -> bool:
    return every is not None and merge % every == 0


def _take_contributions(setting: Setting, state: State, task: str) -> dict[str, Contribution]:
    """The task's contributions by RSU since the last merge; they count once."""
    taken = {}
    for rsu in setting.world.rsus:
        contribution = state.contributions.pop((rsu.rsu, task), None)
        if contribution is not None and contribution.weight > 0:
            taken[rsu.rsu] = contribution
    return taken


def _as_update(adapter: Adapter, contribution: Contribution) -> Update:
    """An RSU's adapter as the aggregator takes it; only the weight, samples times fraction, matters there."""
    fraction = contribution.weight / contribution.samples
    return Update(adapter, contribution.samples, float("nan"), float("nan"), fraction)
