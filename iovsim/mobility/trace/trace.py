"""A trace on disk, ours or SUMO's, becomes a stream of blocks or windows of vehicle positions.

A trace may be far larger than memory: nothing here ever holds more than a few windows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iovsim.domain import FloatArray
from iovsim.errors import TraceError
from iovsim.files import sha256_of
from iovsim.mobility.planes import Plane
from iovsim.mobility.samples import Repairs
from iovsim.mobility.trace.block import TraceBlock
from iovsim.mobility.trace.fcd import FcdReader
from iovsim.mobility.trace.format import KEY
from iovsim.mobility.trace.parquet import open_parquet
from iovsim.mobility.trace.read import OwnReader

JUMP_MPS = 100.0
"""No road vehicle drives faster (360 km/h); what moves faster between two samples was put there (ours)."""

JUMP_SLACK_M = 10.0
"""A vehicle may be put this far besides: SUMO changes a lane, or enters a junction, within one step however short."""


Bounds = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class TraceWindow:
    """All samples with `begin_s <= time_s < end_s`, sorted by time, then by vehicle id as text.

    Arrays have one entry a sample. `vehicle` holds codes: sample i belongs to `names[vehicle[i]]`. Codes keep their
    meaning through all windows of one `Trace.windows` pass.
    """

    begin_s: float
    end_s: float
    time_s: FloatArray
    vehicle: NDArray[np.int32]
    names: tuple[str, ...]
    x_m: FloatArray
    y_m: FloatArray
    speed_mps: FloatArray
    angle_deg: FloatArray  # clockwise from north (+y)

    @property
    def vx_mps(self) -> FloatArray:
        """Velocities along +x (east); computed anew at each call."""
        return self.speed_mps * np.sin(np.deg2rad(self.angle_deg))

    @property
    def vy_mps(self) -> FloatArray:
        """Velocities along +y (north); computed anew at each call."""
        return self.speed_mps * np.cos(np.deg2rad(self.angle_deg))

    def steps(self) -> Iterator[tuple[float, slice]]:
        """Each time in the window that has samples, with the rows that belong to it."""
        starts = np.flatnonzero(np.diff(self.time_s, prepend=-np.inf))
        for first, last in pairwise([*starts.tolist(), len(self.time_s)]):
            yield float(self.time_s[first]), slice(first, last)


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """What a trace holds, for tables and plausibility checks."""

    begin_s: float
    end_s: float
    step_s: float
    rows: int
    bytes: int
    vehicles: int
    peak_vehicles: int
    vehicle_s: float
    mean_speed_mps: float
    complete: bool = True  # False: the recording was broken off, and holds what was written until then
    source: str = ""
    net: bool = True  # whether the coordinates are those of a SUMO net
    plane: Plane | None = None  # where on Earth they lie
    counts: Mapping[str, int] = field(default_factory=dict)  # by the source: SUMO's teleports, an importer's repairs
    repairs: Repairs = field(default_factory=Repairs)  # by the reader: duplicates left out, jumps and gaps cut


class Trace:
    """A recorded trace: a folder of parts or a file in our format (`format`), or SUMO's own floating-car Parquet.

    `begin_s, end_s` are the first and last time it covers, `step_s` the spacing of its times, `rows` the number of
    vehicle samples, `net` whether its coordinates are those of a SUMO net, `plane` where on Earth they lie (None: not
    said). All vehicles present at a time are expected to have a row at it, so a vehicle that has no row at
    the next step has left; one that comes back later has begun anew. So has one that moved farther than `jump_m`
    between two steps (`jump_mps` over a step, and 10 m): nobody knows where it was in between.

    Raises `TraceError` for a missing file, one that is no Parquet or cut short, missing columns or parts, no vehicles,
    times that run backwards or lie off a regular grid, and (while streaming) values that are not numbers and two
    different rows of a vehicle at one time. The same row twice counts once.
    """

    def __init__(self, path: Path | str, *, jump_mps: float = JUMP_MPS) -> None:
        self.path = Path(path)
        self._reader = _reader(self.path)
        self.begin_s, self.end_s = self._reader.begin_s, self._reader.end_s
        self.step_s, self.rows = self._reader.step_s, self._reader.rows
        self.complete, self.net, self.plane = self._reader.complete, self._reader.net, self._reader.plane
        self.counts = self._reader.counts
        if not self.step_s > 0:
            raise TraceError(
                f"{self.path}: holds a single instant ({self.begin_s:g} s); contacts need at least two steps."
            )
        self.jump_m = jump_mps * self.step_s + JUMP_SLACK_M

    def bounds(self) -> Bounds:
        """(x_min, y_min, x_max, y_max) of all samples: by what the files say of their columns, else by reading them."""
        ranges = self._reader.ranges()
        if ranges is not None:
            (x_min, x_max), (y_min, y_max) = ranges
            return x_min, y_min, x_max, y_max
        found = np.array([(b.x_m.min(), b.y_m.min(), -b.x_m.max(), -b.y_m.max()) for b in self.blocks()])
        west, south, minus_east, minus_north = found.min(axis=0).tolist()
        return west, south, -minus_east, -minus_north

    def blocks(
        self, begin_s: float | None = None, end_s: float | None = None, repairs: Repairs | None = None
    ) -> Iterator[TraceBlock]:
        """Yield the samples with `begin_s <= time_s < end_s` (None: all), vehicle by vehicle in blocks of time.

        Raises `TraceError` at a sample that is wrong; `repairs` counts what is mended.
        """
        for block in self._reader.blocks(begin_s, end_s, Repairs() if repairs is None else repairs):
            if len(block):
                yield block

    def windows(
        self, window_s: float = 60.0, begin_s: float | None = None, end_s: float | None = None
    ) -> Iterator[TraceWindow]:
        """Yield the samples with `begin_s <= time_s < end_s` (None: all) in windows of `window_s`.

        Windows without samples are skipped. Raises `TraceError` at a sample that is wrong.
        """
        if not window_s > 0:
            raise ValueError(f"window_s must be positive, got {window_s}")
        first = self.begin_s if begin_s is None else begin_s
        waiting: list[TraceBlock] = []
        index = 0  # of the window that is being filled: [first + index * window_s, first + (index + 1) * window_s)
        for block in self.blocks(begin_s, end_s):
            rest = _by_time(block, self.step_s)
            while len(rest) and rest.time_s[-1] >= first + (index + 1) * window_s:
                cut = int(np.searchsorted(rest.time_s, first + (index + 1) * window_s))
                waiting.append(rest.take(slice(0, cut)))
                yield from _window(first, index, window_s, waiting)
                waiting, rest = [], rest.take(slice(cut, None))
                if len(rest):
                    index = max(index + 1, _window_index(float(rest.time_s[0]), first, window_s))
            waiting.append(rest)
        yield from _window(first, index, window_s, waiting)

    def summary(self) -> TraceSummary:
        """Stream the whole trace once and count."""
        present = np.zeros(round((self.end_s - self.begin_s) / self.step_s) + 1, dtype=np.int64)
        seen = np.zeros((0, 3))  # by vehicle code: the last sample's time and place
        rows, speed_sum, repairs = 0, 0.0, Repairs()
        for block in self.blocks(repairs=repairs):
            rows += len(block)
            step = np.rint((block.time_s - self.begin_s) / self.step_s).astype(np.int64)
            present += np.bincount(step, minlength=len(present))
            speed_sum += float(block.speed_mps.sum())
            seen = np.concatenate([seen, np.full((len(block.names) - len(seen), 3), np.nan)])
            self._count_holes(block, seen, repairs)
        return TraceSummary(
            begin_s=self.begin_s,
            end_s=self.end_s,
            step_s=self.step_s,
            rows=rows,
            bytes=sum(file.stat().st_size for file in trace_files(self.path)),
            vehicles=len(seen),
            peak_vehicles=int(present.max()),
            vehicle_s=rows * self.step_s,
            mean_speed_mps=speed_sum / rows,
            complete=self.complete,
            source=self._reader.source,
            net=self.net,
            plane=self.plane,
            counts=self.counts,
            repairs=repairs,
        )

    def _count_holes(self, block: TraceBlock, seen: FloatArray, repairs: Repairs) -> None:
        """Count vehicles that come back after a hole, and jumps; `seen` then holds the block's last samples."""
        now = np.column_stack([block.time_s, block.x_m, block.y_m])
        heads = np.flatnonzero(np.diff(block.vehicle, prepend=-1))
        before = np.empty_like(now)
        before[1:] = now[:-1]
        before[heads] = seen[block.vehicle[heads]]
        way = now - before  # NaN at a vehicle's very first sample: neither is true of it
        hole = way[:, 0] > 1.5 * self.step_s
        repairs.count("vehicles that vanish and come back", int(hole.sum()))
        repairs.count("jumps", int((~hole & (np.hypot(way[:, 1], way[:, 2]) > self.jump_m)).sum()))
        tails = np.append(heads[1:], len(block)) - 1
        seen[block.vehicle[tails]] = now[tails]


