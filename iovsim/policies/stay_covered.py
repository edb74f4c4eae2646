"""A traffic rule that has vehicles with a job stay in coverage until, as predicted, it is done."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from iovsim.domain import Reroute, SetSpeed, TrafficAction, TrafficView
from iovsim.errors import ScenarioError


@dataclass(frozen=True)
class StayCovered:
    """Slows a vehicle down that would leave before its job is done, or has it turn back to its RSU (ours).

    Whoever has `need` seconds of its job left by the plan's estimate, over `safety`, and `stay` seconds of contact by
    the method's forecast, drives at stay / need of its speed until the job is done. Where that is less than
    `least_share` of what it may drive at, it goes by way of the edge nearest to the RSU instead if `detour`, else on as
    it was.
    """

    safety: float = 0.8
    least_share: float = 0.4
    detour: bool = False

    def __post_init__(self) -> None:
        for name in ("safety", "least_share"):
            if not 0 < getattr(self, name) <= 1:
                raise ScenarioError(f"{name} = {getattr(self, name):g}: must lie in (0, 1].")

    def act(self, view: TrafficView) -> Sequence[TrafficAction]:
        gone_s = view.time_s - view.round.start_s
        actions: list[TrafficAction] = []
        for client in view.round.clients:
            given, drive = view.plan.assignments.get(client.vehicle), view.drives.get(client.vehicle)
            if given is None or drive is None:
                continue
            need_s = view.round.estimate(given).total_s / self.safety - gone_s
            stay_s = max(client.residual_contact_s - gone_s, 0.0)
            until_s = min(view.time_s + need_s, given.deadline_s)
            if stay_s >= need_s or not until_s > view.time_s:
                continue
            speed_mps = math.hypot(drive.vx_mps, drive.vy_mps) * stay_s / need_s
            if speed_mps >= self.least_share * drive.allowed_mps:
                actions.append(SetSpeed(client.vehicle, speed_mps, until_s))
            elif self.detour:
                actions.append(Reroute(client.vehicle, view.edges[view.rsu.rsu]))
        return actions
