"""What each stage promises, over many views of tiny worlds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iovsim.domain import RoundPlan, RoundView
from iovsim.errors import PolicyError, ScenarioError
from iovsim.policies.cubic_budget import CubicBudget
from iovsim.policies.draft import draft, equal_shares
from iovsim.policies.energy import KeepToBudget
from iovsim.policies.in_time import KeepInTime, slack_s
from iovsim.policies.rank import FixedRank, ResidualContactRank, TierRank
from iovsim.policies.select import SelectAll, SelectRandom
from iovsim.testing import tiny_views

VIEWS = [v for seed in range(3) for v in tiny_views(seed)]
CROWDED = [v for v in VIEWS if sum(not c.busy and bool(c.feasible_ranks["signs"]) for c in v.clients) >= 3]


def energy_j(view: RoundView, plan: RoundPlan) -> float:
    return sum(view.estimate(a).energy_j for a in plan.assignments.values())


def test_select_all_takes_every_free_client() -> None:
    for view in VIEWS:
        plan = SelectAll()(view, RoundPlan())
        assert set(plan.assignments) == {c.vehicle for c in view.clients if not c.busy and c.feasible_ranks["signs"]}


def test_select_random_takes_so_many_and_varies_with_the_round() -> None:
    chosen = {tuple(SelectRandom(3)(v, RoundPlan()).assignments) for v in CROWDED}
    assert all(len(c) == 3 for c in chosen)
    assert len(chosen) > 5


def test_shares_use_the_whole_band() -> None:
    for view in CROWDED:
        plan = equal_shares(view, draft(view, view.clients))
        assert sum(a.bandwidth_up_hz for a in plan.assignments.values()) == pytest.approx(view.bandwidth_up_hz)
        assert sum(a.bandwidth_down_hz for a in plan.assignments.values()) == pytest.approx(view.bandwidth_down_hz)


def test_fixed_rank_is_what_was_asked_for_or_the_next_lower() -> None:
    view = CROWDED[0]
    assert {a.rank for a in FixedRank(8)(view, draft(view, view.clients)).assignments.values()} == {8}
    with pytest.raises(PolicyError, match=r"fixed rank 6: not among the ranks of task 'signs', \[2, 4, 8\]"):
        FixedRank(6)(view, draft(view, view.clients))
    tight = replace(view, clients=tuple(replace(c, feasible_ranks={"signs": (2,)}) for c in view.clients))
    assert {a.rank for a in FixedRank(8)(tight, draft(tight, tight.clients)).assignments.values()} == {2}


def test_a_client_without_memory_for_any_rank_is_left_out() -> None:
    view = CROWDED[0]
    first = replace(view.clients[0], feasible_ranks={"signs": ()}, busy=False)
    assert first.vehicle not in draft(view, [first, *view.clients[1:]]).assignments


def test_keep_in_time_keeps_only_who_should_finish() -> None:
    dropped = 0
    for view in VIEWS:
        clients = {c.vehicle: c for c in view.clients}
        before = draft(view, view.clients)
        plan = KeepInTime(0.8)(view, before)
        assert all(slack_s(view, a, clients[v], 0.8) >= 0 for v, a in plan.assignments.items())
        dropped += len(before.assignments) - len(plan.assignments)
    assert dropped > 0


def test_residual_contact_rank_is_the_largest_that_fits() -> None:
    seen = set()
    for view in VIEWS:
        clients = {c.vehicle: c for c in view.clients}
        plan = ResidualContactRank(0.8)(view, KeepInTime(0.8)(view, draft(view, view.clients)))
        for vehicle, a in plan.assignments.items():
            fits = [r for r in (2, 4, 8) if slack_s(view, replace(a, rank=r), clients[vehicle], 0.8) >= 0]
            assert a.rank == max(fits)
            seen.add(a.rank)
    assert len(seen) > 1


@pytest.mark.parametrize("budget_j", [1e-3, 30.0, 100.0, 300.0, 1e6])
def test_keep_to_budget_never_plans_more_than_the_budget(budget_j: float) -> None:
    for view in VIEWS:
        rich = replace(view, tasks=tuple(replace(t, energy_budget_j=budget_j) for t in view.tasks))
        plan = KeepToBudget()(rich, KeepInTime()(rich, draft(rich, rich.clients)))
        assert energy_j(rich, plan) <= 0.9 * budget_j
        if budget_j == 1e6 and any(not c.busy and c.residual_contact_s > 60 for c in view.clients):
            assert plan.assignments


def test_keep_to_budget_drops_the_costliest_and_no_more_than_it_must() -> None:
    dropped = raised = 0
    for view in CROWDED:
        before = KeepInTime()(view, draft(view, view.clients))
        if len(before.assignments) < 3:
            continue
        budget_j = 0.6 * energy_j(view, before)
        poor = replace(view, tasks=tuple(replace(t, energy_budget_j=budget_j / 0.9) for t in view.tasks))
        plan = KeepToBudget()(poor, before)
        gone = set(before.assignments) - set(plan.assignments)
        assert gone
        assert plan.assignments
        cost = {v: view.estimate(a).energy_j for v, a in before.assignments.items()}
        assert max(cost, key=lambda v: (cost[v], v)) in gone, "the costliest goes first"
        dropped += len(gone)
        raised += sum(a.rank > 2 for a in plan.assignments.values())
        ranks = {a.rank for a in plan.assignments.values()}
        assert len(ranks) == 1
        higher = [r for r in (4, 8) if r > max(ranks)]
        if higher:
            more = RoundPlan({v: replace(a, rank=higher[0]) for v, a in plan.assignments.items()})
            clients = {c.vehicle: c for c in view.clients}
            late = any(slack_s(view, a, clients[v], 0.8) < 0 for v, a in more.assignments.items())
            assert late or energy_j(view, more) > budget_j, "the next rank would not have been affordable"
    assert dropped > 0
    assert raised > 0


def test_keep_to_budget_never_lowers_a_rank() -> None:
    for view in CROWDED:
        rich = replace(view, tasks=tuple(replace(t, energy_budget_j=1e6) for t in view.tasks))
        before = ResidualContactRank()(rich, KeepInTime()(rich, draft(rich, rich.clients)))
        after = KeepToBudget()(rich, before)
        assert all(after.assignments[v].rank >= a.rank for v, a in before.assignments.items())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SelectRandom(0), r"clients = 0: must be at least 1"),
        (lambda: FixedRank(0), r"rank = 0: must be at least 1"),
        (lambda: KeepInTime(0.0), r"safety = 0: must lie in \(0, 1\]"),
        (lambda: ResidualContactRank(1.5), r"safety = 1.5: must lie in \(0, 1\]"),
        (lambda: KeepToBudget(-1.0), r"safety = -1: must lie"),
        (lambda: KeepToBudget(reserve=1.0), r"reserve = 1: must lie in \[0, 1\)"),
    ],
)
def test_wrong_parameters_are_refused(make: object, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        make()  # type: ignore[operator]


def test_a_client_without_memory_for_an_exact_rank_is_left_out() -> None:
    view = CROWDED[0]
    tight = replace(view, clients=tuple(replace(c, feasible_ranks={"signs": (2,)}) for c in view.clients[:2]))
    tight = replace(tight, clients=(*tight.clients, *view.clients[2:]))
    plan = FixedRank(8, exact=True)(tight, draft(tight, tight.clients))
    assert plan.assignments
    assert {a.rank for a in plan.assignments.values()} == {8}
    assert set(plan.assignments) == {
        c.vehicle for c in view.clients[2:] if not c.busy and 8 in c.feasible_ranks["signs"]
    }
    assert sum(a.bandwidth_up_hz for a in plan.assignments.values()) == pytest.approx(view.bandwidth_up_hz)


def test_tiers_have_their_ranks_as_far_as_task_and_memory_have_them() -> None:
    view = CROWDED[0]
    clients = {c.vehicle: c for c in view.clients}
    plan = TierRank({"agx-orin": 100, "orin-nx": 5, "orin-nano": 1, "telematics": 8})(view, draft(view, view.clients))
    expected = {"agx-orin": 8, "orin-nx": 4, "orin-nano": 2}
    assert {clients[v].tier: a.rank for v, a in plan.assignments.items()} == expected
    with pytest.raises(PolicyError, match=r"the tier 'orin-nano' has none; did you mean 'orin-nan'\? .* Add it"):
        TierRank({"orin-nan": 4, "orin-nx": 4, "agx-orin": 4})(view, draft(view, view.clients))
    for wrong in ({}, {"orin-nx": 0}, {"orin-nx": 2.5}, {"orin-nx": True}):
        with pytest.raises(ScenarioError, match="give each device tier a whole number"):
            TierRank(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("start", [1.0, 1.5, 3.0])
def test_the_cubic_budget_starts_high_and_settles(start: float) -> None:
    stage = CubicBudget(rounds=20, warm_up=3, settled=5, start=start)
    factors = [stage.factor(number) for number in range(30)]
    assert set(factors[:4]) == {start}
    assert set(factors[15:]) == {1.0}
    assert factors[9] == pytest.approx(1 + (start - 1) / 8), "half way, the cube of one half is left"
    assert factors == sorted(factors, reverse=True)


def test_the_cubic_budget_raises_ranks_as_far_as_memory_goes() -> None:
    view = replace(CROWDED[0], round=0)
    plan = FixedRank(4)(view, draft(view, view.clients))
    assert {a.rank for a in CubicBudget(10, start=1.6)(view, plan).assignments.values()} == {6}
    assert {a.rank for a in CubicBudget(10, start=4.0)(view, plan).assignments.values()} == {8}
    for wrong in ({"rounds": 3, "warm_up": 2, "settled": 1}, {"rounds": 3, "warm_up": -1}, {"rounds": 3, "start": 0.5}):
        with pytest.raises(ScenarioError):
            CubicBudget(**wrong)
