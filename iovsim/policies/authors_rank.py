"""The stage in which ranks are learned by the formulas of the rank-scheduling paper's released code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from iovsim.domain import ARRIVED, ClientView, RoundOutcome, RoundPlan, RoundView, TaskView
from iovsim.errors import ScenarioError
from iovsim.policies.bandits import AuthorsUcbDual, Offer, authors_reward, likelihood
from iovsim.policies.bandits.authors import BASE_RANKS, EVERY, PRICE_STEP
from iovsim.policies.bandits.offers import BoolArray, Choice
from iovsim.policies.budget import expect
from iovsim.policies.draft import clients_of


@dataclass
class AuthorsRank:
    """UCB-DUAL as P1's authors' code does it: each vehicle by itself, within a share of its task's budget in ranks.

    A task's budget eta is shared out over the round's clients of the task by their samples,

        cap_v = round(eta n_v / sum of n)                the last client takes the remainder

    and the arms of v are 8, 16, ..., 64, 128, 168, 200 up to cap_v, and cap_v. It begins at cap_v; every third round it
    goes to the better of its rank and that one's neighbours, by indices (`AuthorsUcbDual`) of the reward

        X = -(0.16 tau + 0.001 e - 1.8 q)                seconds and joules of the job, q in percent

    at the price, every third round after the choice, lam <- max(0, lam + 0.01 (sum of ranks - eta)). Statistics are a
    vehicle's own, for each task, at whatever RSU, and outlive changes of its arms. Where the budget has moved, those
    whose q is below `jump_below_percent` go to their caps at once. (Zheng et al., arXiv 2508.09532; formulas and
    constants of the code, with t = 1 the first round.)

    Defects, kept:
    * caps sum to the budget, so the price stays 0 and UCB-DUAL is UCB;
    * rewards are about 100 to 180, the bonus is 3 at most and arms begin at index 0 (`initial`, by task; segmentation
      has 155 in the code, set by hand), so with 0 a vehicle hardly leaves the arm that it began with;
    * an index is a running maximum, so neither worse rewards nor a price are felt;
    * a price on ranks, where budgets are on energy, which hardly depends on ranks;
    * up to a dozen arms for each vehicle by itself, and a choice every third round: nothing is learnt in a short stay;
    * neither how long a vehicle will stay, nor what its job will take, is looked at.

    What had to be added (ours):
    * A rank unit is a fixed share of energy, as in `AuthorsBudgets`: each task has `task_units` (100, of 300 for the
      code's three) at what its budgets are at first, and more or fewer as they move. The same at each of a task's RSUs,
      for in the code a task has one.
    * Tasks here have smaller ranks than the code's 8 to 200. A rank here counts as `scale` of the code's: budget and
      arms are divided by it, price and index count in the code's. With 4, its HomoLoRA's rank of 33 is about the 8 of
      `fedit`, and arms are 2, 4, ..., 16, 32, 42, 50. An arm need not be one of the task's ranks.
    * Clients come and go, so caps move in every round, and a rank that fell to one climbs back by single arms only; the
      code's clients stay, and caps move with budgets.
    * A cap is at most the largest of the task's ranks that the memory holds, and at least 1: with more clients than
      ranks to share out the sum is above budget, and then the price does rise.
    * The code measures q, the local model's accuracy on the vehicle's own test samples; here 100 exp(-loss) of its last
      epoch stands for it, as in `CheapestWay`. Jobs whose update did not arrive say nothing; one that stopped early
      counts like a whole one.
    * The price is known to all and sent to none, so it costs no bits: what `[price]` says is not looked at.
    """

    task_units: float = 100.0
    scale: float = 1.0
    initial: Mapping[str, float] | None = None
    jump_below_percent: float = 64.0
    _first_j: dict[str, float] = field(default_factory=dict, init=False)  # by task
    _prices: dict[tuple[str, str], float] = field(default_factory=dict, init=False)  # by RSU and task
    _bandits: dict[tuple[str, str], AuthorsUcbDual] = field(default_factory=dict, init=False)  # by vehicle and task
    _budgets: dict[tuple[str, str], int] = field(default_factory=dict, init=False)  # last seen, likewise

    def __post_init__(self) -> None:
        expect(0 < self.task_units < math.inf, "task_units", self.task_units, "be finite and above 0")
        expect(0 < self.scale < math.inf, "scale", self.scale, "be finite and above 0")
        if self.initial is not None and not _by_task(self.initial):
            raise ScenarioError(
                f"initial = {self.initial!r}: give tasks finite numbers, like initial = {{ a-task = 155.0 }}."
            )

    def __call__(self, view: RoundView, plan: RoundPlan) -> RoundPlan:
        clients = clients_of(view)
        ranks: dict[str, int] = {}
        for task in view.tasks:
            budget = self._budget(task)
            samples = {v: clients[v].samples[a.task] for v, a in plan.assignments.items() if a.task == task.task}
            chosen = {v: self._rank(view, task, clients[v], cap, budget) for v, cap in caps(budget, samples).items()}
            if (view.round + 1) % EVERY == 0:
                above = self.scale * (sum(chosen.values()) - budget)
                self._prices[view.rsu, task.task] = max(0.0, self._price(view.rsu, task.task) + PRICE_STEP * above)
            ranks |= chosen
        return RoundPlan({v: replace(a, rank=ranks[v]) for v, a in plan.assignments.items()})

    def feedback(self, outcome: RoundOutcome) -> None:
        """Tells each vehicle what its rank brought, if its update arrived."""
        for job in outcome.jobs:
            if job.status in ARRIVED and job.update is not None:
                a = job.assignment
                bandit = self._bandits[a.vehicle, a.task]
                offer = Offer(
                    outcome.round + 1,
                    np.ones(len(bandit.ranks), dtype=bool),
                    np.array(self._price(outcome.rsu, a.task)),
                )
                reward = authors_reward(likelihood(job.update.loss_after), job.end_s - job.start_s, job.energy_j)
                bandit.observe(Choice(offer, np.array(a.rank), np.array(1.0)), np.array(reward), np.array(0.0))

    def _budget(self, task: TaskView) -> int:
        """The ranks that an RSU's round of the task may have in all."""
        first_j = self._first_j.setdefault(task.task, task.energy_budget_j)
        return round(self.task_units * task.energy_budget_j / first_j / self.scale)

    def _rank(self, view: RoundView, task: TaskView, client: ClientView, cap: int, budget: int) -> int:
        key = client.vehicle, task.task
        if key not in self._bandits:
            of_code = [self.scale * rank for rank in range(task.ranks[-1] + 1)]
            self._bandits[key] = AuthorsUcbDual(of_code, initial=(self.initial or {}).get(task.task, 0.0))
        bandit = self._bandits[key]
        moved = self._budgets.setdefault(key, budget) != budget
        if moved and 100.0 * likelihood(client.last_loss.get(task.task, 0.0)) < self.jump_below_percent:
            bandit.restart()  # whoever has no loss yet has no accuracy to be below
        self._budgets[key] = budget
        feasible = self._arms(min(max(cap, 1), client.feasible_ranks[task.task][-1]), len(bandit.ranks))
        offer = Offer(view.round + 1, feasible, np.array(self._price(view.rsu, task.task)))
        return int(bandit.choose(offer, view.rng).arm)

    def _arms(self, cap: int, size: int) -> BoolArray:
        """Which of the ranks from 0 on are arms (size,)."""
        arms = np.zeros(size, dtype=bool)
        arms[[rank for base in BASE_RANKS if 1 <= (rank := round(base / self.scale)) <= cap]] = True
        arms[cap] = True
        return arms

    def _price(self, rsu: str, task: str) -> float:
        """In reward for one of the code's ranks."""
        return self._prices.get((rsu, task), 0.0)


def _by_task(value: object) -> bool:
    """Whether it is a table of finite numbers."""
    return isinstance(value, Mapping) and all(
        isinstance(index, (int, float)) and not isinstance(index, bool) and math.isfinite(index)
        for index in value.values()
    )


def caps(budget: int, samples: Mapping[str, int]) -> dict[str, int]:
    """The budget shared out by samples, in the order of vehicles; the last one's may be below 0, by rounding."""
    total, vehicles = sum(samples.values()), sorted(samples)
    shares = {v: round(budget * samples[v] / total) for v in vehicles[:-1]}
    return shares | {v: budget - sum(shares.values()) for v in vehicles[-1:]}
