"""Views become plans: who trains, at which rank, power and bandwidth."""

from __future__ import annotations

from iovsim.policies.kinds import BUDGETS, POLICIES, PRICES, STAGES
from iovsim.policies.staged import StagedPolicy

__all__ = ["BUDGETS", "POLICIES", "PRICES", "STAGES", "StagedPolicy"]
