"""The cloud: the RSUs' adapters of a task become one, which all RSUs go on with; budgets move; quality is measured."""

from __future__ import annotations

from dataclasses import replace

from iovsim.domain import Adapter, Head, Task, Update
from iovsim.engine.budgets import redistribute
from iovsim.engine.records import record_evaluation, record_merge, record_validation, record_vehicle_evaluations
from iovsim.engine.state import Contribution, Setting, State


def merge(setting: Setting, state: State, time_s: float, *, last: bool) -> None:
    """Merges every task across RSUs, weighted by the samples aggregated since the last merge.

    The adapters travel between RSUs and cloud over wire; that is not charged. Every merged adapter is validated; after
    every `evaluate_every_merges`-th merge, and after the last, it is evaluated.
    """
    state.merges += 1
    due = last or state.merges % setting.world.evaluate_every_merges == 0
    for task in setting.world.tasks:
        contributions = _take_contributions(setting, state, task.task)
        if contributions:
            ranks = sum(c.ranks for c in contributions.values())
            state.merged_ranks[task.task] = state.merged_ranks.get(task.task, 0) + ranks
            updates = [_as_update(state.local[r, task.task], c) for r, c in contributions.items()]
            state.merged[task.task] = setting.method.aggregator.aggregate(state.merged[task.task], updates)
        for rsu in setting.world.rsus:
            if task.task in rsu.tasks:
                state.local[rsu.rsu, task.task] = state.merged[task.task]
        record_merge(setting, state, time_s, task.task, contributions)
        validate(setting, state, time_s, task)
        if due:
            evaluate(setting, state, time_s, task)
        if last or _is_due(state.merges, setting.world.evaluate_vehicles_every_merges):
            record_vehicle_evaluations(setting, state, time_s, task)
        if last or _is_due(state.merges, setting.world.keep_adapters_every_merges):
            name = "final" if last else f"merge-{state.merges:04d}"
            heads = {vehicle: head for (vehicle, of_task), head in sorted(state.heads.items()) if of_task == task.task}
            setting.keep_adapter(task.task, name, state.merged[task.task], heads)
    if not last:
        redistribute(setting, state, time_s)


def evaluate(setting: Setting, state: State, time_s: float, task: Task) -> None:
    """Measures the merged adapter on the task's held-out samples, for the record."""
    heads = _heads(setting, state, task)
    found = setting.trainer.evaluate(task.task, state.merged[task.task], heads)
    record_evaluation(setting, state, time_s, task.task, found)


def validate(setting: Setting, state: State, time_s: float, task: Task) -> None:
    """Measures it on validation samples, which is what policies and budget rules see from now on."""
    found = setting.trainer.validate(task.task, state.merged[task.task], _heads(setting, state, task))
    record_validation(setting, state, time_s, task.task, found)
    state.validated[task.task] = found


def _heads(setting: Setting, state: State, task: Task) -> list[Head]:
    """Where heads stay local, those of the task's evaluated vehicles: what is reported is the mean over them."""
    if not task.local_head:
        return []
    return [state.head(v, task.task) for v in setting.world.evaluated_vehicles[task.task]]


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
    """An RSU's adapter as the aggregator takes it, without layers that none of its updates had.

    Of the other figures only the weight, samples times fraction, matters there. A layer counts with the RSU's whole
    weight, however many of its clients had it (ours).
    """
    fraction = contribution.weight / contribution.samples
    if contribution.held != adapter.tensors.keys():
        held = {name: array for name, array in adapter.tensors.items() if name in contribution.held}
        adapter = replace(adapter, tensors=held)
    return Update(adapter, contribution.samples, float("nan"), float("nan"), fraction)
