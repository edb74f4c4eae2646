"""The account of a task: over many rounds its budget is spent, by whoever comes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iovsim.domain import RoundOutcome, RoundPlan, RoundView
from iovsim.policies.account import AverageBudget
from iovsim.policies.rank import FixedRank
from iovsim.policies.select import SelectAll
from iovsim.testing import tiny_views

VIEWS = [v for seed in range(4) for v in tiny_views(seed)]


def wanted(view: RoundView) -> RoundPlan:
    return FixedRank(2)(view, SelectAll()(view, RoundPlan()))


def with_budget(view: RoundView, budget_j: float) -> RoundView:
    return replace(view, rsu="all", tasks=tuple(replace(t, energy_budget_j=budget_j) for t in view.tasks))


def spent_j(view: RoundView, plan: RoundPlan) -> float:
    return sum(view.estimate(a).energy_j for a in plan.assignments.values())


def outcome(view: RoundView, plan: RoundPlan, used_j: float) -> RoundOutcome:
    return RoundOutcome(
        rsu=view.rsu,
        round=view.round,
        start_s=view.start_s,
        end_s=view.deadline_s,
        view=view,
        plan=plan,
        jobs=(),
        energy_j={view.tasks[0].task: used_j},
    )


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_what_is_spent_on_average_is_the_budget(share: float) -> None:
    views = [v for v in VIEWS if v.clients]
    budget_j = share * sum(spent_j(v, wanted(v)) for v in views) / len(views)
    stage, total_j, largest_j = AverageBudget(), 0.0, 0.0
    for view in (with_budget(v, budget_j) for v in views * 10):
        plan = stage(view, wanted(view))
        used_j = spent_j(view, plan)
        stage.feedback(outcome(view, plan, used_j))
        total_j += used_j
        largest_j = max([largest_j, *(view.estimate(a).energy_j for a in wanted(view).assignments.values())])
    assert total_j <= budget_j * len(views) * 10 + largest_j  # no more than one job beyond
    assert total_j >= 0.8 * budget_j * len(views) * 10  # and where there are clients enough, not much less


def test_a_slack_budget_changes_nothing() -> None:
    for view in VIEWS:
        assert AverageBudget()(with_budget(view, 1e9), wanted(view)) == wanted(view)


def test_those_who_are_kept_share_the_band_and_are_not_the_cheapest() -> None:
    crowded = [v for v in VIEWS if len(wanted(v).assignments) >= 3]
    ranks = []
    for view in crowded:
        order = sorted(wanted(view).assignments.values(), key=lambda a: view.estimate(a).energy_j)
        plan = AverageBudget()(with_budget(view, 1e-9), wanted(view))
        (kept,) = plan.assignments.values()
        assert kept.bandwidth_up_hz == pytest.approx(view.bandwidth_up_hz)
        ranks.append([a.vehicle for a in order].index(kept.vehicle))
    assert len(set(ranks)) > 2


def test_rounds_without_clients_put_nothing_in() -> None:
    view = with_budget(next(v for v in VIEWS if len(wanted(v).assignments) >= 3), 1e-9)
    stage = AverageBudget()
    for _ in range(100):
        stage.feedback(outcome(replace(view, clients=(), tasks=with_budget(view, 1e9).tasks), RoundPlan(), 0.0))
    assert len(stage(view, wanted(view)).assignments) == 1
