"""The stage in which each client's rank is learned: a bandit over ranks, at the price of its task's energy."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeVar

import numpy as np

from iovsim.domain import (
    ARRIVED,
    Assignment,
    ClientView,
    FloatArray,
    RoundOutcome,
    RoundPlan,
    RoundView,
    TaskView,
    Update,
)
from iovsim.errors import ScenarioError, near_match
from iovsim.policies.bandits import (
    Forgetting,
    Notebook,
    Offer,
    Quality,
    RewardRule,
    Tally,
    UcbDual,
    adjacent,
    gain,
    likelihood,
)
from iovsim.policies.bandits.notebook import Key
from iovsim.policies.bandits.offers import BoolArray, best
from iovsim.policies.bandits.statistics import ALL
from iovsim.policies.draft import clients_of, keep
from iovsim.policies.in_time import check_safety, slack_s

Choice = TypeVar("Choice", bound=StrEnum)


class Sharing(StrEnum):
    """Whose outcomes a vehicle learns from."""

    TIER = "tier"  # those of all vehicles with a device like its own
    VEHICLE = "vehicle"  # its own


@dataclass
class BanditRank:
    """Each client plays the rank that a bandit hopes most of, among those that it can hold and finish (P1: UCB-DUAL).

    Arms are the task's ranks, feasible by memory and, as predicted, within `safety` times the residual contact time;
    a client without any is left out. What an arm brought is reward and cost of the job (`RewardRule`) once its update
    has arrived, the reward times the part of the epochs that was done; lost jobs say nothing. The price is that of the
    policy file's `[price]`, whose `reference_j` must be the rewards' `energy_ref_j`; without one the bandit is UCB.

    A round's clients choose at once. So each play that is planned counts for those who choose after it, as if it had
    brought the arm's mean: else all would play the same arm (as in Desautels, Krause, Burdick, JMLR 15 (2014) 4053).

    Where all that is hoped of the best rank is not worth the price of its energy, the client declines (`decline`,
    ours): ranks hardly change what training costs, so without this a price could not keep a task within its budget.

    Vehicles are short-lived, so statistics lie at the RSU, by task and device tier; a vehicle carries a copy to the
    next RSU (`carry`). Sharing, carrying and planned plays are ours; the authors' code has statistics of each vehicle,
    moves to neighbouring ranks only (`adjacent_only`) and decides every third round (`every_rounds`).
    """

    rewards: RewardRule
    rule: UcbDual = field(default_factory=UcbDual)
    quality: Quality = Quality.LIKELIHOOD
    gain_ref: float = 1.0
    forgetting: Forgetting = ALL
    share: Sharing = Sharing.TIER
    carry: bool = True
    decline: bool = True
    adjacent_only: bool = False
    every_rounds: int = 1
    safety: float = 0.8
    _notebooks: dict[tuple[str, str], Notebook] = field(default_factory=dict, init=False)  # by RSU and task
    _carried: dict[tuple[str, str], Notebook] = field(default_factory=dict, init=False)  # by vehicle and task
    _arms: dict[tuple[str, str], int] = field(default_factory=dict, init=False)  # last played, likewise

    def __post_init__(self) -> None:
        check_safety(self.safety)
        if self.every_rounds < 1:
            raise ScenarioError(f"every_rounds = {self.every_rounds}: must be at least 1.")
        if not self.gain_ref > 0:
            raise ScenarioError(f"gain_ref = {self.gain_ref:g}: must be above 0.")

    def __call__(self, view: RoundView, plan: RoundPlan) -> RoundPlan:
        clients, tasks = clients_of(view), {task.task: task for task in view.tasks}
        planned: dict[tuple[str, Key], Tally] = {}
        assignments: dict[str, Assignment] = {}
        for vehicle, assignment in sorted(plan.assignments.items()):
            task = tasks[assignment.task]
            feasible = self._feasible(view, task, clients[vehicle], assignment)
            if feasible.any():
                arm = self._arm(view, task, clients[vehicle], feasible, planned)
                if arm is not None:
                    self._arms[vehicle, task.task] = arm
                    assignments[vehicle] = replace(assignment, rank=task.ranks[arm])
        left_out = len(assignments) < len(plan.assignments)
        return keep(view, RoundPlan(assignments), assignments) if left_out else RoundPlan(assignments)

    def feedback(self, outcome: RoundOutcome) -> None:
        """Learns from the jobs whose updates arrived, and gives their vehicles a copy of what is known."""
        tiers = {client.vehicle: client.tier for client in outcome.view.clients}
        ranks = {task.task: task.ranks for task in outcome.view.tasks}
        learnt = set()
        for job in outcome.jobs:
            vehicle, task = job.assignment.vehicle, job.assignment.task
            if job.status in ARRIVED and job.update is not None and vehicle in tiers:
                arm = np.array(ranks[task].index(job.assignment.rank))
                reward = job.update.fraction * self.rewards.reward(
                    self._quality(job.update), job.end_s - job.start_s, job.energy_j
                )
                self._notebook(outcome.rsu, task, len(ranks[task])).observe(
                    self._key(task, vehicle, tiers[vehicle]),
                    outcome.round + 1,
                    arm,
                    np.array(reward),
                    np.array(self.rewards.cost(job.energy_j)),
                )
                learnt.add((vehicle, task))
        if self.carry:
            self._carried |= {(v, task): self._notebooks[outcome.rsu, task].copy() for v, task in sorted(learnt)}

    def _feasible(self, view: RoundView, task: TaskView, client: ClientView, assignment: Assignment) -> BoolArray:
        """Of the task's ranks, those that the client can hold and, as predicted, finish (ranks,)."""
        return np.array(
            [
                rank in client.feasible_ranks[task.task]
                and slack_s(view, replace(assignment, rank=rank), client, self.safety) >= 0
                for rank in task.ranks
            ]
        )

    def _arm(
        self,
        view: RoundView,
        task: TaskView,
        client: ClientView,
        feasible: BoolArray,
        planned: dict[tuple[str, Key], Tally],
    ) -> int | None:
        """What the client plays, None where it declines; `planned` are the plays of those before it in this round."""
        last = self._arms.get((client.vehicle, task.task), -1)
        if last >= 0 and feasible[last] and view.round % self.every_rounds:
            return last
        notebook = self._notebook(view.rsu, task.task, len(task.ranks))
        if (client.vehicle, task.task) in self._carried:
            notebook.read(self._carried[client.vehicle, task.task])
        key = self._key(task.task, client.vehicle, client.tier)
        known = notebook.known(key, view.round + 1)
        more = planned.get((task.task, key), Tally(*np.zeros((3, len(task.ranks)))))
        near = adjacent(feasible, np.array(last)) if self.adjacent_only else feasible
        offer = Offer(view.round + 1, near if near.any() else feasible, np.array(task.price))
        index = self.rule.index(known + more, offer)
        arm = int(best(index, offer).arm)
        if self.decline and index[arm] < 0:
            return None
        planned[task.task, key] = more + _as_known(known, arm)
        return arm

    def _notebook(self, rsu: str, task: str, arms: int) -> Notebook:
        if (rsu, task) not in self._notebooks:
            self._notebooks[rsu, task] = Notebook(rsu, arms, self.forgetting)
        return self._notebooks[rsu, task]

    def _key(self, task: str, vehicle: str, tier: str) -> Key:
        return task, tier if self.share is Sharing.TIER else vehicle

    def _quality(self, update: Update) -> float:
        if self.quality is Quality.GAIN:
            return gain(update.loss_before, update.loss_after, self.gain_ref)
        return likelihood(update.loss_after)


