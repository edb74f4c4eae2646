"""An assignment becomes phases and an ended job, and a plan the round's outcome."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from iovsim.domain.fallbacks import Taken
from iovsim.domain.plans import Assignment, RoundPlan, RoundView
from iovsim.domain.training import LossReason, Update


class PhaseKind(StrEnum):
    """What a job does for a stretch of time."""

    DOWNLINK = "downlink"
    COMPUTE = "compute"
    UPLINK = "uplink"
    WAITING = "waiting"
    SIDELINK = "sidelink"  # from vehicle to vehicle: sending
    RECEIVING = "receiving"  # the same at the other end
    CARRYING = "carrying"  # a finished update is taken along until an RSU takes it


@dataclass(frozen=True, slots=True)
class PhaseEnd:
    """One finished or broken-off phase. `bits` were really carried; joules were really spent.

    `vehicle` and `rsu` say who spent them, where it is not the vehicle or the RSU that the job was given to or by.
    """

    kind: PhaseKind
    start_s: float
    end_s: float
    completed: bool
    bits: float
    vehicle_j: float
    rsu_j: float
    vehicle: str = ""
    rsu: str = ""


class JobStatus(StrEnum):
    """How a job ended."""

    DELIVERED = "delivered"
    DELIVERED_EARLY = "delivered_early"  # stopped training to upload in time
    MIGRATED = "migrated"  # arrived at another RSU, or by another vehicle
    LOST_DOWNLINK = "lost_downlink"
    LOST_COMPUTE = "lost_compute"
    LOST_UPLINK = "lost_uplink"
    LOST_MIGRATION = "lost_migration"  # on the way to another RSU, or to another vehicle
    ABANDONED = "abandoned"
    FAILED = "failed"  # delivered, but its training gave nothing usable
    IN_FLIGHT = "in_flight"


ARRIVED = (JobStatus.DELIVERED, JobStatus.DELIVERED_EARLY, JobStatus.MIGRATED)
"""Statuses of jobs whose update reached an RSU; the energy of all others bought nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class JobEnd:
    """A job that is over (or still in flight at the horizon), with all its phases and, if delivered, its update."""

    assignment: Assignment
    contact: int
    start_s: float
    end_s: float
    status: JobStatus
    reason: LossReason
    phases: tuple[PhaseEnd, ...]
    update: Update | None
    message: str = ""  # why its training failed
    fallback: Taken | None = None
    arrived_at: str = ""  # the RSU that got its update; empty if none did

    @property
    def energy_j(self) -> float:
        return math.fsum(j for p in self.phases for j in (p.vehicle_j, p.rsu_j))


@dataclass(frozen=True, slots=True, eq=False)
class RoundOutcome:
    """What became of a round: told to the policy and to the recorder."""

    rsu: str
    round: int
    start_s: float
    end_s: float
    view: RoundView
    plan: RoundPlan
    jobs: tuple[JobEnd, ...]
    energy_j: Mapping[str, float]  # by task, vehicles and RSU together
