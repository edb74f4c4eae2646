"""Rows of a trace, in whatever order a file holds them, become blocks in which each vehicle's track lies together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iovsim.domain import FloatArray, IntArray
from iovsim.errors import TraceError
from iovsim.mobility.samples import Repairs


@dataclass(frozen=True, slots=True, eq=False)
class TraceBlock:
    """All samples of a stretch of time, sorted by vehicle's name as text, then by time; blocks follow in time.

    Arrays have one entry a sample. `vehicle` holds codes: sample i belongs to `names[vehicle[i]]`. Codes keep their
    meaning through all blocks of one pass, in which `names` grows.
    """

    time_s: FloatArray
    vehicle: NDArray[np.int32]
    names: Sequence[str]
    x_m: FloatArray
    y_m: FloatArray
    speed_mps: FloatArray
    angle_deg: FloatArray  # clockwise from north (+y)

    def __len__(self) -> int:
        return len(self.time_s)

    def take(self, rows: IntArray | NDArray[np.bool_] | slice) -> TraceBlock:
        return TraceBlock(
            self.time_s[rows],
            self.vehicle[rows],
            self.names,
            self.x_m[rows],
            self.y_m[rows],
            self.speed_mps[rows],
            self.angle_deg[rows],
        )

    def within(self, begin_s: float | None, end_s: float | None) -> TraceBlock:
        """The samples with `begin_s <= time_s < end_s` (None: no limit)."""
        keep = np.ones(len(self), dtype=np.bool_)
        if begin_s is not None:
            keep &= self.time_s >= begin_s
        if end_s is not None:
            keep &= self.time_s < end_s
        return self if keep.all() else self.take(keep)


class Codes:
    """Vehicles' names to codes, in the order of first appearance."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._codes: dict[str, int] = {}

    def of(self, names: Sequence[str]) -> NDArray[np.int32]:
        codes = self._codes
        for name in names:
            if name not in codes:
                codes[name] = len(self.names)
                self.names.append(name)
        return np.fromiter(map(codes.__getitem__, names), dtype=np.int32, count=len(names))


def by_vehicle(block: TraceBlock, where: object, repairs: Repairs | None) -> TraceBlock:
    """`block` with its rows in order, and each sample once; a sample that is there twice is left out and counted.

    Raises `TraceError`, which begins with `where`, for two different rows of a vehicle at one time; for any two where
    `repairs` is None.
    """
    if len(block) == 0:
        return block
    starts = np.flatnonzero(np.append(True, block.vehicle[1:] != block.vehicle[:-1]))
    runs = block.vehicle[starts].tolist()
    names = [block.names[code] for code in runs]
    rises = block.time_s[1:] > block.time_s[:-1]
    rises[starts[1:] - 1] = True
    if rises.all() and all(map(str.__lt__, names, names[1:])):
        return block
    present = sorted(set(runs), key=block.names.__getitem__)
    rank = np.zeros(max(present) + 1, dtype=np.uint16 if len(present) < 1 << 16 else np.int64)
    rank[present] = np.arange(len(present))
    if not (np.diff(block.time_s) >= 0).all():
        block = block.take(np.argsort(block.time_s, kind="stable"))
    block = block.take(np.argsort(rank[block.vehicle], kind="stable"))  # 16-bit keys: a radix sort
    twice = (np.diff(block.time_s) == 0) & (np.diff(block.vehicle) == 0)
    if twice.any():
        at = np.flatnonzero(twice)
        columns = (block.x_m, block.y_m, block.speed_mps, block.angle_deg)
        odd = at if repairs is None else at[np.any([c[at] != c[at + 1] for c in columns], axis=0)]
        if repairs is None or len(odd):
            name, time_s = block.names[block.vehicle[odd[0]]], block.time_s[odd[0]]
            raise TraceError(f"{where}: vehicle {name!r} has two rows at {time_s:g} s; one is allowed.")
        repairs.count("duplicate samples", len(at))
        block = block.take(np.append(True, ~twice))
    return block


def joined(blocks: Sequence[TraceBlock]) -> TraceBlock:
    """The rows of blocks of one reader, at least one, in turn; they share their names."""
    return TraceBlock(
        time_s=np.concatenate([b.time_s for b in blocks]),
        vehicle=np.concatenate([b.vehicle for b in blocks]),
        names=blocks[0].names,
        x_m=np.concatenate([b.x_m for b in blocks]),
        y_m=np.concatenate([b.y_m for b in blocks]),
        speed_mps=np.concatenate([b.speed_mps for b in blocks]),
        angle_deg=np.concatenate([b.angle_deg for b in blocks]),
    )
