"""Views become plans: who trains, at which rank, power and bandwidth."""

from __future__ import annotations

from iovsim.policies.kinds import BUDGETS, FALLBACKS, POLICIES, PRICES, STAGES, TRAFFIC_RULES
from iovsim.policies.staged import StagedPolicy

__all__ = ["BUDGETS", "FALLBACKS", "POLICIES", "PRICES", "STAGES", "TRAFFIC_RULES", "StagedPolicy"]
