"""Names become bandits ready to play, each with its price; where constants come from is said where they are used."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from iovsim.domain import FloatArray
from iovsim.errors import ScenarioError, near_match
from iovsim.policies.bandits import (
    Adjacent,
    AnytimePrice,
    AuthorsUcbDual,
    Choice,
    EpsilonGreedy,
    Exp3,
    Forgetting,
    Learner,
    Learning,
    LinUcb,
    Noise,
    Offer,
    Price,
    QueuePrice,
    Rule,
    RulePrice,
    Statistics,
    Thompson,
    UcbDual,
    optimum,
)
from iovsim.policies.bandits.authors import EVERY, PRICE_STEP
from iovsim.policies.bandits.offers import BoolArray
from iovsim.policies.bandits.statistics import ALL, played
from iovsim.policies.price import DualPrice, NoPrice
from iovsim.regret.arms import Arms

Make = Callable[[Arms, int, float], Learner]
"""Takes arms, the number of seeds, and a factor for the constant of exploration."""

MakePrice = Callable[[Arms, int, int], Price]
"""Takes arms, the number of seeds, and the horizon."""


@dataclass(frozen=True, slots=True)
class Player:
    """One way to play.

    Whatever it is held against, a bandit is told a price of cost by the same rule as UCB-DUAL, so that what is compared
    is how they explore. The exceptions: `ucb` has none, the pessimistic-optimistic bandit the queue that makes it what
    it is, and the older forms of UCB-DUAL their own steps.
    """

    title: str
    learner: Make
    price: MakePrice
    knows_horizon: bool = False  # its constants depend on T, so that every T is a game of its own
    authors: bool = False  # rewards in the authors' units, price on ranks, ranks capped by shares of the budget
    explores: bool = True  # has a constant of exploration


@dataclass(slots=True, eq=False)
class Clairvoyant:
    """Keeps each vehicle's plays as near to the best mixture, that of the round's phase, as whole plays allow."""

    arms: Arms
    seeds: int
    _mixtures: list[FloatArray] = field(init=False)  # by phase
    _owed: FloatArray = field(
        init=False
    )  # (phases, seeds, vehicles, arms): what mixtures ask for, minus what was played

    def __post_init__(self) -> None:
        arms = self.arms
        self._mixtures = [optimum(rewards, arms.costs, arms.budget).mixture for rewards in arms.rewards]
        self._owed = np.zeros((len(arms.rewards), self.seeds, *arms.costs.shape))

    def choose(self, offer: Offer, noise: Noise) -> Choice:
        phase = self.arms.phase(offer.round)
        owed = self._owed[phase]
        owed += self._mixtures[phase]
        arm = owed.argmax(axis=-1)
        owed.reshape(-1)[played(arm, owed.shape[-1])] -= 1.0
        return Choice(offer, arm, np.ones(arm.shape))

    def observe(self, choice: Choice, reward: FloatArray, cost: FloatArray) -> None:
        """It knows."""


def _rule(make: Callable[[float], Rule], *, by_tier: bool = False, forgetting: Forgetting = ALL) -> Make:
    def learner(arms: Arms, seeds: int, explore: float) -> Learner:
        statistics = Statistics((seeds, *arms.costs.shape), forgetting)
        return Learning(make(explore), statistics, arms.alike if by_tier else None)

    return learner


def _adjacent(arms: Arms, seeds: int, explore: float) -> Learner:
    return Adjacent(_rule(_ucb_dual)(arms, seeds, explore), np.full((seeds, len(arms.tiers)), -1))


def _known_costs(arms: Arms, seeds: int, explore: float) -> Learner:
    return Learning(UcbDual(0.5 * explore, 0.0), Statistics((seeds, *arms.costs.shape)), costs=arms.costs)


def _ucb_dual(explore: float) -> Rule:
    return UcbDual(0.5 * explore, 0.2 * explore)


def _anytime(arms: Arms, seeds: int, horizon: int) -> Price:
    return AnytimePrice(ceiling=2.0 / arms.slack_share, shape=(seeds,))


def _constant(arms: Arms, seeds: int, horizon: int) -> Price:
    return RulePrice(DualPrice(4.0 / math.sqrt(horizon), 1.0, 2.0 / arms.slack_share), seeds)


def _none(arms: Arms, seeds: int, horizon: int) -> Price:
    return RulePrice(NoPrice(), seeds)


def _queue(arms: Arms, seeds: int, horizon: int) -> Price:
    return QueuePrice(arms.slack_share * arms.budget / len(arms.tiers), (seeds,))


def _of_authors(arms: Arms, seeds: int, horizon: int) -> Price:
    return RulePrice(DualPrice(PRICE_STEP * len(arms.tiers), 1.0, math.inf), seeds)  # not divided by vehicles


DISCOUNT, WINDOW = 0.994, 300
"""What Garivier and Moulines (2011) give for a change every 2,000 rounds: 1 - 1 / (4 sqrt(2000)), 2 sqrt(2000 ln T)."""

PLAYERS: Mapping[str, Player] = {
    "ucb-dual": Player("UCB-DUAL, each vehicle on its own", _rule(_ucb_dual), _anytime),
    "ucb-dual-by-tier": Player("UCB-DUAL, statistics shared by tier", _rule(_ucb_dual, by_tier=True), _anytime),
    "ucb-dual-known-costs": Player("UCB-DUAL that knows mean costs", _known_costs, _anytime),
    "ucb-dual-adjacent": Player("UCB-DUAL, current rank or a neighbour", _adjacent, _anytime),
    "ucb-dual-discounted": Player(
        f"UCB-DUAL whose outcomes lose a part of {1 - DISCOUNT:.1g} in each round",
        _rule(_ucb_dual, forgetting=Forgetting(discount=DISCOUNT)),
        _anytime,
    ),
    "ucb-dual-window": Player(
        f"UCB-DUAL that knows the last {WINDOW} rounds",
        _rule(_ucb_dual, forgetting=Forgetting(window=WINDOW)),
        _anytime,
    ),
    "ucb-dual-horizon": Player(
        "UCB-DUAL as first inferred: scales 0.5, steps 4 / sqrt(T)",
        _rule(lambda f: UcbDual(0.5 * f, 0.5 * f)),
        _constant,
        knows_horizon=True,
    ),
    "ucb-dual-authors": Player(
        "UCB-DUAL as in the authors' code",
        lambda arms, seeds, f: AuthorsUcbDual(arms.ranks, (seeds, len(arms.tiers))),
        _of_authors,
        authors=True,
        explores=False,
    ),
    "ucb": Player("UCB-DUAL without the price", _rule(_ucb_dual), _none),
    "epsilon-greedy": Player("epsilon-greedy, same price", _rule(lambda f: EpsilonGreedy(f)), _anytime),
    "thompson": Player("Thompson sampling, same price", _rule(lambda f: Thompson(0.5 * f, 0.2 * f)), _anytime),
    "exp3": Player("EXP3, same price", lambda arms, seeds, f: Exp3((seeds, *arms.costs.shape), f), _anytime),
    "linucb": Player(
        "LinUCB on the tier's context, same price",
        lambda arms, seeds, f: LinUcb((seeds, *arms.costs.shape), arms.context.shape[1], 2.36 * f, 0.94 * f),
        _anytime,
    ),
    "pessimistic-optimistic": Player(
        "arXiv 2102.05295, price by its queue", _rule(lambda f: UcbDual(0.5 * f, 0.0)), _queue
    ),
    "clairvoyant": Player(
        "the best mixture within the budget",
        lambda arms, seeds, f: Clairvoyant(arms, seeds),
        _none,
        explores=False,
    ),
}


def chosen(names: Sequence[str]) -> dict[str, Player]:
    """The players of these names; all where none is named. Raises `ScenarioError` for an unknown one."""
    for name in names:
        if name not in PLAYERS:
            raise ScenarioError(f"--bandit {name!r}: no such bandit; {near_match(name, PLAYERS)}")
    return {name: PLAYERS[name] for name in names or PLAYERS}


def capped(arms: Arms) -> tuple[BoolArray, float]:
    """What the authors' code allows: ranks up to each vehicle's equal share of the budget in ranks, and that budget."""
    budget = arms.budget_share * len(arms.tiers) * max(arms.ranks)
    feasible = np.array(arms.ranks) <= round(budget / len(arms.tiers))
    return np.broadcast_to(feasible, arms.costs.shape), budget


AUTHORS_REWARD = 180.0
"""An accuracy of 1 in the authors' units: 1.8 a per cent."""

__all__ = ["AUTHORS_REWARD", "EVERY", "PLAYERS", "Player", "capped", "chosen"]
