"""A plan passes, or is refused with the reason: bandwidth, power, memory, presence and, where asked for, the budget.

Nothing is clipped in silence: a policy that asks for what cannot be is wrong and is told so.
"""

from __future__ import annotations

from collections.abc import Mapping

from iovsim.domain import Assignment, ClientView, RoundPlan, RoundView
from iovsim.errors import PolicyError

TOLERANCE = 1e-9
"""Relative slack on sums of shares: n shares of B/n may add up to a little more than B."""


def admit(view: RoundView, plan: RoundPlan, *, refuse_over_budget: bool) -> dict[str, float]:
    """The plan's estimated joules by task, once all checks have passed.

    Raises `PolicyError` that names RSU, round, vehicle, what was asked and what is allowed.
    """
    where = f"RSU {view.rsu!r}, round {view.round}"
    clients = {c.vehicle: c for c in view.clients}
    tasks = {t.task: t for t in view.tasks}
    for key, assignment in plan.assignments.items():
        _check_client(f"{where}, vehicle {key!r}", key, assignment, clients)
        _check_terms(f"{where}, vehicle {key!r}", assignment, view)
        _check_blocks(f"{where}, vehicle {key!r}", assignment, view, clients[key].memory_bits)
    _check_sum(where, "bandwidth_down_hz", view.bandwidth_down_hz, plan.assignments)
    _check_sum(where, "bandwidth_up_hz", view.bandwidth_up_hz, plan.assignments)
    energy_j = dict.fromkeys(tasks, 0.0)
    for assignment in plan.assignments.values():
        energy_j[assignment.task] += view.estimate(assignment).energy_j
    if refuse_over_budget:
        for name, spent_j in energy_j.items():
            if not spent_j <= tasks[name].energy_budget_j * (1 + TOLERANCE):
                raise PolicyError(
                    f"{where}, task {name!r}: the plan is estimated at {spent_j:.6g} J, the budget is "
                    f"{tasks[name].energy_budget_j:.6g} J; plan fewer clients or lower ranks, or set "
                    "rounds.over_budget = 'record' in the scenario."
                )
    return energy_j


def _check_client(where: str, key: str, assignment: Assignment, clients: Mapping[str, ClientView]) -> None:
    if assignment.vehicle != key:
        raise PolicyError(f"{where}: its assignment names the vehicle {assignment.vehicle!r}; the two must agree.")
    if key not in clients:
        raise PolicyError(f"{where}: not attached to this RSU; plan only vehicles of view.clients.")
    client = clients[key]
    if client.busy:
        raise PolicyError(f"{where}: busy with another job; a vehicle has one job at a time.")
    if assignment.task not in client.tasks:
        raise PolicyError(
            f"{where}: has no data for task {assignment.task!r} here; its tasks are {sorted(client.tasks)}."
        )
    if client.battery is not None and client.battery.is_low:
        raise PolicyError(
            f"{where}: its battery holds {client.battery.charge_j:.6g} J, and jobs must leave a reserve of "
            f"{client.battery.reserve_j:.6g} J; plan only vehicles with feasible ranks."
        )
    feasible = client.feasible_ranks[assignment.task]
    if not feasible or not min(feasible[0], 1) <= assignment.rank <= feasible[-1]:
        raise PolicyError(
            f"{where}: rank {assignment.rank} does not fit; of the task's ranks its memory holds {list(feasible)}, and "
            "anything below the largest of these."
        )


def _check_blocks(where: str, assignment: Assignment, view: RoundView, room_bits: float) -> None:
    """Blocks that are left out, and whether what is left fits into the memory."""
    if assignment.blocks is not None:
        known = range(next(t.blocks for t in view.tasks if t.task == assignment.task))
        if not assignment.blocks or sorted(set(assignment.blocks) & set(known)) != list(assignment.blocks):
            raise PolicyError(
                f"{where}: blocks = {assignment.blocks}; allowed are None for all, or some of {list(known)}, ascending."
            )
    needed_bits = view.estimate(assignment).memory_bits
    if needed_bits > room_bits * (1 + TOLERANCE):
        raise PolicyError(
            f"{where}: rank {assignment.rank} takes {needed_bits / 8e6:.4g} MB of memory, training may take "
            f"{room_bits / 8e6:.4g} MB here; lower the rank, or leave more blocks out."
        )


def _check_terms(where: str, assignment: Assignment, view: RoundView) -> None:
    if not 0 < assignment.power_w <= view.max_power_w * (1 + TOLERANCE):
        raise PolicyError(f"{where}: power_w = {assignment.power_w:g}; allowed are (0, {view.max_power_w:g}].")
    for name in ("bandwidth_down_hz", "bandwidth_up_hz"):
        if not getattr(assignment, name) > 0:
            raise PolicyError(f"{where}: {name} = {getattr(assignment, name):g}; it must be positive.")
    for name in ("rank", "local_epochs"):
        if not isinstance(getattr(assignment, name), int):
            raise PolicyError(f"{where}: {name} = {getattr(assignment, name)!r}; it must be a whole number (int).")
    if assignment.local_epochs < 1:
        raise PolicyError(f"{where}: local_epochs = {assignment.local_epochs}; it must be at least 1.")
    if not view.start_s < assignment.deadline_s <= view.deadline_s:
        raise PolicyError(
            f"{where}: deadline_s = {assignment.deadline_s:g}; allowed are ({view.start_s:g}, {view.deadline_s:g}]."
        )


def _check_sum(where: str, name: str, band_hz: float, assignments: Mapping[str, Assignment]) -> None:
    asked_hz = sum(getattr(a, name) for a in assignments.values())
    if asked_hz > band_hz * (1 + TOLERANCE):
        raise PolicyError(f"{where}: the plan's {name} add up to {asked_hz:.6g}, the band is {band_hz:.6g}.")
