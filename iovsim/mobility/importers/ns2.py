"""Movements of ns-2 become samples: a node moves straight to each destination that it is set, at the speed it is set.

`$node_(3) set X_ 10.5` (and `Y_`) is where a node begins; `$ns_ at 2.0 "$node_(3) setdest 20 30 13.9"` sends it at 2 s
to (20, 30) at 13.9 m/s, where it waits: The ns Manual, chapter "Mobile Networking in ns", node movement. So wrote
CMU's `setdest`, BonnMotion, and SUMO's `traceExporter.py --ns2mobility-output`. SUMO's sends every vehicle at each step
to where it already *is*: what ns-2 plays, and what is read here, comes one step after the traffic.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from iovsim.errors import TraceError
from iovsim.files import scratch
from iovsim.mobility.importers.records import SEGMENT, Records
from iovsim.mobility.importers.segments import resampled
from iovsim.mobility.importers.source import unpacked
from iovsim.mobility.samples import Repairs, Samples

Present = Literal["commanded", "always"]

NUMBER = r"\s+([-+.\deE]+)"
PLACE = re.compile(rf"\$node_\((\w+)\)\s+set\s+([XYZ])_{NUMBER}\s*;?\s*(?:#.*)?$")
MOVE = re.compile(rf'\$ns_\s+at{NUMBER}\s+"\$node_\((\w+)\)\s+setdest{NUMBER}{NUMBER}{NUMBER}\s*"')
BATCH_ROWS = 131_072

Row = tuple[int, int, int, float, float, float, float, float, float, float, bool]  # as `SEGMENT`


def read_ns2(
    path: Path,
    repairs: Repairs,
    *,
    step_s: float = 1.0,
    begin_s: float | None = None,
    end_s: float | None = None,
    present: Present = "commanded",
    work: Path,
) -> Iterator[Samples]:
    """Yield samples at the multiples of `step_s` in `[begin_s, end_s)`; a vehicle's name is its node's number.

    A node is there from its first command to its last arrival ("commanded"), or from 0 s to the last time in the file
    ("always"). Lines of another form (`$god_ ...`) are left out and counted. `work` is a folder for what is sorted.

    Raises `TraceError` for a file without movements, a node that has no place, and time that runs backwards for it.
    """
    step_ms = round(step_s * 1000)
    if step_ms <= 0:
        raise TraceError(f"step {step_s:g} s: must be at least 0.001 s.")
    begin_ms, end_ms = (None if time_s is None else round(time_s * 1000) for time_s in (begin_s, end_s))
    names: list[str] = []
    empty = True
    with scratch(work) as folder:
        batches = _batches(path, names, repairs, present)
        for samples in resampled(batches, names, step_ms=step_ms, begin_ms=begin_ms, end_ms=end_ms, folder=folder):
            empty = False
            yield samples
    if empty:
        raise TraceError(f"{path}: no node moves between begin and end; expected lines with setdest.")


@dataclass(slots=True)
class _Node:
    """Where a node is at `time_ms` (None: before its first command), and where it is going since."""

    code: int
    x_m: float | None = None
    y_m: float | None = None
    time_ms: int | None = None
    to_x_m: float = 0.0
    to_y_m: float = 0.0
    speed_mps: float = 0.0
    angle_deg: float = 0.0
    waiting: Row | None = None
    """The latest segment, until it is known whether another follows."""

    def until(self, time_ms: int | None) -> Iterator[Row]:
        """What was waiting, and the ways up to a time (None: to the destination); then the node is there."""
        assert self.time_ms is not None
        assert self.x_m is not None
        assert self.y_m is not None
        dx, dy = self.to_x_m - self.x_m, self.to_y_m - self.y_m
        way_m = float(np.hypot(dx, dy))
        if way_m > 0 and self.speed_mps > 0:
            need_ms = 1000.0 * way_m / self.speed_mps
            share = 1.0 if time_ms is None else min(1.0, (time_ms - self.time_ms) / need_ms)
            self.angle_deg = float(np.rad2deg(np.arctan2(dx, dy)) % 360.0)
            arrival_ms = self.time_ms + round(share * need_ms)
            yield from self._goes(arrival_ms, self.x_m + share * dx, self.y_m + share * dy, self.speed_mps)
        if time_ms is not None:
            yield from self._goes(time_ms, self.x_m, self.y_m, 0.0)

    def _goes(self, time_ms: int, x_m: float, y_m: float, speed_mps: float) -> Iterator[Row]:
        assert self.time_ms is not None
        assert self.x_m is not None
        assert self.y_m is not None
        if time_ms > self.time_ms:
            if self.waiting is not None:
                yield self.waiting
            moves = (self.time_ms, time_ms, self.x_m, self.y_m, x_m, y_m, speed_mps, speed_mps, self.angle_deg)
            self.waiting = (self.code, *moves, False)
        self.time_ms, self.x_m, self.y_m = time_ms, x_m, y_m

    def last(self) -> Iterator[Row]:
        if self.waiting is not None:
            yield (*self.waiting[:-1], True)


def _batches(path: Path, names: list[str], repairs: Repairs, present: Present) -> Iterator[Records]:
    rows: list[Row] = []
    for row in _rows(path, names, repairs, present):
        rows.append(row)
        if len(rows) == BATCH_ROWS:
            yield np.array(rows, dtype=SEGMENT)
            rows = []
    yield np.array(rows, dtype=SEGMENT)


def _rows(path: Path, names: list[str], repairs: Repairs, present: Present) -> Iterator[Row]:
    nodes: dict[str, _Node] = {}
    last_ms = 0
    with unpacked(path) as file:
        for number, raw in enumerate(file, start=1):
            line = raw.decode("utf-8", errors="replace").strip()
            if found := MOVE.match(line):
                time_s, x_m, y_m, speed_mps = (_number(found[k], path, number) for k in (1, 3, 4, 5))
                node = _node(found[2], nodes, names)
                if node.x_m is None or node.y_m is None:
                    raise TraceError(f"{path}, line {number}: node {found[2]} moves, but X_ and Y_ were never set.")
                time_ms = round(time_s * 1000)
                if node.time_ms is None:
                    node.time_ms = time_ms if present == "commanded" else 0
                    node.to_x_m, node.to_y_m = node.x_m, node.y_m
                if time_ms < node.time_ms:
                    raise TraceError(
                        f"{path}, line {number}: node {found[2]}'s time runs backwards, to {time_s:g} s; sort the file."
                    )
                yield from node.until(time_ms)
                node.to_x_m, node.to_y_m, node.speed_mps = x_m, y_m, speed_mps
                last_ms = max(last_ms, time_ms)
            elif found := PLACE.match(line):
                node = _node(found[1], nodes, names)
                if found[2] != "Z":
                    setattr(node, f"{found[2].lower()}_m", _number(found[3], path, number))
            elif line and not line.startswith("#"):
                repairs.count("lines of another form")
    for node in nodes.values():
        if node.time_ms is None:
            repairs.count("nodes that never move")
            continue
        yield from node.until(None)
        if present == "always":
            yield from node.until(max(last_ms, node.time_ms))
        yield from node.last()


def _node(name: str, nodes: dict[str, _Node], names: list[str]) -> _Node:
    if name not in nodes:
        nodes[name] = _Node(len(names))
        names.append(name)
    return nodes[name]


def _number(text: str, path: Path, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise TraceError(f"{path}, line {line}: {text!r} is not a number.")
    return value
