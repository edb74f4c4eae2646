"""Traces become batches of samples again: a part of time or plane, several as one, fewer vehicles or steps."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from iovsim.domain import IntArray
from iovsim.errors import TraceError
from iovsim.mobility.samples import Samples
from iovsim.mobility.trace.trace import Trace, TraceWindow
from iovsim.mobility.trace.write import Covered
from iovsim.rng import stream

WINDOW_S = 60.0

Box = tuple[float, float, float, float]


def cut(
    trace: Trace, begin_s: float | None = None, end_s: float | None = None, box: Box | None = None
) -> Iterator[Samples]:
    """The samples with `begin_s <= time_s < end_s` in `box` (west, south, east, north; its edge is inside).

    A vehicle that drives out of the box and in again has vanished and come back.
    """
    for window in trace.windows(WINDOW_S, begin_s, end_s):
        if box is None:
            yield _samples(window, np.arange(len(window.time_s)))
            continue
        west, south, east, north = box
        inside = (window.x_m >= west) & (window.x_m <= east) & (window.y_m >= south) & (window.y_m <= north)
        yield _samples(window, np.flatnonzero(inside))


def cut_times(trace: Trace, begin_s: float | None, end_s: float | None) -> Covered:
    """The first and last of the trace's steps in `[begin_s, end_s)`: what a cut covers, with vehicles or without."""
    steps = round((trace.end_s - trace.begin_s) / trace.step_s)
    first = 0 if begin_s is None else max(0, math.ceil((begin_s - trace.begin_s) / trace.step_s - 1e-6))
    last = steps if end_s is None else min(steps, math.ceil((end_s - trace.begin_s) / trace.step_s - 1e-6) - 1)
    return Covered(trace.begin_s + first * trace.step_s, trace.begin_s + last * trace.step_s)


def sample(trace: Trace, *, share: float = 1.0, seed: int = 1, step_s: float | None = None) -> Iterator[Samples]:
    """A `share` of the vehicles, each by its name and `seed` alone, at every `step_s` from the trace's begin on.

    Raises `TraceError` for a share outside (0, 1], and a step that is no multiple of the trace's.
    """
    if not 0 < share <= 1:
        raise TraceError(f"a share of {share:g} of the vehicles cannot be taken; it must be above 0 and at most 1.")
    every = 1 if step_s is None else round(step_s / trace.step_s)
    if every < 1 or (step_s is not None and abs(every * trace.step_s - step_s) > 1e-6):
        raise TraceError(f"{trace.path}: a step of {step_s:g} s is no multiple of the trace's {trace.step_s:g} s.")
    kept = np.zeros(0, dtype=np.bool_)
    for window in trace.windows(WINDOW_S):
        new = window.names[len(kept) :]
        kept = np.append(kept, [stream(seed, "trace sample", name).random() < share for name in new]).astype(np.bool_)
        step = np.rint((window.time_s - trace.begin_s) / trace.step_s).astype(np.int64)
        yield _samples(window, np.flatnonzero(kept[window.vehicle] & (step % every == 0)))


def merge(traces: Sequence[Trace], *, align: bool = False) -> Iterator[Samples]:
    """All samples of all traces; vehicle v of the trace number k (from 0) is called `k:v`.

    With `align`, all begin when the first does. Raises `TraceError` where steps differ, or times lie beside each
    other's.
    """
    first = traces[0]
    shifts_s = [first.begin_s - trace.begin_s if align else 0.0 for trace in traces]
    for trace, shift_s in zip(traces, shifts_s, strict=True):
        steps = (trace.begin_s + shift_s - first.begin_s) / first.step_s
        if trace.step_s != first.step_s or abs(steps - round(steps)) > 1e-6:
            raise TraceError(
                f"{trace.path}: has a step of {trace.step_s:g} s from {trace.begin_s:g} s on, {first.path} one of "
                f"{first.step_s:g} s from {first.begin_s:g} s on; merging needs the same times. See `trace sample`."
            )
    begin_s = min(trace.begin_s + shift_s for trace, shift_s in zip(traces, shifts_s, strict=True))
    parts = [
        _numbered(trace, k, shift_s, begin_s) for k, (trace, shift_s) in enumerate(zip(traces, shifts_s, strict=True))
    ]
    for _, group in itertools.groupby(heapq.merge(*parts, key=lambda part: part[:2]), key=lambda part: part[0]):
        yield _joined([samples for _, _, samples in group])


def _numbered(trace: Trace, number: int, shift_s: float, begin_s: float) -> Iterator[tuple[int, int, Samples]]:
    """(number of the window from `begin_s` on, number of the trace, samples)."""
    for window in trace.windows(WINDOW_S, begin_s - shift_s):
        samples = _samples(window, np.arange(len(window.time_s)))
        named = [f"{number}:{name}" for name in samples.vehicle]
        time_s = np.round(samples.time_s + shift_s, 3)
        yield (
            round((window.begin_s + shift_s - begin_s) / WINDOW_S),
            number,
            replace(samples, time_s=time_s, vehicle=named),
        )


def _joined(parts: list[Samples]) -> Samples:
    time_s = np.concatenate([part.time_s for part in parts])
    order = np.argsort(time_s, kind="stable")
    names = [name for part in parts for name in part.vehicle]
    return Samples(
        time_s[order],
        [names[row] for row in order],
        *(
            np.concatenate([getattr(part, column) for part in parts])[order]
            for column in ("x_m", "y_m", "speed_mps", "angle_deg")
        ),
    )


def _samples(window: TraceWindow, rows: IntArray) -> Samples:
    return Samples(
        window.time_s[rows],
        [window.names[code] for code in window.vehicle[rows].tolist()],
        window.x_m[rows],
        window.y_m[rows],
        window.speed_mps[rows],
        window.angle_deg[rows],
    )
