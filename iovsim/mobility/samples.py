"""What readers of trajectories hand on and writers of traces take: batches of position samples, and what was mended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from iovsim.domain import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Positions of vehicles in metres of one plane, sorted by time; all samples of a time lie in one batch.

    Arrays have one entry a sample. `angle_deg` is the direction of travel, clockwise from north (+y), as in SUMO.
    """

    time_s: FloatArray
    vehicle: Sequence[str]
    x_m: FloatArray
    y_m: FloatArray
    speed_mps: FloatArray
    angle_deg: FloatArray

    def __len__(self) -> int:
        return len(self.time_s)


@dataclass(slots=True)
class Repairs:
    """How often a reader mended or left out something, by what it was ("duplicates", "gaps", "jumps", ...)."""

    counts: Counter[str] = field(default_factory=Counter)

    def count(self, what: str, times: int = 1) -> None:
        if times:
            self.counts[what] += times

    def __str__(self) -> str:
        return ", ".join(f"{times} {what}" for what, times in sorted(self.counts.items())) or "nothing mended"
