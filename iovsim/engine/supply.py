"""What jobs take of their vehicles' batteries, and until when these last."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from iovsim.domain import Batteries, JobEnd, PhaseEnd, PhaseKind
from iovsim.engine.state import Setting, State

PARTS: Mapping[PhaseKind, str] = {
    PhaseKind.COMPUTE: "training_j",
    PhaseKind.WAITING: "waiting_j",
    PhaseKind.CARRYING: "waiting_j",
    PhaseKind.DOWNLINK: "radio_j",
    PhaseKind.UPLINK: "radio_j",
    PhaseKind.SIDELINK: "radio_j",
    PhaseKind.RECEIVING: "radio_j",
}
"""Which column of the table `batteries` a phase's energy goes to."""


@dataclass(frozen=True, slots=True, eq=False)
class Supply:
    """The batteries in one period, and by vehicle what jobs that are over have taken of them, which grows."""

    batteries: Batteries
    spent_j: Mapping[str, float]

    def lasts_s(self, own: str, before: Sequence[PhaseEnd], now: Sequence[PhaseEnd]) -> float:
        """When the first of those that take part in a job's phases `now` comes down to its reserve; infinite if never.

        `own` is the job's vehicle, `before` are its earlier phases. A phase takes its energy evenly.
        """
        ends_s = [math.inf]
        for phase in now:
            length_s, vehicle = phase.end_s - phase.start_s, phase.vehicle or own
            if length_s > 0:
                so_far_j = math.fsum(p.vehicle_j for p in before if (p.vehicle or own) == vehicle)
                spent_j = self.spent_j.get(vehicle, 0.0) + so_far_j
                power_w = phase.vehicle_j / length_s
                lasts_s = self.batteries.lasts_s(vehicle, from_s=phase.start_s, power_w=power_w, spent_j=spent_j)
                ends_s.append(lasts_s)
        return min(ends_s)

    def is_low(self, vehicle: str, time_s: float) -> bool:
        """Whether it is down to its reserve."""
        spent_j = self.spent_j.get(vehicle, 0.0)
        return self.batteries.lasts_s(vehicle, from_s=time_s, power_w=0.0, spent_j=spent_j) <= time_s


def supply_of(setting: Setting, state: State) -> Supply | None:
    """Of the period that begins now; None where there are no batteries."""
    if setting.traffic is None or setting.traffic.batteries is None:
        return None
    return Supply(setting.traffic.batteries, state.spent_j)


def taken_j(jobs: Sequence[JobEnd]) -> dict[str, float]:
    """By vehicle what jobs took, of their own vehicles and of carriers."""
    return {vehicle: math.fsum(parts.values()) for vehicle, parts in _parts_j(jobs).items()}


def draw(setting: Setting, jobs: Sequence[JobEnd], until_s: float) -> None:
    """Takes from the batteries what jobs took in the period that is over at `until_s`, and records their books."""
    if setting.traffic is None or setting.traffic.batteries is None:
        return
    parts_j = _parts_j(jobs)
    for use in setting.traffic.batteries.settle(until_s, taken_j(jobs)):
        setting.recorder.add(
            "batteries",
            time_s=until_s,
            vehicle=use.vehicle,
            before_j=use.before_j,
            driving_j=use.driving_j,
            recuperated_j=use.recuperated_j,
            charged_j=use.charged_j,
            unmet_j=use.unmet_j,
            surplus_j=use.surplus_j,
            after_j=use.after_j,
            **(dict.fromkeys(PARTS.values(), 0.0) | parts_j.get(use.vehicle, {})),
        )


def _parts_j(jobs: Sequence[JobEnd]) -> dict[str, dict[str, float]]:
    """By vehicle and column."""
    found: dict[str, dict[str, list[float]]] = {}
    for job in jobs:
        for phase in job.phases:
            of_vehicle = found.setdefault(phase.vehicle or job.assignment.vehicle, {})
            of_vehicle.setdefault(PARTS[phase.kind], []).append(phase.vehicle_j)
    return {
        vehicle: {column: math.fsum(energies_j) for column, energies_j in columns.items()}
        for vehicle, columns in found.items()
    }
