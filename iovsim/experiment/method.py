"""A policy file becomes a method: policy, aggregator, rules of budgets and prices, forecast, fallback, traffic rule."""

from __future__ import annotations

from typing import Any

from iovsim.config import Kind, PolicyFile, Scenario
from iovsim.domain import Policy, Stage, Tuning
from iovsim.engine import Method
from iovsim.errors import ScenarioError, located
from iovsim.experiment.registry import make
from iovsim.experiment.tasks import check_tuning
from iovsim.learning.aggregators.fedavg import FedAvg
from iovsim.learning.aggregators.kinds import AGGREGATORS
from iovsim.mobility.forecast import FORECASTS
from iovsim.policies import BUDGETS, FALLBACKS, POLICIES, PRICES, STAGES, TRAFFIC_RULES, StagedPolicy
from iovsim.policies.authors_rank import AuthorsRank
from iovsim.policies.bandit_rank import BanditRank
from iovsim.policies.price import DualPrice, NoPrice


def build_method(file: PolicyFile) -> Method:
    """Fresh objects, so that nothing learnt in one run reaches another. Raises `ScenarioError`."""
    where = f"policy {file.name!r}"
    aggregator = make(file.aggregator, AGGREGATORS, f"{where}, aggregator", ("aggregate", "redistribute"))
    tuning = Tuning(file.tuning)
    return Method(
        policy=build_policy(file.policy, where),
        aggregator=aggregator,
        budget=make(file.budget, BUDGETS, f"{where}, budget", ("check", "redistribute")),
        forecast=make(file.forecast, FORECASTS, f"{where}, forecast", ("residual_s", "next_rsu")),
        price=make(file.price, PRICES, f"{where}, price", ("bits", "update")),
        tuning=tuning,
        stacks=tuning is Tuning.LORA and getattr(aggregator, "stacks", False),
        pruning=getattr(aggregator, "pruning", None),
        partial=tuning is Tuning.LORA and getattr(aggregator, "partial", False),
        fallback=make(
            file.fallback, FALLBACKS, f"{where}, fallback", () if file.fallback.kind == "none" else ("choose",)
        ),
        traffic=make(file.traffic, TRAFFIC_RULES, f"{where}, traffic", () if file.traffic.kind == "none" else ("act",)),
    )


def check_bandits(method: Method, where: str) -> None:
    """Raises `ScenarioError` for two stages that learn ranks, an aggregator that takes no mixed ones, and a bandit that
    counts energy in other joules than the price that it pays."""
    stages = method.policy.stages if isinstance(method.policy, StagedPolicy) else ()
    bandits = [stage for stage in stages if isinstance(stage, BanditRank | AuthorsRank)]
    if len(bandits) > 1:
        raise ScenarioError(f"{where}: {len(bandits)} of its stages learn ranks; keep one, since the last decides.")
    if bandits and isinstance(method.aggregator, FedAvg):
        raise ScenarioError(
            f"{where}: its bandit chooses mixed ranks, which aggregator 'fedavg' cannot average; choose 'svd', "
            "'hetlora' or 'flora'."
        )
    for stage in bandits:
        if (
            isinstance(stage, BanditRank)
            and isinstance(method.price, DualPrice)
            and stage.rewards.energy_ref_j != method.price.reference_j
        ):
            raise ScenarioError(
                f"{where}: the bandit's energy_ref_j is {stage.rewards.energy_ref_j:g}, the price's reference_j is "
                f"{method.price.reference_j:g}; a price is per reference, so give both the same."
            )


def free_energy(method: Method) -> bool:
    """Whether a bandit that heeds a price has none, which makes UCB-DUAL plain UCB."""
    stages = method.policy.stages if isinstance(method.policy, StagedPolicy) else ()
    return isinstance(method.price, NoPrice) and any(isinstance(stage, BanditRank) for stage in stages)


def check_source(scenario: Scenario, file: PolicyFile) -> None:
    """Raises `ScenarioError` for a method that acts on traffic that is over, or foresees traffic that has not been, or
    whose traffic rule would have nobody to act on."""
    where, live = f"{scenario.where}: policy {file.name!r}", scenario.mobility.source == "live"
    if file.traffic.kind != "none" and not live:
        raise ScenarioError(
            f"{where}: its traffic rule {file.traffic.kind!r} acts on vehicles, but they are replayed; set "
            "mobility.source = 'live' in the scenario."
        )
    if file.traffic.kind == "stay-charged" and scenario.battery is None:
        raise ScenarioError(
            f"{where}: its traffic rule 'stay-charged' sends vehicles to charge, but none has a battery; add a table "
            "[battery] to the scenario."
        )
    if file.forecast.kind == "oracle" and live:
        raise ScenarioError(
            f"{where}: forecast 'oracle' knows when contacts end, which in a live run nobody does; choose another, or "
            "set mobility.source = 'replay' in the scenario."
        )


def method_for(scenario: Scenario, file: PolicyFile) -> Method:
    """The method, once what it needs of the scenario's tasks is there. Raises `ScenarioError`."""
    method = build_method(file)
    check_bandits(method, f"policy {file.name!r}")
    check_tuning(scenario, method.tuning)
    check_source(scenario, file)
    with located(f"{scenario.where}: policy {file.name!r}, budget, kind {file.budget.kind!r}"):
        method.budget.check(len(scenario.tasks))
    return method


def build_policy(kind: Kind, where: str) -> Policy:
    """A policy by kind; `staged` takes a list of `stages`, each a kind of its own."""
    if kind.kind != "staged":
        return make(kind, {**POLICIES, "staged": StagedPolicy}, where, ("plan", "feedback"))
    stages = kind.parameters.pop("stages", None)
    if stages == []:
        raise ScenarioError(f"{where}: 'stages' is empty; begin with one that selects, like {{kind = 'select-all'}}.")
    if not isinstance(stages, list) or set(kind.parameters) - {"stages"}:
        raise ScenarioError(
            f"{where}: kind 'staged' takes exactly one parameter, a list: "
            "stages = [{kind = 'select-all'}, {kind = 'fixed-rank', rank = 8}]."
        )
    return StagedPolicy(tuple(_stage(s, f"{where}, stage {n}") for n, s in enumerate(stages, start=1)))


def _stage(table: Any, where: str) -> Stage:
    if not isinstance(table, dict) or not isinstance(table.get("kind"), str):
        raise ScenarioError(
            f"{where}: found {table!r}; a stage is a table with a 'kind', like {{kind = 'select-all'}}."
        )
    return make(Kind(**table), STAGES, where, ("__call__",))
