"""Ranks as in P1's authors' code: a sequence worked out by hand, what survives a change of arms, and the defects."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from iovsim.policies.authors_rank import AuthorsRank, caps
from iovsim.policies.draft import draft
from iovsim.policies.select import SelectAll
from iovsim.policies.staged import StagedPolicy
from iovsim.testing import check_policy
from iovsim.testing.worlds import tiny_views

RANKS = (8, 16, 32, 48, 64)
SAMPLES = {"a": 150, "b": 300, "c": 450}
"""Those of the code's detection task."""

Quality = Callable[[str, int], float]
"""q in percent, by vehicle and rank."""


def three(number: int, budget_j: float = 500.0, samples: Mapping[str, int] = SAMPLES) -> RoundView:
    """A round of these clients; c's memory holds rank 48, that of the others 64."""
    view = next(view for view in tiny_views() if len(view.clients) > 4)
    (task,) = view.tasks
    some = next(client for client in view.clients if not client.busy)
    clients = tuple(
        replace(
            some,
            vehicle=v,
            samples={task.task: n},
            feasible_ranks={task.task: RANKS[:4] if v == "c" else RANKS},
            last_loss={},
        )
        for v, n in samples.items()
    )
    return replace(view, round=number, tasks=(replace(task, ranks=RANKS, energy_budget_j=budget_j),), clients=clients)


def outcome(view: RoundView, plan: RoundPlan, quality: Quality) -> RoundOutcome:
    """The round if all arrived after 5 s and 20 J: X = 1.8 q - 0.82."""

    def job(number: int, a: Assignment) -> JobEnd:
        phase = PhaseEnd(PhaseKind.COMPUTE, view.start_s, view.start_s + 5.0, True, 0.0, 20.0, 0.0)
        loss = -math.log(quality(a.vehicle, a.rank) / 100)
        update = Update(Adapter(a.rank, 16.0, {}), 10, 2.0, loss, 1.0)
        return JobEnd(
            a, number, view.start_s, view.start_s + 5.0, JobStatus.DELIVERED, LossReason.NONE, (phase,), update
        )

    jobs = tuple(job(k, a) for k, a in enumerate(plan.assignments.values()))
    return RoundOutcome(view.rsu, view.round, view.start_s, view.start_s + 5.0, view, plan, jobs, {})


def play(stage: AuthorsRank, view: RoundView, quality: Quality) -> dict[str, int]:
    plan = stage(view, draft(view, view.clients))
    stage.feedback(outcome(view, plan, quality))
    return {v: a.rank for v, a in plan.assignments.items()}


def price(stage: AuthorsRank, view: RoundView) -> float:
    return stage._price(view.rsu, view.tasks[0].task)


def test_it_conforms() -> None:
    check_policy(lambda: StagedPolicy((SelectAll(), AuthorsRank())))
    check_policy(
        lambda: StagedPolicy((SelectAll(), AuthorsRank(task_units=300.0, scale=4.0, initial={"signs": 155.0})))
    )


def test_a_sequence_by_hand() -> None:
    """Budget 100, initial index 155; every rank brings 90 %, but those begun with 60 %, and b's 32 and 24 70 and 50.

    Caps are 16.7, 33.3 and the rest, 50, of which c's memory holds 48. X is 107.2 at 60 %, so in round 3 all go down to
    arms with 155. There a and c find 161.2 and stay; b finds 125.2, and in round 6 goes down once more. Before round 7
    the budget is raised to 120: caps are 20, 40 and 60. b, below 64 %, jumps to its own; a's arm 17 is gone.
    """

    def quality(vehicle: str, rank: int) -> float:
        return {("a", 17): 60.0, ("b", 33): 60.0, ("c", 48): 60.0, ("b", 32): 70.0, ("b", 24): 50.0}.get(
            (vehicle, rank), 90.0
        )

    stage = AuthorsRank(initial={"signs": 155.0})
    played = [play(stage, three(number), quality) for number in range(6)]
    assert played == [
        *[{"a": 17, "b": 33, "c": 48}] * 2,
        *[{"a": 16, "b": 32, "c": 40}] * 3,
        {"a": 16, "b": 24, "c": 40},
    ]
    view = three(6, budget_j=600.0)
    losses = {"a": 0.1, "b": math.log(2), "c": 0.1}
    clients = tuple(replace(c, last_loss={"signs": losses[c.vehicle]}) for c in view.clients)
    assert play(stage, replace(view, clients=clients), quality) == {"a": 16, "b": 40, "c": 40}
    assert price(stage, view) == 0.0, "88 and 80 ranks are within 100"
    bandit = stage._bandits["a", "signs"]
    assert bandit._index[[8, 16, 17]] == pytest.approx(
        [155, 161.18 + math.sqrt(2 * math.log(3)), 107.18 + math.sqrt(math.log(2))], abs=1e-9
    )


