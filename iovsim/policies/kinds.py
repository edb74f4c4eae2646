"""The policies, stages, rules of budgets and prices, fallbacks and traffic rules that a policy file can name.

A new one is one small file and one line here. Outside ones need no line: a policy file may name them as
`kind = "package.module:Class"`.
"""

from __future__ import annotations

from collections.abc import Callable

from iovsim.domain import BudgetPolicy, Fallback, Policy, PriceRule, Stage, TrafficRule
from iovsim.policies.account import AverageBudget
from iovsim.policies.authors_budget import AuthorsBudgets
from iovsim.policies.authors_rank import AuthorsRank
from iovsim.policies.bandit_rank import ucb_dual
from iovsim.policies.budget import KeepBudgets
from iovsim.policies.convergence import ConvergenceBudgets
from iovsim.policies.cubic_budget import CubicBudget
from iovsim.policies.energy import KeepToBudget
from iovsim.policies.fallback import CheapestWay, EarlyUpload
from iovsim.policies.in_time import KeepInTime
from iovsim.policies.keep_charged import KeepCharged
from iovsim.policies.kept_rank import KeptRank
from iovsim.policies.price import DualPrice, NoPrice
from iovsim.policies.random_blocks import RandomBlocks
from iovsim.policies.rank import FixedRank, ResidualContactRank, TierRank
from iovsim.policies.select import SelectAll, SelectRandom
from iovsim.policies.staged import StagedPolicy
from iovsim.policies.stay_charged import StayCharged
from iovsim.policies.stay_covered import StayCovered


def all_available(rank: int = 8) -> StagedPolicy:
    """Every client in coverage at one rank."""
    return StagedPolicy((SelectAll(), FixedRank(rank)))


def random_selection(clients: int = 4, rank: int = 8) -> StagedPolicy:
    """A few clients at random at one rank."""
    return StagedPolicy((SelectRandom(clients), FixedRank(rank)))


def no_fallback() -> None:
    """Jobs go on until their vehicles leave."""


def no_traffic_rule() -> None:
    """Vehicles drive as they would."""


def residual_contact_rank(safety: float = 0.8) -> StagedPolicy:
    """Every client that can finish before it leaves, at the largest rank with which it can."""
    return StagedPolicy((SelectAll(), KeepInTime(safety), ResidualContactRank(safety)))


def energy_budget(safety: float = 0.8, reserve: float = 0.1) -> StagedPolicy:
    """The cheapest clients that can finish, within each task's energy budget of the round."""
    return StagedPolicy((SelectAll(), KeepInTime(safety), KeepToBudget(safety, reserve)))


POLICIES: dict[str, Callable[..., Policy]] = {
    "all-available": all_available,
    "random": random_selection,
    "residual-contact-rank": residual_contact_rank,
    "energy-budget": energy_budget,
}

STAGES: dict[str, Callable[..., Stage]] = {
    "select-all": SelectAll,
    "select-random": SelectRandom,
    "keep-in-time": KeepInTime,
    "keep-charged": KeepCharged,
    "fixed-rank": FixedRank,
    "tier-rank": TierRank,
    "kept-rank": KeptRank,
    "cubic-budget": CubicBudget,
    "random-blocks": RandomBlocks,
    "residual-contact-rank": ResidualContactRank,
    "keep-to-budget": KeepToBudget,
    "average-budget": AverageBudget,
    "ucb-dual": ucb_dual,
    "ucb-dual-authors": AuthorsRank,
}

BUDGETS: dict[str, Callable[..., BudgetPolicy]] = {
    "keep": KeepBudgets,
    "convergence": ConvergenceBudgets,
    "authors": AuthorsBudgets,
}

PRICES: dict[str, Callable[..., PriceRule]] = {"none": NoPrice, "dual": DualPrice}

FALLBACKS: dict[str, Callable[..., Fallback | None]] = {
    "none": no_fallback,
    "cost": CheapestWay,
    "early-upload": EarlyUpload,
}

TRAFFIC_RULES: dict[str, Callable[..., TrafficRule | None]] = {
    "none": no_traffic_rule,
    "stay-covered": StayCovered,
    "stay-charged": StayCharged,
}
