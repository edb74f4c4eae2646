"""`python -m iovsim.bench [PART ...]`: benchmarks become lines on the terminal and rows of `runs/bench/PART.json`."""

from __future__ import annotations

import sys
from pathlib import Path

from iovsim.bench import (
    city,
    demo,
    engine,
    fidelity,
    frameworks,
    gpu,
    memory,
    recording,
    replay,
    scale,
    study,
    training,
)
from iovsim.bench.rows import Row, Skipped, write
from iovsim.errors import near_match

OUT = Path("runs/bench")


def main() -> None:
    """Runs everything; rows appear as they are measured."""
    print(f"{'name':34}{'ours':>12}{'theirs':>12}{'ratio':>10}  unit, n, spread")
    parts = {
        "record": recording,
        "replay": replay,
        "fidelity": fidelity,
        "engine": engine,
        "scale": scale,
        "city": city,
        "memory": memory,
        "training": training,
        "gpu": gpu,
        "federation": frameworks,
        "demo": demo,
        "study": study,
    }
    asked = sys.argv[1:] or list(parts)
    for name in asked:
        if name not in parts:
            sys.exit(f"error: no benchmark {name!r}; {near_match(name, parts)}")
        part = parts[name]
        measured: list[Row | Skipped] = []
        for row in part.rows():
            measured.append(row)
            print(_line(row), flush=True)
        write(measured, OUT / f"{name}.json")


def _line(row: Row | Skipped) -> str:
    if isinstance(row, Skipped):
        return f"{row.name:34}skipped: {row.reason}"
    theirs = "-" if row.theirs is None else f"{row.theirs:.4g}"
    ratio = "-" if row.ratio is None else f"{row.ratio:.3g}"
    note = f"; {row.note}" if row.note else ""
    return f"{row.name:34}{row.ours:>12.4g}{theirs:>12}{ratio:>10}  {row.unit}, n = {row.n}, {row.spread}{note}"


if __name__ == "__main__":
    main()
