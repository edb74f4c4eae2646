"""Fallbacks against costs worked out by hand, and the rule by which they wait."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.domain import FallbackView, Way, WayKind
from iovsim.errors import ScenarioError
from iovsim.policies.fallback import CheapestWay, EarlyUpload, qualities

GO_ON = Way(WayKind.GO_ON, "", 9.0, 90.0)
UPLOAD = Way(WayKind.UPLOAD, "", 2.0, 20.0, fraction=0.25)
NEXT = Way(WayKind.NEXT_RSU, "b", 15.0, 110.0)
NEAR = Way(WayKind.CARRIER, "near", 6.0, 80.0, sidelink_s=1.0)
FAR = Way(WayKind.CARRIER, "zz", 7.0, 90.0, sidelink_s=4.0)
ABANDON = Way(WayKind.ABANDON, fraction=0.0)

VIEW = FallbackView(
    rsu="a",
    round=3,
    task="signs",
    vehicle="v",
    time_s=100.0,
    deadline_s=120.0,
    residual_contact_s=2.5,
    steps=10,
    planned_steps=40,
    step_s=1.0,
    upload_s=2.0,
    power_w=0.2,
    spent_j=60.0,
    accuracy=0.5,
    best_loss=-math.log(0.7),  # 70 %
    own_loss=-math.log(0.6),  # 60 %
    ways=(GO_ON, UPLOAD, NEXT, NEAR, FAR, ABANDON),
)


def test_costs_of_the_papers_form() -> None:
    cost = {way: CheapestWay().cost(VIEW, way) for way in VIEW.ways[1:]}
    assert cost[UPLOAD] == pytest.approx(2.0 * 10.0 * 0.75 + 0.2 * 2.0 + 0.05 * 20.0)
    assert cost[NEXT] == pytest.approx(0.2 * 15.0 + 0.05 * 110.0)
    assert cost[NEAR] == pytest.approx(0.2 * 6.0 + 0.05 * 80.0)
    assert cost[ABANDON] == pytest.approx(0.05 * 60.0 + 2.0 * 70.0)


def test_costs_of_the_authors_form() -> None:
    cost = {way: CheapestWay("authors").cost(VIEW, way) for way in (UPLOAD, NEAR, FAR, ABANDON)}
    assert cost[UPLOAD] == pytest.approx(2.0 * 10.0)
    assert cost[NEAR] == pytest.approx(0.2 * 1.0 + 0.05 * 0.2 * 1.0)
    assert cost[FAR] == pytest.approx(0.2 * 4.0 + 0.05 * 0.2 * 4.0)
    assert cost[ABANDON] == pytest.approx(0.05 * 60.0 + 2.0 * 70.0)


def chosen(fallback: CheapestWay | EarlyUpload, *ways: Way, **changes: object) -> Way:
    return fallback.choose(replace(VIEW, ways=ways, **changes))  # type: ignore[arg-type]


def test_the_cheapest_of_what_is_offered_is_taken() -> None:
    assert CheapestWay(at_once=True).choose(VIEW) is NEAR
    assert chosen(CheapestWay(at_once=True), GO_ON, UPLOAD, NEXT, ABANDON) is NEXT
    assert chosen(CheapestWay(at_once=True), GO_ON, UPLOAD, ABANDON) is UPLOAD
    assert chosen(CheapestWay(at_once=True), GO_ON, ABANDON) is ABANDON
    assert chosen(CheapestWay(at_once=True), ABANDON) is ABANDON
    assert chosen(CheapestWay(at_once=True), GO_ON, UPLOAD, NEXT, ABANDON, own_loss=VIEW.best_loss) is UPLOAD


def test_the_authors_know_no_next_rsu_and_look_at_the_last_carrier() -> None:
    authors = CheapestWay("authors", at_once=True)
    assert authors.choose(VIEW) is FAR
    assert chosen(authors, GO_ON, NEXT, ABANDON) is ABANDON
    assert chosen(authors, GO_ON, UPLOAD, NEXT, ABANDON) is UPLOAD
    assert chosen(authors, GO_ON, UPLOAD, NEAR, ABANDON, own_loss=VIEW.best_loss) is UPLOAD


def test_abandoning_is_dearer_than_uploading_for_the_authors_whatever_the_qualities() -> None:
    for best, own, spent_j in ((0.1, 5.0, 0.0), (3.0, 0.1, 9.0), (1.0, None, 0.0)):
        view = replace(VIEW, best_loss=best, own_loss=own, spent_j=spent_j)
        assert CheapestWay("authors").cost(view, ABANDON) >= CheapestWay("authors").cost(view, UPLOAD)


def test_qualities_are_likelihoods_in_percent() -> None:
    assert qualities(VIEW) == pytest.approx((70.0, 60.0))
    assert qualities(replace(VIEW, own_loss=None)) == pytest.approx((70.0, 70.0))
    assert qualities(replace(VIEW, best_loss=None, own_loss=None)) == (50.0, 50.0)


@pytest.mark.parametrize("fallback", [CheapestWay(), EarlyUpload()], ids=["cheapest", "early"])
def test_it_waits_until_the_last_step_after_which_an_upload_is_in_time(fallback: CheapestWay | EarlyUpload) -> None:
    ways = (GO_ON, UPLOAD, ABANDON)
    assert chosen(fallback, *ways, residual_contact_s=3.5) is GO_ON
    assert chosen(fallback, *ways, residual_contact_s=3.0) is GO_ON, "just in time"
    assert chosen(fallback, *ways, residual_contact_s=2.9) is UPLOAD
    assert chosen(fallback, GO_ON, ABANDON, residual_contact_s=1.0) is GO_ON, "nothing is lost by going on"
    assert chosen(fallback, GO_ON, ABANDON, steps=40) is GO_ON, "as the forecast may be wrong"
    assert chosen(fallback, ABANDON) is ABANDON, "it has left"


def test_what_needs_no_decision_yet_is_not_decided() -> None:
    ways = (GO_ON, NEXT, ABANDON)
    assert chosen(CheapestWay(), *ways) is GO_ON
    assert chosen(CheapestWay(), *ways, steps=40) is NEXT, "the training is over"
    assert chosen(CheapestWay(), NEXT, ABANDON) is NEXT, "it has left"
    assert chosen(CheapestWay(), GO_ON, NEAR, ABANDON) is NEAR, "who is near now may be gone"
    assert chosen(CheapestWay(), GO_ON, NEAR, ABANDON, residual_contact_s=3.0) is GO_ON


def test_early_upload_never_migrates() -> None:
    assert chosen(EarlyUpload(), GO_ON, NEXT, NEAR, ABANDON, residual_contact_s=1.0) is GO_ON
    assert chosen(EarlyUpload(at_once=True), GO_ON, NEXT, NEAR, ABANDON) is ABANDON
    assert chosen(EarlyUpload(at_once=True), GO_ON, UPLOAD, NEXT, ABANDON, residual_contact_s=9.0) is UPLOAD


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"form": "theirs"}, r"form = 'theirs': must be one of paper, authors\."),
        ({"alpha": -0.1}, r"alpha = -0\.1: must be finite and at least 0\."),
        ({"gamma": math.inf}, r"gamma = inf: must be finite"),
    ],
)
def test_impossible_parameters_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        CheapestWay(**changes)  # type: ignore[arg-type]


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    offered=st.lists(st.sampled_from([GO_ON, UPLOAD, NEXT, NEAR, FAR]), unique=True),
    residual_s=st.floats(0, 20),
    steps=st.integers(0, 40),
    form=st.sampled_from(["paper", "authors"]),
    at_once=st.booleans(),
    weights=st.tuples(*[st.floats(0, 10)] * 3),
)
def test_only_what_is_offered_is_taken_and_at_once_it_is_the_cheapest(
    offered: list[Way],
    residual_s: float,
    steps: int,
    form: str,
    at_once: bool,
    weights: tuple[float, float, float],
) -> None:
    view = replace(VIEW, ways=(*offered, ABANDON), residual_contact_s=residual_s, steps=steps)
    fallback = CheapestWay(form, *weights, at_once=at_once)
    way = fallback.choose(view)
    assert way in view.ways
    if at_once:
        assert way.kind is not WayKind.GO_ON
        if form == "paper":
            others = [w for w in view.ways if w.kind is not WayKind.GO_ON]
            assert fallback.cost(view, way) == min(fallback.cost(view, w) for w in others)
    assert EarlyUpload(at_once).choose(view) in view.ways
