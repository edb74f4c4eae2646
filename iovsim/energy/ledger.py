"""Finished phases become entries of who spent how many joules on what: the rows of the table `energy`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from iovsim.domain import PhaseEnd, PhaseKind

WASTED = "wasted"


class Owner(StrEnum):
    """Whose energy it was."""

    VEHICLE = "vehicle"
    RSU = "rsu"


@dataclass(frozen=True, slots=True)
class Entry:
    """One end's energy in one phase of one job. `cause` is the phase's kind, or `WASTED` if nothing was aggregated."""

    time_s: float  # end of the phase
    owner: Owner
    rsu: str
    vehicle: str
    task: str
    phase: PhaseKind
    cause: str
    energy_j: float


def entries(phases: Iterable[PhaseEnd], *, rsu: str, vehicle: str, task: str, aggregated: bool) -> Iterator[Entry]:
    """All phases of one job, both ends; `aggregated` tells whether anything of the job reached a model.

    `rsu` and `vehicle` are those of the job; a phase may name others, and then it is they who spent.
    """
    for phase in phases:
        cause = phase.kind.value if aggregated else WASTED
        for owner, energy_j in ((Owner.VEHICLE, phase.vehicle_j), (Owner.RSU, phase.rsu_j)):
            yield Entry(
                phase.end_s, owner, phase.rsu or rsu, phase.vehicle or vehicle, task, phase.kind, cause, energy_j
            )
