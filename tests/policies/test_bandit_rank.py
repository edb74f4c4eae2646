"""UCB-DUAL chooses feasible ranks, learns from what arrived, shares and carries it, and heeds the price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from iovsim.domain import (
    Adapter,
    Assignment,
    JobEnd,
    JobStatus,
    LossReason,
    PhaseEnd,
    PhaseKind,
    RoundOutcome,
    RoundPlan,
    RoundView,
    Update,
)
from iovsim.errors import ScenarioError
from iovsim.policies.bandit_rank import BanditRank, ucb_dual
from iovsim.policies.draft import draft
from iovsim.policies.in_time import KeepInTime
from iovsim.policies.select import SelectAll
from iovsim.policies.staged import StagedPolicy
from iovsim.testing import check_policy
from iovsim.testing.worlds import tiny_views

NO_ADAPTER = Adapter(8, 16.0, {})


def crowded(rsu: int = 0) -> RoundView:
    """A round of eight clients with time and memory for several ranks."""
    views = [view for view in tiny_views() if len(view.clients) > 4]
    return next(view for view in views if view.rsu == sorted({v.rsu for v in views})[rsu])


def outcome(view: RoundView, plan: RoundPlan, losses: Mapping[int, float], energy_j: float = 20.0) -> RoundOutcome:
    """The round if all arrived, with a training loss by rank."""

    def job(number: int, a: Assignment) -> JobEnd:
        phase = PhaseEnd(PhaseKind.COMPUTE, view.start_s, view.start_s + 5.0, True, 0.0, energy_j, 0.0)
        update = Update(NO_ADAPTER, 10, 2.0, losses[a.rank], 1.0)
        return JobEnd(
            a, number, view.start_s, view.start_s + 5.0, JobStatus.DELIVERED, LossReason.NONE, (phase,), update
        )

    jobs = tuple(job(k, a) for k, a in enumerate(plan.assignments.values()))
    return RoundOutcome(view.rsu, view.round, view.start_s, view.start_s + 5.0, view, plan, jobs, {})


def play(stage: BanditRank, view: RoundView, losses: Mapping[int, float], rounds: int, price: float = 0.0) -> list[int]:
    """The ranks of the last of so many rounds, all with the same view but for the number."""
    plan = RoundPlan()
    for number in range(rounds):
        tasks = tuple(replace(task, price=price) for task in view.tasks)
        now = replace(view, round=number, tasks=tasks)
        plan = stage(now, draft(now, now.clients))
        stage.feedback(outcome(now, plan, losses))
    return [a.rank for a in plan.assignments.values()]


def test_it_conforms() -> None:
    check_policy(lambda: StagedPolicy((SelectAll(), KeepInTime(), ucb_dual())))
    check_policy(lambda: StagedPolicy((SelectAll(), ucb_dual(adjacent_only=True, every_rounds=3, window=5))))


def test_all_arms_are_tried_and_the_best_is_found() -> None:
    view = crowded()
    ranks = view.tasks[0].ranks
    losses = dict.fromkeys(ranks, 2.0) | {ranks[1]: 0.1}
    stage = ucb_dual()
    first = stage(view, draft(view, view.clients))
    assert {a.rank for a in first.assignments.values()} == set(ranks), "planned plays count: clients try different arms"
    played = play(stage, view, losses, 60)
    assert np.mean([rank == ranks[1] for rank in played]) > 0.8


def test_what_a_vehicle_has_seen_counts_at_the_next_rsu() -> None:
    here, there = crowded(0), crowded(1)
    ranks = here.tasks[0].ranks
    losses = dict.fromkeys(ranks, 2.0) | {ranks[1]: 0.01}
    there = replace(there, clients=here.clients, estimate=here.estimate)
    chosen = {}
    for carry in (True, False):
        stage = ucb_dual(carry=carry, reward_scale=0.1)
        play(stage, here, losses, 40)
        plan = stage(there, draft(there, [client for client in there.clients if not client.busy][:1]))
        chosen[carry] = [a.rank for a in plan.assignments.values()]
    assert chosen[True] == [ranks[1]]
    assert chosen[False] == [ranks[0]], "nothing is known there, and the smallest arm is tried first"


def test_statistics_of_ones_own_are_not_those_of_the_tier() -> None:
    view = crowded()
    ranks = view.tasks[0].ranks
    stage = ucb_dual(share="vehicle")
    first = stage(view, draft(view, view.clients))
    assert {a.rank for a in first.assignments.values()} == {ranks[0]}, "each vehicle tries its arms by itself"


def test_at_a_price_that_nothing_is_worth_clients_decline_unless_they_may_not() -> None:
    view = crowded()
    losses = dict.fromkeys(view.tasks[0].ranks, 1.0)
    assert play(ucb_dual(), view, losses, 30, price=10.0) == []
    assert play(ucb_dual(decline=False), view, losses, 30, price=10.0)
    assert play(ucb_dual(), view, losses, 30, price=0.0)


def test_without_a_price_it_is_ucb() -> None:
    view = crowded()
    losses = {rank: 1.0 / rank for rank in view.tasks[0].ranks}
    dual, plain = ucb_dual(), ucb_dual(cost_scale=0.0, decline=False)
    assert play(dual, view, losses, 25) == play(plain, view, losses, 25)


def test_every_so_many_rounds_and_neighbours_only() -> None:
    view = crowded()
    ranks = view.tasks[0].ranks
    losses = {rank: 1.0 / rank for rank in ranks}
    stage = ucb_dual(every_rounds=3, adjacent_only=True, share="vehicle")
    seen: list[dict[str, int]] = []
    for number in range(9):
        now = replace(view, round=number)
        plan = stage(now, draft(now, now.clients))
        stage.feedback(outcome(now, plan, losses))
        seen.append({v: ranks.index(a.rank) for v, a in plan.assignments.items()})
    for before, after, number in zip(seen, seen[1:], range(1, 9), strict=False):
        for vehicle, arm in after.items():
            assert abs(arm - before[vehicle]) <= (1 if number % 3 == 0 else 0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"share": "all"}, "share = 'all'"),
        ({"quality": "accuracy"}, "quality = 'accuracy'"),
        ({"every_rounds": 0}, "every_rounds = 0: must be at least 1"),
        ({"gain_ref": 0.0}, "gain_ref = 0: must be above 0"),
        ({"discount": 1.5}, "discount = 1.5"),
    ],
)
def test_wrong_parameters_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        ucb_dual(**wrong)  # type: ignore[arg-type]
