"""Straight pieces of the ways of vehicles, in any order, become samples on a regular grid, in the order of time.

A vehicle is at every time of the grid in `[begin, end)` of a segment, on the line between its ends; where a segment
is the last before a vehicle vanishes, at its end too. Segments are sorted in batches on disk and joined window by
window, so memory holds one batch, one window of samples, and the segments that reach into the next window.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import chain
from pathlib import Path

import numpy as np

from iovsim.domain import IntArray
from iovsim.files import explained
from iovsim.mobility.importers.records import SEGMENT, Records
from iovsim.mobility.samples import Samples

MOST_STEPS = 60
MOST_SAMPLES = 262_144
"""About how many samples a batch holds; at least those of one step, at most those of `MOST_STEPS`."""
RUN_ROWS = 500_000
READ_ROWS = 4096


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
    with ExitStack() as stack:
        runs = [stack.enter_context(closing(run)) for run in _sorted_runs(batches, first_ms, stop_ms, folder)]
        rank = np.empty(len(names), dtype=np.int64)
        rank[np.argsort(np.array(names, dtype=object), kind="stable")] = np.arange(len(names))
        carried = np.empty(0, dtype=SEGMENT)  # those that reach beyond now_ms
        now_ms = 0
        while True:
            if len(carried) == 0:
                ahead = [run.next_ms for run in runs if run.next_ms is not None]
                if not ahead:
                    return
                now_ms = max(min(ahead), first_ms) // step_ms * step_ms
            until_ms = now_ms + step_ms * min(max(MOST_SAMPLES // max(len(carried), 1), 1), MOST_STEPS)
            present = np.concatenate([carried, *(run.before(until_ms) for run in runs)])
            samples = _sampled(present, max(now_ms, first_ms), min(until_ms, stop_ms), step_ms, names, rank)
            if len(samples):
                yield samples
            carried = present[present["end_ms"] + present["last"] > until_ms]
            now_ms = until_ms


class _Run:
    """Segments in a file, sorted by their beginnings, that are read once, from first to last."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._read = self._more()

    @property
    def next_ms(self) -> int | None:
        """When the next segment begins; None where there is none."""
        return int(self._read["begin_ms"][0]) if len(self._read) else None

    def before(self, time_ms: int) -> Records:
        """The next segments, up to those that begin at a time."""
        parts = [self._read]
        while len(parts[-1]) and parts[-1]["begin_ms"][-1] < time_ms:
            parts.append(self._more())
        cut = int(np.searchsorted(parts[-1]["begin_ms"], time_ms))
        self._read = parts[-1][cut:]
        found: Records = np.concatenate([*parts[:-1], parts[-1][:cut]])
        return found

    def close(self) -> None:
        self._file.close()

    def _more(self) -> Records:
        return np.fromfile(self._file, dtype=SEGMENT, count=READ_ROWS)


def _sorted_runs(batches: Iterable[Records], first_ms: int, stop_ms: int, folder: Path) -> Iterator[_Run]:
    """The segments that touch `[first_ms, stop_ms)`, in files of `RUN_ROWS` or more, each sorted by beginnings."""
    waiting: list[Records] = []
    number = 0
    for batch in chain(batches, (None,)):
        if batch is not None:
            waiting.append(batch[(batch["end_ms"] + batch["last"] > first_ms) & (batch["begin_ms"] < stop_ms)])
        rows = sum(len(part) for part in waiting)
        if rows and (batch is None or rows >= RUN_ROWS):
            run = np.concatenate(waiting)
            waiting = []
            path = folder / f"segments-{number}"
            with explained(path, "write"):
                run[np.argsort(run["begin_ms"], kind="stable")].tofile(path)
            yield _Run(path)
            number += 1


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
