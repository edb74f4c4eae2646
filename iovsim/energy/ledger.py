"""Turns finished phases into rows of who spent how many joules on what, and rows into totals that agree exactly.

Totals are `math.fsum`: the true sum, rounded once. So a total is the same in whatever order rows came or are grouped,
and the ledger's total equals that of the phases it was booked from to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from iovsim.domain import PhaseEnd, PhaseKind

WASTED = "wasted"
Column = Literal["owner", "rsu", "vehicle", "task", "phase", "cause"]


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


class Ledger:
    """Every joule of a run, in the order of booking."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def book(self, phases: Iterable[PhaseEnd], *, rsu: str, vehicle: str, task: str, aggregated: bool) -> None:
        """Books all phases of one job, both ends; `aggregated` tells whether anything of the job reached a model.

        `rsu` and `vehicle` are those of the job; a phase may name others, and then it is they who spent.
        """
        for phase in phases:
            cause = phase.kind.value if aggregated else WASTED
            for owner, energy_j in ((Owner.VEHICLE, phase.vehicle_j), (Owner.RSU, phase.rsu_j)):
                self._entries.append(
                    Entry(
                        phase.end_s,
                        owner,
                        phase.rsu or rsu,
                        phase.vehicle or vehicle,
                        task,
                        phase.kind,
                        cause,
                        energy_j,
                    )
                )

    def rows(self) -> tuple[Entry, ...]:
        return tuple(self._entries)

    def total_j(self) -> float:
        return math.fsum(entry.energy_j for entry in self._entries)

    def totals_j(self, column: Column) -> dict[str, float]:
        """Joules by the values of one column, sorted by value."""
        parts: dict[str, list[float]] = {}
        for entry in self._entries:
            parts.setdefault(str(getattr(entry, column)), []).append(entry.energy_j)
        return {value: math.fsum(parts[value]) for value in sorted(parts)}
