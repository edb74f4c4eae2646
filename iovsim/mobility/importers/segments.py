"""Straight pieces of the ways of vehicles, in any order, become samples on a regular grid, in the order of time.

A vehicle is at every time of the grid in `[begin, end)` of a segment, on the line between its ends; where a segment
is the last before a vehicle vanishes, at its end too. Segments are sorted in batches on disk and joined window by
window, so memory holds one batch, one window of samples, and the segments that reach into the next window.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from iovsim.domain import IntArray
from iovsim.files import explained
from iovsim.mobility.importers.records import SEGMENT, Records
from iovsim.mobility.samples import Samples

WINDOW_STEPS = 60


def resampled(
    batches: Iterable[Records],
    names: Sequence[str],
    *,
    step_ms: int,
    begin_ms: int | None = None,
    end_ms: int | None = None,
    folder: Path,
) -> Iterator[Samples]:
    """Yield samples at the multiples of `step_ms` in `[begin_ms, end_ms)`; `folder` takes what is sorted.

    `batches` are arrays of `SEGMENT`; `names` may grow until the last of them is read.
    """
    first_ms = np.iinfo(np.int64).min if begin_ms is None else begin_ms
    stop_ms = np.iinfo(np.int64).max if end_ms is None else end_ms
    runs = _sorted_runs(batches, first_ms, stop_ms, folder)
    rank = np.empty(len(names), dtype=np.int64)
    rank[np.argsort(np.array(names, dtype=object), kind="stable")] = np.arange(len(names))
    window_ms = WINDOW_STEPS * step_ms
    read = [0] * len(runs)
    carried = np.empty(0, dtype=SEGMENT)
    now_ms = 0
    while True:
        ahead = [int(run["begin_ms"][at]) for run, at in zip(runs, read, strict=True) if at < len(run)]
        if len(carried) == 0:
            if not ahead:
                return
            now_ms = max(min(ahead), first_ms) // window_ms * window_ms
        until_ms = now_ms + window_ms
        parts = [carried]
        for number, run in enumerate(runs):
            stop = int(np.searchsorted(run["begin_ms"], until_ms))
            parts.append(np.array(run[read[number] : stop]))
            read[number] = stop
        present = np.concatenate(parts)
        samples = _sampled(present, max(now_ms, first_ms), min(until_ms, stop_ms), step_ms, names, rank)
        if len(samples):
            yield samples
        carried = present[present["end_ms"] + present["last"] > until_ms]
        now_ms = until_ms


def _sorted_runs(batches: Iterable[Records], first_ms: int, stop_ms: int, folder: Path) -> list[Records]:
    """Each batch's segments that touch `[first_ms, stop_ms)`, sorted by their beginnings, in a file that is mapped."""
    runs: list[Records] = []
    for batch in batches:
        batch = batch[(batch["end_ms"] + batch["last"] > first_ms) & (batch["begin_ms"] < stop_ms)]
        if len(batch):
            path = folder / f"segments-{len(runs)}"
            with explained(path, "write"):
                batch[np.argsort(batch["begin_ms"], kind="stable")].tofile(path)
            runs.append(np.memmap(path, dtype=SEGMENT, mode="r"))
    return runs


def _sampled(
    segments: Records, from_ms: int, until_ms: int, step_ms: int, names: Sequence[str], rank: IntArray
) -> Samples:
    """The samples of segments in `[from_ms, until_ms)`, sorted by time, then by vehicle."""
    begin_ms = segments["begin_ms"]
    first = _ceil(np.maximum(begin_ms, from_ms), step_ms)
    stop = _ceil(np.minimum(segments["end_ms"] + segments["last"], until_ms), step_ms)
    count = np.maximum(stop - first, 0)
    index = np.repeat(np.arange(len(segments)), count)
    time_ms = (np.arange(len(index)) - np.repeat(np.cumsum(count) - count, count) + first[index]) * step_ms
    order = np.lexsort((rank[segments["vehicle"][index]], time_ms))
    time_ms, at = time_ms[order], segments[index[order]]
    part = (time_ms - at["begin_ms"]) / (at["end_ms"] - at["begin_ms"])
    return Samples(
        time_s=time_ms / 1000.0,
        vehicle=[names[code] for code in at["vehicle"].tolist()],
        x_m=at["x0_m"] + part * (at["x1_m"] - at["x0_m"]),
        y_m=at["y0_m"] + part * (at["y1_m"] - at["y0_m"]),
        speed_mps=at["speed0_mps"] + part * (at["speed1_mps"] - at["speed0_mps"]),
        angle_deg=at["angle_deg"].astype(np.float64),
    )


def _ceil(time_ms: IntArray, step_ms: int) -> IntArray:
    return -(-time_ms // step_ms)