def _as_known(known: Tally, arm: int) -> Tally:
    """One play of an arm that brings what the arm brought on average."""
    reward, cost = known.means()
    one: FloatArray = np.zeros_like(reward)
    one[arm] = 1.0
    return Tally(one, one * reward, one * cost)


def ucb_dual(
    energy_ref_j: float = 50.0,
    latency_ref_s: float = 30.0,
    quality: str = "likelihood",
    quality_weight: float = 0.6,
    latency_weight: float = 0.2,
    energy_weight: float = 0.2,
    gain_ref: float = 1.0,
    reward_scale: float = 0.5,
    cost_scale: float = 0.2,
    discount: float = 1.0,
    window: int = 0,
    share: str = "tier",
    carry: bool = True,
    decline: bool = True,
    adjacent_only: bool = False,
    every_rounds: int = 1,
    safety: float = 0.8,
) -> BanditRank:
    """UCB-DUAL over ranks (P1); see `BanditRank`, `RewardRule`, `UcbDual` and `Forgetting` for the parameters.

    The references are ours: a little more than what a job of the demo takes, and a round of it.
    """
    return BanditRank(
        rewards=RewardRule(latency_ref_s, energy_ref_j, quality_weight, latency_weight, energy_weight),
        rule=UcbDual(reward_scale, cost_scale),
        quality=_one_of(Quality, "quality", quality),
        gain_ref=gain_ref,
        forgetting=Forgetting(discount, window),
        share=_one_of(Sharing, "share", share),
        carry=carry,
        decline=decline,
        adjacent_only=adjacent_only,
        every_rounds=every_rounds,
        safety=safety,
    )


def _one_of(choices: type[Choice], name: str, value: str) -> Choice:
    """Raises `ScenarioError` where there is no such choice."""
    if value not in {choice.value for choice in choices}:
        raise ScenarioError(f"{name} = {value!r}: {near_match(value, [choice.value for choice in choices])}")
    return choices(value)
