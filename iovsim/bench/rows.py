"""Two pieces of work become one row: done in turn, so that a drifting machine hits both alike; medians are compared."""

from __future__ import annotations

import json
import os
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

STATUS = Path("/proc/self/status")


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison; where nothing else does the work, `theirs` and `ratio` are None.

    `ratio` is ours over theirs for a cost, theirs over ours where the row tells how many times faster ours is.
    """

    name: str
    ours: float
    theirs: float | None
    ratio: float | None
    unit: str
    n: int
    spread: str  # lowest to highest of the paired ratios, or of ours where there is no other side
    note: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A comparison that could not be made here."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What a piece of work took; processor seconds are those of all its processes."""

    wall_s: float
    cpu_s: float

    def per(self, count: int) -> Cost:
        """The cost of one of `count` equal parts."""
        return Cost(self.wall_s / count, self.cpu_s / count)


def in_turn(
    name: str,
    unit: str,
    ours: Callable[[], float],
    theirs: Callable[[], float],
    *,
    n: int,
    faster: bool = False,
    warm_up: bool = True,
) -> Row:
    """Measures both sides `n` times in alternation, after one round that is not counted; medians throughout.

    Without `warm_up` all rounds count: for sides that begin anew each time, in processes of their own.
    """
    if warm_up:
        ours()
        theirs()
    return _row(name, unit, [(ours(), theirs()) for _ in range(n)], faster=faster)


def costs_in_turn(
    name: str,
    unit: str,
    ours: Callable[[], Cost],
    theirs: Callable[[], Cost],
    *,
    n: int,
    per_s: float = 1.0,
    faster: bool = False,
    warm_up: bool = True,
) -> tuple[Row, Row]:
    """The same for both costs of the same runs: wall time and processor time, `per_s` units to the second."""
    if warm_up:
        ours()
        theirs()
    pairs = [(ours(), theirs()) for _ in range(n)]
    wall = [(per_s * a.wall_s, per_s * b.wall_s) for a, b in pairs]
    cpu = [(per_s * a.cpu_s, per_s * b.cpu_s) for a, b in pairs]
    return (
        _row(f"{name}-wall", f"wall {unit}", wall, faster=faster),
        _row(f"{name}-cpu", f"CPU {unit}", cpu, faster=faster),
    )


def alone(name: str, unit: str, ours: Callable[[], float], *, n: int) -> Row:
    """Measures one side `n` times, after one that is not counted."""
    ours()
    values = [ours() for _ in range(n)]
    return Row(name, statistics.median(values), None, None, unit, n, f"{min(values):.3g} to {max(values):.3g}")


def cost(work: Callable[[], object]) -> Cost:
    """Wall and processor seconds of `work`, its finished child processes included."""
    begin_s, before_s = time.perf_counter(), _spent_s()
    work()
    return Cost(time.perf_counter() - begin_s, _spent_s() - before_s)


def cpu_s(work: Callable[[], object]) -> float:
    """Processor seconds of `work`, its finished child processes included."""
    return cost(work).cpu_s


def wall_s(work: Callable[[], object]) -> float:
    """Seconds of `work` by the clock: where a device computes beside the processor."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def shared_scenario(name: str) -> Path:
    """Where a public scenario lies, if it is here: in `scenarios` of `$IOVSIM_SHARED`, or of a folder beside us."""
    return Path(os.environ.get("IOVSIM_SHARED", "../shared")) / "scenarios" / name


def status_mib(name: str) -> float:
    """What Linux, and Linux alone, says of this process's memory: VmRSS is resident now, VmHWM was at most."""
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


def write(rows: Sequence[Row | Skipped], path: Path) -> None:
    """A JSON list of rows, whole or not at all; a skipped one has no figures and n = 0."""
    blank = {"ours": None, "theirs": None, "ratio": None, "unit": "", "n": 0}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps([(blank if isinstance(r, Skipped) else {}) | asdict(r) for r in rows], indent=2) + "\n")
    part.replace(path)


def _row(name: str, unit: str, pairs: Sequence[tuple[float, float]], *, faster: bool = False) -> Row:
    ratios = [b / a if faster else a / b for a, b in pairs]
    return Row(
        name,
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(ratios),
        unit,
        len(pairs),
        f"{min(ratios):.3g} to {max(ratios):.3g}",
    )


def _spent_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
