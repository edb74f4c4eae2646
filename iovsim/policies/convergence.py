"""Budget moves to the tasks that are hard, still learn, and use what they have: redistribution in its sound form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from iovsim.domain import CloudView, TaskUse
from iovsim.policies.bounds import bounded, check_fit, check_shares
from iovsim.policies.budget import expect, is_due, unchanged

TINY_LOSS = 1e-12
"""What a loss of 0 counts as where it divides."""


@dataclass(slots=True)
class _Past:
    """What is remembered of a task."""

    first_loss: float
    progress: float = 0.0  # moving average of the relative decrease of its loss
    granted_j: float = 0.0  # since budgets were last moved
    within_j: float = 0.0  # what of that was used


@dataclass
class ConvergenceBudgets:
    """Every `every_rounds` rounds, budget goes from idle and converged tasks to hard, busy ones (inferred).

    For task m with validation loss L, and E the budget of all tasks together:

        d_m = s d_m + (1 - s) (L before - L) / L before      s = smoothing^(rounds between merges); decrease in [-1, 1]
        h_m = L / (L + loss_reference * the task's first L)  hardness; 1 where L is not finite
        u_m = used within budget / granted                   utilisation since budgets were last moved
        w_m = (h_m (1/2 + 1/2 max(d_m, 0) / max_j d_j))^exponent u_m
        E_m = kept_m + (E - sum of kept_j) w_m / sum of w_j  kept_m = (1 - release_share) u_m E_m

    Granted are the nearest budgets to these that sum to E and give every task from `floor_share` to `cap_share` of it
    (`bounds.bounded`). Where nothing was used at all, wished is what was. Rounds count at merges, which may be rarer.

    That convergence and utilisation decide is of the paper (Zheng et al., arXiv 2508.09532, v3). Its authors' code has
    period 6, smoothing 0.9, exponent 2, floor 24/300, cap 0.7, and E_m with nothing released. Inferred from both: d, h
    and w. Ours: the reference of h, each task's own first loss, since losses of tasks with different numbers of classes
    do not compare; that a rising loss counts as one that does not fall; that a round above budget counts as full use;
    the projection; and `release_share`. Without it two tasks that use all they have would keep it for ever, however
    far the one has converged; with it budgets of fully used tasks tend to shares proportional to w.
    """

    every_rounds: int = 6
    smoothing: float = 0.9
    exponent: float = 2.0
    floor_share: float = 0.08
    cap_share: float = 0.7
    release_share: float = 0.1
    loss_reference: float = 1.0
    _rounds: int = field(default=0, init=False)
    _past: dict[str, _Past] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        check_shares(self.floor_share, self.cap_share)
        expect(self.every_rounds >= 1, "every_rounds", self.every_rounds, "be at least 1")
        expect(0 <= self.smoothing < 1, "smoothing", self.smoothing, "lie in [0, 1)")
        expect(self.exponent >= 0, "exponent", self.exponent, "be at least 0")
        expect(0 <= self.release_share <= 1, "release_share", self.release_share, "lie in [0, 1]")
        expect(self.loss_reference > 0, "loss_reference", self.loss_reference, "be above 0")

    def check(self, tasks: int) -> None:
        check_fit(self.floor_share, self.cap_share, tasks)

    def redistribute(self, view: CloudView) -> Mapping[str, float]:
        for task in view.tasks:
            self._remember(view.rounds, task)
        before, self._rounds = self._rounds, self._rounds + view.rounds
        if not is_due(before, self._rounds, self.every_rounds):
            return unchanged(view)
        wished_j = self._wished_j(view)
        for past in self._past.values():
            past.granted_j = past.within_j = 0.0
        return bounded(wished_j, view.total_j, self.floor_share, self.cap_share)

    def _remember(self, rounds: int, task: TaskUse) -> None:
        past = self._past.setdefault(task.task, _Past(task.loss_before))
        past.granted_j += task.granted_j
        past.within_j += task.utilisation * task.granted_j
        kept = self.smoothing**rounds
        past.progress = kept * past.progress + (1 - kept) * _decrease(task)

    def _wished_j(self, view: CloudView) -> dict[str, float]:
        fastest = max(p.progress for p in self._past.values())
        kept_j, weights = {}, {}
        for task in view.tasks:
            past = self._past[task.task]
            utilisation = past.within_j / past.granted_j if past.granted_j > 0 else 0.0
            progress = max(past.progress, 0.0) / fastest if fastest > 0 else 0.0
            hardness = _hardness(task.loss, self.loss_reference * _reference(past.first_loss))
            kept_j[task.task] = (1 - self.release_share) * utilisation * task.budget_j
            weights[task.task] = (hardness * (0.5 + 0.5 * progress)) ** self.exponent * utilisation
        weight = math.fsum(weights.values())
        if weight == 0:
            return unchanged(view)
        free_j = view.total_j - math.fsum(kept_j.values())
        return {name: kept_j[name] + free_j * weights[name] / weight for name in kept_j}


def _decrease(task: TaskUse) -> float:
    """The relative decrease of the task's loss since the last call, in [-1, 1]; 0 where either is not finite."""
    if not (math.isfinite(task.loss) and math.isfinite(task.loss_before)):
        return 0.0
    return min(max((task.loss_before - task.loss) / max(task.loss_before, TINY_LOSS), -1.0), 1.0)


def _reference(first_loss: float) -> float:
    """The loss that tells how hard others are: the first, or 1 where that is none."""
    return first_loss if math.isfinite(first_loss) and first_loss > 0 else 1.0


def _hardness(loss: float, reference: float) -> float:
    """In [0, 1]: 1/2 at the reference."""
    return loss / (loss + reference) if math.isfinite(loss) else 1.0
