"""Kinds named in files become objects; a wrong name or parameter is answered with the nearest right one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from iovsim.config import Kind, load_policy, load_scenario, policy_from
from iovsim.errors import ScenarioError
from iovsim.experiment.batch import check_all
from iovsim.experiment.code import outside_sha256
from iovsim.experiment.method import build_method, free_energy, method_for
from iovsim.experiment.registry import make
from iovsim.experiment.run import RunSpec, run_one
from iovsim.policies import StagedPolicy
from iovsim.policies.convergence import ConvergenceBudgets
from iovsim.policies.fallback import CheapestWay, EarlyUpload
from iovsim.radio import FADING, PATH_LOSS, Channel
from iovsim.radio.path_loss import LogDistance
from iovsim.testing import check_policy, tiny_world

NEW_POLICY = '''
"""A new policy is one small file."""
from iovsim.policies.draft import draft


class Nearest:
    def __init__(self, most: int = 2) -> None:
        self.most = most

    def plan(self, view):
        return draft(view, sorted(view.clients, key=lambda c: c.distance_m)[: self.most])

    def feedback(self, outcome):
        pass
'''

NEW_PATH_LOSS = '''
"""A new radio model is one small file."""
from dataclasses import dataclass
import numpy as np


@dataclass(frozen=True)
class FreeSpace:
    """Friis: 20 log10(4 pi d f / c)."""
    extra_db: float = 0.0
    environment: str = "urban"

    def loss_db(self, geometry):
        return 20 * np.log10(4 * np.pi * geometry.distance_3d_m * geometry.carrier_hz / 299792458.0) + self.extra_db
'''


@pytest.fixture
def own_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_policy.py").write_text(NEW_POLICY)
    (tmp_path / "my_radio.py").write_text(NEW_PATH_LOSS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("my_policy", "my_radio"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def test_a_new_policy_is_one_small_file(own_modules: Path) -> None:
    file = policy_from({"name": "nearest", "policy": {"kind": "my_policy:Nearest", "most": 3}}, "nearest.toml")
    method = build_method(file)
    assert method.policy.most == 3  # type: ignore[attr-defined]
    check_policy(lambda: build_method(file).policy)


def test_a_new_radio_model_is_one_small_file(own_modules: Path) -> None:
    world = tiny_world(1)
    kind = Kind(kind="my_radio:FreeSpace", extra_db=3.0)
    model = make(kind, PATH_LOSS, "test")
    fading = make(Kind(kind="none"), FADING, "test")
    links = Channel(path_loss=model, fading=fading).links(world.contacts, world.rsus, 1)
    lossy = Channel(path_loss=make(Kind(kind="my_radio:FreeSpace", extra_db=13.0), PATH_LOSS, "test"), fading=fading)
    other = lossy.links(world.contacts, world.rsus, 1)
    assert links.link(0).mean_gain == pytest.approx(10.0 * other.link(0).mean_gain)


def test_parameters_reach_the_class() -> None:
    assert make(Kind(kind="log-distance", exponent=3.5), PATH_LOSS, "w") == LogDistance(exponent=3.5)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Kind(kind="log-distanse"), r"w: unknown kind 'log-distanse'; did you mean 'log-distance'\?"),
        (
            Kind(kind="log-distance", exponant=3.0),
            r"w: kind 'log-distance' has no parameter 'exponant'; did you mean 'exponent'\?",
        ),
        (Kind(kind="log-distance", exponent=-1.0), r"w, kind 'log-distance': .*exponent"),
        (Kind(kind="log-distance", exponent="x"), r"parameter 'exponent': found 'x'; allowed is a value of type float"),
        (
            Kind(kind="nowhere:Thing"),
            r"w: the module of 'nowhere:Thing' cannot be imported .* looked for in the current",
        ),
        (Kind(kind=":Thing"), r"w: ':Thing' cannot be read; write 'package.module:Class'"),
        (Kind(kind="json:JSONDecoder"), r"w: 'json:JSONDecoder' gives a JSONDecoder, which lacks loss_db, environment"),
        (Kind(kind="math:Cosinus"), r"w: 'math' has no class 'Cosinus'; "),
    ],
)
def test_what_is_wrong_is_named(kind: Kind, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        make(kind, PATH_LOSS, "w", ("loss_db", "environment"))


def test_a_staged_policy_is_put_together_in_its_file() -> None:
    stages = [{"kind": "select-random", "clients": 2}, {"kind": "keep-in-time"}, {"kind": "fixed-rank", "rank": 4}]
    method = build_method(policy_from({"name": "mine", "policy": {"kind": "staged", "stages": stages}}, "mine.toml"))
    assert isinstance(method.policy, StagedPolicy)
    assert len(method.policy.stages) == 3


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"kind": "staged"}, r"kind 'staged' takes exactly one parameter, a list"),
        ({"kind": "staged", "stages": []}, r".stages. is empty; begin with one that selects"),
        ({"kind": "staged", "stages": ["select-all"]}, r"stage 1: found 'select-all'; a stage is a table"),
        (
            {"kind": "staged", "stages": [{"kind": "select-al"}]},
            r"stage 1: unknown kind 'select-al'; did you mean 'select-all'",
        ),
        ({"kind": "random", "client": 3}, r"kind 'random' has no parameter 'client'; did you mean 'clients'"),
        ({"kind": "random", "clients": 0}, r"kind 'random': clients = 0: must be at least 1"),
        ({"kind": "random", "clients": 2.5}, r"parameter 'clients': found 2.5; allowed is a value of type int"),
        ({"kind": "json:JSONDecoder"}, r"gives a JSONDecoder, which lacks plan, feedback"),
    ],
)
def test_a_wrong_policy_is_refused(policy: dict[str, object], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        build_method(policy_from({"name": "mine", "policy": policy}, "mine.toml"))


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"budget": {"kind": "convergense"}}, r"budget: unknown kind 'convergense'; did you mean 'convergence'"),
        ({"budget": {"kind": "convergence", "floor": 0.1}}, r"no parameter 'floor'; did you mean 'floor_share'"),
        (
            {"budget": {"kind": "convergence", "every_rounds": 2.5}},
            r"'every_rounds': found 2.5; allowed .* int",
        ),
        (
            {"budget": {"kind": "convergence", "cap_share": 0.05}},
            r"kind 'convergence': floor_share = 0.08, cap_",
        ),
        ({"budget": {"kind": "authors", "units": 0.0}}, r"budget, kind 'authors': units = 0: must be above 0"),
        ({"budget": {"kind": "json:JSONDecoder"}}, r"budget: .* gives a JSONDecoder, which lacks check, redistribute"),
        ({"price": {"kind": "duel"}}, r"price: unknown kind 'duel'; did you mean 'dual'"),
        (
            {"price": {"kind": "dual", "steps": 1.0}},
            r"kind 'dual' has no parameter 'steps'; did you mean 'step'",
        ),
        ({"price": {"kind": "dual", "reference_j": 0.0}}, r"price, kind 'dual': reference_j = 0: must be above 0"),
        ({"price": {"kind": "none", "bits": 32.0}}, r"price: kind 'none' has no parameter 'bits'"),
    ],
)
def test_a_wrong_rule_of_budgets_or_prices_is_refused(tables: dict[str, object], message: str) -> None:
    with pytest.raises(ScenarioError, match=rf"policy 'mine', .*{message}"):
        build_method(policy_from({"name": "mine", "policy": {"kind": "random"}} | tables, "mine.toml"))


def test_bounds_that_the_scenarios_tasks_cannot_keep_are_refused_before_anything_is_run(tmp_path: Path) -> None:
    demo, tiny = load_scenario("demo"), load_scenario("tiny")
    rule = {"kind": "convergence", "floor_share": 0.4}
    policy = policy_from({"name": "mine", "policy": {"kind": "random"}, "budget": rule}, "mine.toml")
    check_all([RunSpec(tiny, policy, 1, tmp_path / "tiny")])  # one task has all
    message = (
        r"demo.toml: policy 'mine', budget, kind 'convergence': floor_share = 0.4: 3 tasks' floors exceed the whole; "
        r"allowed is at most 0.3333\."
    )
    with pytest.raises(ScenarioError, match=message):
        check_all([RunSpec(tiny, policy, 1, tmp_path / "tiny"), RunSpec(demo, policy, 1, tmp_path / "demo")])
    with pytest.raises(ScenarioError, match=message):
        run_one(RunSpec(demo, policy, 1, tmp_path / "demo"), tmp_path, lambda step, done: None)
    assert not list(tmp_path.iterdir())


def test_a_policy_that_the_scenario_gives_no_rate_is_refused_by_a_check(tmp_path: Path) -> None:
    headless = policy_from({"name": "mine", "policy": {"kind": "random"}, "tuning": "head"}, "mine.toml")
    with pytest.raises(ScenarioError, match=r"tiny.toml: task 'lights', key 'training.learning_rate': no rate"):
        check_all([RunSpec(load_scenario("tiny"), headless, 1, tmp_path)])


def test_the_built_in_ablation_differs_in_its_budget_rule_alone() -> None:
    with_it, without = load_policy("energy-redistribution"), load_policy("energy-budget")
    assert isinstance(build_method(with_it).budget, ConvergenceBudgets)
    assert build_method(with_it).budget == ConvergenceBudgets(), "its keys are the defaults, written down"
    assert with_it.model_copy(update={"name": "", "title": "", "budget": without.budget}) == without.model_copy(
        update={"name": "", "title": ""}
    )


def test_an_own_model_that_was_changed_is_not_taken_for_the_old_one(own_modules: Path) -> None:
    kinds = (Kind(kind="my_radio:FreeSpace"), Kind(kind="none"))
    before = outside_sha256(*kinds)
    assert before == outside_sha256(*kinds)
    assert before != outside_sha256(Kind(kind="none"))
    (own_modules / "my_radio.py").write_text(NEW_PATH_LOSS.replace("20 * np", "22 * np"))
    assert outside_sha256(*kinds) != before


def test_a_fallback_is_named_in_the_policy_file() -> None:
    def fallback(**table: object) -> object:
        given = {"fallback": table} if table else {}
        return build_method(policy_from({"name": "mine", "policy": {"kind": "random"}, **given}, "mine.toml")).fallback

    assert fallback() is fallback(kind="none") is None
    assert fallback(kind="cost", form="authors", alpha=0.5) == CheapestWay("authors", alpha=0.5)
    assert fallback(kind="early-upload", at_once=True) == EarlyUpload(at_once=True)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kind": "cosd"}, r"policy 'mine', fallback: unknown kind 'cosd'; did you mean 'cost'"),
        ({"kind": "none", "alpha": 1.0}, r"fallback: kind 'none' has no parameter 'alpha'"),
        ({"kind": "cost", "alpha": -1.0}, r"fallback, kind 'cost': alpha = -1: must be finite and at least 0"),
        ({"kind": "json:JSONDecoder"}, r"gives a JSONDecoder, which lacks choose"),
    ],
)
def test_a_wrong_fallback_is_refused(table: dict[str, object], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        build_method(policy_from({"name": "mine", "policy": {"kind": "random"}, "fallback": table}, "mine.toml"))


def test_a_bandit_and_its_price_count_in_the_same_joules() -> None:
    load = {"price.reference_j": 20.0}
    with pytest.raises(ScenarioError, match="energy_ref_j is 75, the price's reference_j is 20"):
        method_for(load_scenario("tiny"), load_policy("p1", load))
    assert method_for(load_scenario("tiny"), load_policy("p1")).price.bits == 32.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"aggregator.kind": "fedavg"}, r"its bandit chooses mixed ranks, which aggregator 'fedavg' cannot average"),
        ({"policy.stages": [{"kind": "ucb-dual"}, {"kind": "ucb-dual"}]}, r"2 of its stages learn ranks; keep one"),
        ({"policy.stages": []}, r"'stages' is empty; begin with one that selects"),
    ],
)
def test_a_bandit_in_wrong_company_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        method_for(load_scenario("tiny"), load_policy("p1", changes))


def test_a_bandit_without_a_price_heeds_no_energy() -> None:
    priced = load_policy("p1")
    assert not free_energy(method_for(load_scenario("tiny"), priced))
    assert free_energy(method_for(load_scenario("tiny"), priced.model_copy(update={"price": Kind(kind="none")})))
