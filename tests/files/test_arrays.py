"""Arrays in folders: in pieces as at once, and memory that is given back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from iovsim.arrays import let_go, mapped_arrays, runs, save_arrays, save_pieces

STATUS = Path("/proc/self/status")


def mapped_kib() -> int:
    """Pages of files that this process holds in memory."""
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("RssFile:"))
    return int(line.split()[1])


def test_pieces_and_whole_arrays_are_files_like_those_of_arrays(tmp_path: Path) -> None:
    a, b, names = np.arange(10.0), np.arange(10) > 3, np.array(["x", "yy"])
    save_arrays(tmp_path / "at once", {"a": a, "b": b, "names": names})
    save_pieces(tmp_path / "pieces", ({"a": a[k : k + 4], "b": b[k : k + 4]} for k in (0, 4, 8)), {"names": names})
    for file in (tmp_path / "at once").iterdir():
        assert (tmp_path / "pieces" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("offsets", "most", "expected"),
    [
        ([0], 5, [(0, 0)]),
        ([0, 3, 5, 6, 20, 21], 5, [(0, 2), (2, 3), (3, 4), (4, 5)]),
        ([0, 3, 5], 10**9, [(0, 2)]),
        ([0, 9, 9, 12], 1, [(0, 1), (1, 2), (2, 3)]),
    ],
)
def test_runs(offsets: list[int], most: int, expected: list[tuple[int, int]]) -> None:
    assert [*runs(np.array(offsets), most)] == expected


@pytest.mark.skipif(not STATUS.exists(), reason=f"no {STATUS} here; what is resident is told on Linux alone")
def test_what_is_let_go_is_given_back_and_can_be_read_again(tmp_path: Path) -> None:
    save_arrays(tmp_path / "big", {"a": np.arange(2_000_000)})
    a = mapped_arrays(tmp_path / "big")["a"]
    total = int(a.sum())
    before = mapped_kib()
    let_go([a[5:]])  # a view of it
    assert before - mapped_kib() > 15_000
    assert int(a.sum()) == total


def test_arrays_in_memory_stay() -> None:
    a = np.arange(3)
    let_go([a])
    assert a.tolist() == [0, 1, 2]