def trace_files(path: Path) -> list[Path]:
    """The files of a trace: itself, or the parts in its folder. Raises `TraceError` for a folder without any."""
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("part-*.parquet"))
    if not files:
        raise TraceError(f"{path}: a folder without a trace; parts of one are called part-00000.parquet and so on.")
    return files


def trace_sha256(path: Path) -> str:
    """SHA-256 of a trace's file; of a folder, over those of its parts in turn."""
    digests = [sha256_of(file) for file in trace_files(path)]
    return hashlib.sha256("".join(digests).encode()).hexdigest() if path.is_dir() else digests[0]


def _reader(path: Path) -> OwnReader | FcdReader:
    files = trace_files(path)
    if path.is_dir():
        return OwnReader(path, files)
    with open_parquet(path) as file:
        ours = KEY in (file.metadata.metadata or {}) or "time_ms" in file.schema_arrow.names
    return OwnReader(path, files) if ours else FcdReader(path)


def _by_time(block: TraceBlock, step_s: float) -> TraceBlock:
    """The block's rows by time, then by vehicle's name as before."""
    step = np.rint((block.time_s - block.time_s.min()) / step_s)
    kind = np.uint16 if step.max() < 1 << 16 else np.int64  # 16-bit keys: a radix sort
    return block.take(np.argsort(step.astype(kind), kind="stable"))


def _window(first_s: float, index: int, window_s: float, parts: list[TraceBlock]) -> Iterator[TraceWindow]:
    """The window of the joined parts, which follow each other; nothing where they are empty."""
    parts = [part for part in parts if len(part)]
    if parts:
        yield TraceWindow(
            begin_s=first_s + index * window_s,
            end_s=first_s + (index + 1) * window_s,
            time_s=np.concatenate([part.time_s for part in parts]),
            vehicle=np.concatenate([part.vehicle for part in parts]),
            names=tuple(parts[-1].names),
            x_m=np.concatenate([part.x_m for part in parts]),
            y_m=np.concatenate([part.y_m for part in parts]),
            speed_mps=np.concatenate([part.speed_mps for part in parts]),
            angle_deg=np.concatenate([part.angle_deg for part in parts]),
        )


def _window_index(time_s: float, first_s: float, window_s: float) -> int:
    """The window that holds `time_s`, by the same comparison that cuts the rows."""
    index = int((time_s - first_s) // window_s)
    while time_s >= first_s + (index + 1) * window_s:
        index += 1
    while time_s < first_s + index * window_s:
        index -= 1
    return index
