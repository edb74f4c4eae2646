"""What stages share: the default assignment of a client, and the shares of the band among those who are in the plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from iovsim.domain import Assignment, ClientView, RoundPlan, RoundView
from iovsim.rng import seed_of


def task_of(view: RoundView, client: ClientView) -> str | None:
    """The task this client would serve; None if no rank of any fits into its memory.

    Its tasks take turns by round. Vehicles begin at different ones, so that every task has clients in every round.
    """
    able = [t for t in client.tasks if client.feasible_ranks[t]]
    return able[(view.round + seed_of(0, client.vehicle)) % len(able)] if able else None


def draft(view: RoundView, clients: Iterable[ClientView]) -> RoundPlan:
    """All given clients that can work, each at its smallest feasible rank and full power, sharing the band equally."""
    chosen = [(c, t) for c in clients if not c.busy and (t := task_of(view, c)) is not None]
    epochs = {t.task: t.local_epochs for t in view.tasks}
    return equal_shares(
        view,
        RoundPlan(
            {
                client.vehicle: Assignment(
                    vehicle=client.vehicle,
                    task=task,
                    rank=client.feasible_ranks[task][0],
                    local_epochs=epochs[task],
                    bandwidth_down_hz=view.bandwidth_down_hz,
                    bandwidth_up_hz=view.bandwidth_up_hz,
                    power_w=view.max_power_w,
                    deadline_s=view.deadline_s,
                )
                for client, task in chosen
            }
        ),
    )


def equal_shares(view: RoundView, plan: RoundPlan) -> RoundPlan:
    """The same plan with the band, up and down, cut into equal shares."""
    n = len(plan.assignments)
    return RoundPlan(
        {
            v: replace(a, bandwidth_down_hz=view.bandwidth_down_hz / n, bandwidth_up_hz=view.bandwidth_up_hz / n)
            for v, a in plan.assignments.items()
        }
    )


def keep(view: RoundView, plan: RoundPlan, vehicles: Iterable[str]) -> RoundPlan:
    """The plan without everyone else; those kept share the band equally."""
    kept = set(vehicles)
    return equal_shares(view, RoundPlan({v: a for v, a in plan.assignments.items() if v in kept}))


def clients_of(view: RoundView) -> dict[str, ClientView]:
    """The view's clients by vehicle."""
    return {c.vehicle: c for c in view.clients}


def feasible_rank(client: ClientView, task: str, wanted: int) -> int:
    """The largest feasible rank that is not above `wanted`; the smallest feasible one if all are above."""
    ranks = client.feasible_ranks[task]
    return max((r for r in ranks if r <= wanted), default=ranks[0])
