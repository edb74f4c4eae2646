"""Budget moves by the formulas of the rank-scheduling paper's released code, for comparison with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from iovsim.domain import CloudView
from iovsim.policies.bounds import bounded, check_fit, check_shares
from iovsim.policies.budget import expect, is_due, unchanged


@dataclass
class AuthorsBudgets:
    """Redistribution as the authors' code does it, in rank units: by budget per point of accuracy, and by use.

    Budgets eta_m are in rank units, of which all tasks together have `units` (300: three tasks of 100). Once a round

        h_m = smoothing h_m + (1 - smoothing) eta_m / accuracy_m        "difficulty", from 0; accuracy in percent
        w_m = h_m^exponent u_m,   u_m = eff_m / eta_m                   eff_m: units in use

    and every 6 rounds, but never from round 18 on, with rem = units - sum of eff_j

        eta_m = clip(eff_m + round(rem w_m / sum of w_j), floor, cap)

    (Zheng et al., arXiv 2508.09532; formulas and constants of the code.) Its flaw stays: h_m rises with the task's own
    budget, so a task that is given more looks harder and is given more still; only the cap ends this positive feedback.

    What had to be added (ours). A rank unit is a fixed share of all energy, E / 300 joules of a round; units in use are
    what was used within budget since the last merge, so converted, because here budgets limit joules, which hardly
    depend on ranks. Clipping and rounding leave a sum other than 300, so that methods would differ in total energy: the
    nearest budgets within the same bounds that sum to 300 are taken. Accuracy is the merged adapter's on validation
    samples (the code averages local models), and below 1 % counts as 1 %. Where nothing was used, wished is what was.
    That vehicles below 64 % accuracy jump to their new cap concerns ranks (`AuthorsRank`).
    """

    every_rounds: int = 6
    frozen_from: int = 18
    units: float = 300.0
    smoothing: float = 0.9
    exponent: float = 2.0
    floor_share: float = 0.08  # 24 of 300
    cap_share: float = 0.7
    _rounds: int = field(default=0, init=False)
    _difficulty: dict[str, float] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        check_shares(self.floor_share, self.cap_share)
        expect(self.every_rounds >= 1, "every_rounds", self.every_rounds, "be at least 1")
        expect(self.units > 0, "units", self.units, "be above 0")
        expect(0 <= self.smoothing < 1, "smoothing", self.smoothing, "lie in [0, 1)")
        expect(self.exponent >= 0, "exponent", self.exponent, "be at least 0")

    def check(self, tasks: int) -> None:
        check_fit(self.floor_share, self.cap_share, tasks)

    def redistribute(self, view: CloudView) -> Mapping[str, float]:
        unit_j = view.total_j / self.units
        budgets = {t.task: t.budget_j / unit_j for t in view.tasks}
        kept = self.smoothing**view.rounds  # as so many rounds, one by one, of the same accuracy
        for task in view.tasks:
            difficulty = budgets[task.task] / max(100.0 * task.accuracy, 1.0)
            self._difficulty[task.task] = kept * self._difficulty.get(task.task, 0.0) + (1 - kept) * difficulty
        before, self._rounds = self._rounds, self._rounds + view.rounds
        if self._rounds >= self.frozen_from or not is_due(before, self._rounds, self.every_rounds):
            return unchanged(view)
        granted = self._granted(budgets, {t.task: t.utilisation for t in view.tasks})
        return bounded({t: g * unit_j for t, g in granted.items()}, view.total_j, self.floor_share, self.cap_share)

    def _granted(self, budgets: Mapping[str, float], utilisation: Mapping[str, float]) -> dict[str, float]:
        """The code's new budgets in rank units, which need not sum to `units`."""
        in_use = {t: utilisation[t] * budgets[t] for t in budgets}
        weights = {t: self._difficulty[t] ** self.exponent * utilisation[t] for t in budgets}
        weight, free = math.fsum(weights.values()), self.units - math.fsum(in_use.values())
        wished = {t: in_use[t] + round(free * weights[t] / weight) for t in budgets} if weight > 0 else budgets
        floor, cap = self.floor_share * self.units, self.cap_share * self.units
        return {t: min(max(w, floor), cap) for t, w in wished.items()}