def test_statistics_survive_changes_of_the_arms() -> None:
    """A fourth client takes a's cap from 17 to 16, and goes again: a found 16 worse, and knows that 17 was better."""
    stage = AuthorsRank()
    assert play(stage, three(0), lambda vehicle, rank: 80.0) == {"a": 17, "b": 33, "c": 48}
    crowd = play(stage, three(1, samples=SAMPLES | {"d": 40}), lambda vehicle, rank: 50.0)
    assert crowd == {"a": 16, "b": 32, "c": 48, "d": 4}
    bandit = stage._bandits["a", "signs"]
    assert bandit._index[[16, 17]] == pytest.approx([89.18 + math.sqrt(2 * math.log(2)), 143.18])
    assert play(stage, three(2), lambda vehicle, rank: 80.0) == {"a": 17, "b": 33, "c": 48}
    assert bandit._counts[[16, 17]].tolist() == [1, 2]


def test_a_rank_that_is_no_arm_any_longer_stays_until_the_next_choice() -> None:
    stage = AuthorsRank()
    ranks = [play(stage, three(n, samples={"a": 100, "b": 400 - 20 * n}), lambda v, r: 60.0)["a"] for n in range(3)]
    assert ranks == [20, 20, 16], "caps 20, 21 and 22; neighbours of 20 are then 16 and 22, neither played"


def test_who_comes_begins_at_the_cap_and_keeps_rank_and_statistics_at_the_next_rsu() -> None:
    """b and c come in round 3, when others choose; what a found at 16 it knows elsewhere, in round 6."""
    stage = AuthorsRank(initial={"signs": 155.0})
    for number in (0, 1):
        assert play(stage, three(number, samples={"a": 150, "z": 750}), lambda vehicle, rank: 60.0)["a"] == 17
    assert play(stage, three(2), lambda vehicle, rank: 90.0) == {"a": 16, "b": 33, "c": 48}
    elsewhere = replace(three(5), rsu="elsewhere")
    assert play(stage, elsewhere, lambda vehicle, rank: 90.0)["a"] == 16, "8 and 17 have 155 and 107, 16 has 162"


def test_with_the_initial_index_of_most_tasks_nobody_leaves_the_rank_begun_with() -> None:
    stage = AuthorsRank()
    played = [play(stage, three(number), lambda vehicle, rank: 90.0 - rank) for number in range(30)]
    assert all(ranks == {"a": 17, "b": 33, "c": 48} for ranks in played)


def test_the_price_rises_where_there_are_more_clients_than_ranks() -> None:
    """Two ranks, three clients with one each: above by 1 rank, which counts as 4."""
    stage, prices = AuthorsRank(task_units=8.0, scale=4.0), []
    for number in range(7):
        view = three(number)
        assert set(play(stage, view, lambda vehicle, rank: 80.0).values()) == {1}
        prices.append(price(stage, view))
    assert prices == pytest.approx([0, 0, 0.04, 0.04, 0.04, 0.08, 0.08])
    assert stage._bandits["a", "signs"]._index[1] == pytest.approx(143.18 + math.sqrt(math.log(2))), (
        "round 2's: not felt"
    )


def test_ranks_here_count_as_several_of_the_codes() -> None:
    stage = AuthorsRank(scale=4.0)
    assert play(stage, three(0), lambda vehicle, rank: 80.0) == {"a": 4, "b": 8, "c": 13}
    assert stage._arms(13, 65).nonzero()[0].tolist() == [2, 4, 6, 8, 10, 12, 13]


def test_without_adapters_every_rank_is_0() -> None:
    view = three(0)
    clients = tuple(replace(c, feasible_ranks={"signs": (0,)}) for c in view.clients)
    view = replace(view, tasks=(replace(view.tasks[0], ranks=(0,)),), clients=clients)
    assert set(play(AuthorsRank(), view, lambda vehicle, rank: 80.0).values()) == {0}


@given(st.integers(0, 1000), st.dictionaries(st.text(min_size=1), st.integers(1, 10**6), max_size=30))
def test_caps_sum_to_the_budget(budget: int, samples: dict[str, int]) -> None:
    shared = caps(budget, samples)
    assert sorted(shared) == sorted(samples)
    assert sum(shared.values()) == (budget if samples else 0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"task_units": 0.0}, "task_units = 0: must be finite and above 0"),
        ({"scale": -1.0}, "scale = -1: must be finite and above 0"),
        *(
            ({"initial": initial}, "initial = .*: give tasks finite numbers, like")
            for initial in ({"signs": math.nan}, {"signs": "high"}, {"signs": True}, 155.0)
        ),
    ],
)
def test_wrong_parameters_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        AuthorsRank(**wrong)  # type: ignore[arg-type]
