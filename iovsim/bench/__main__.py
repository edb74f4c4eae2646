"""`python -m iovsim.bench`: every benchmark becomes a line on the terminal and a row of `runs/bench/*.json`."""

from __future__ import annotations

from pathlib import Path

from iovsim.bench import engine, frameworks, mobility
from iovsim.bench.rows import Row, Skipped, write

OUT = Path("runs/bench")


def main() -> None:
    """Runs everything; rows appear as they are measured."""
    print(f"{'name':34}{'ours':>12}{'theirs':>12}{'ratio':>10}  unit, n, spread")
    for name, part in (("mobility", mobility), ("engine", engine), ("frameworks", frameworks)):
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
