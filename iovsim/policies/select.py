"""Selection stages: which clients take part."""

from __future__ import annotations

from dataclasses import dataclass

from iovsim.domain import RoundPlan, RoundView
from iovsim.errors import ScenarioError
from iovsim.policies.draft import draft


@dataclass(frozen=True)
class SelectAll:
    """Every client that can work (the FedAvg baseline's `C = 1`; McMahan et al. 2017, arXiv 1602.05629)."""

    def __call__(self, view: RoundView, plan: RoundPlan) -> RoundPlan:
        return draft(view, view.clients)


@dataclass(frozen=True)
class SelectRandom:
    """`clients` of them, drawn uniformly without replacement (FedAvg's random selection, same source)."""

    clients: int = 4

    def __post_init__(self) -> None:
        if self.clients < 1:
            raise ScenarioError(f"clients = {self.clients}: must be at least 1.")

    def __call__(self, view: RoundView, plan: RoundPlan) -> RoundPlan:
        free = [c for c in view.clients if not c.busy and any(c.feasible_ranks[t] for t in c.tasks)]
        picked = view.rng.choice(len(free), size=min(self.clients, len(free)), replace=False)
        return draft(view, [free[i] for i in sorted(picked)])
