"""The stage that drops clients whose battery is low, or would be by their job."""

from __future__ import annotations

from dataclasses import dataclass

from iovsim.domain import RoundPlan, RoundView
from iovsim.errors import ScenarioError
from iovsim.policies.draft import clients_of, keep


@dataclass(frozen=True)
class KeepCharged:
    """Keeps clients that are charged to `least_share` and can spare what their job is estimated to take (ours).

    The estimate counts the RSU's energy too, so that it errs on the vehicle's side. Vehicles without a battery stay.
    """

    least_share: float = 0.2

    def __post_init__(self) -> None:
        if not 0 <= self.least_share <= 1:
            raise ScenarioError(f"least_share = {self.least_share:g}: must lie in [0, 1].")

    def __call__(self, view: RoundView, plan: RoundPlan) -> RoundPlan:
        batteries = {vehicle: client.battery for vehicle, client in clients_of(view).items()}
        kept = [
            vehicle
            for vehicle, given in plan.assignments.items()
            if (battery := batteries[vehicle]) is None
            or (battery.share >= self.least_share and battery.spare_j >= view.estimate(given).energy_j)
        ]
        return plan if len(kept) == len(plan.assignments) else keep(view, plan, kept)
