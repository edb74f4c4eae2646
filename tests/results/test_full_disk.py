"""Whatever step of writing finds the disk full, nothing is taken for whole that is not, and the run can be repeated."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from iovsim.errors import ResultsError
from iovsim.files import whole_folder
from iovsim.results import Manifest, RunFolder, Stage, open_run
from iovsim.results.state import state_in

STEPS: tuple[tuple[object, str], ...] = (
    (os, "mkdir"),
    (os, "fsync"),
    (os, "replace"),
    (Path, "write_bytes"),
    (pq.ParquetWriter, "__init__"),
    (pq.ParquetWriter, "write_table"),
)
MOST_STEPS = 200


@contextmanager
def full_disk(first: int, last: int) -> Iterator[list[int]]:
    """The steps numbered `first` to `last` fail. Gives a list whose one number is how many were taken."""
    taken = [0]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **more: Any) -> Any:
            taken[0] += 1
            if first < taken[0] <= last:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments, **more)

        return step

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in STEPS:
            patch.setattr(owner, name, counted(getattr(owner, name)))
        yield taken


def failure(write: Callable[[Path], None], path: Path) -> str:
    try:
        write(path)
    except ResultsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("lasting", [False, True])
def test_a_run_ends_complete_or_with_an_error_and_can_be_repeated(
    lasting: bool, tmp_path: Path, manifest: Manifest, row_of: dict[str, dict[str, Any]]
) -> None:
    def write(path: Path) -> None:
        with RunFolder.create(path, manifest) as folder:
            folder.recorder.add("rsus", **row_of["rsus"])
            with whole_folder(folder.adapter_path("signs", "final")) as part:
                (part / "adapter_model.safetensors").write_bytes(b"weights")

    with full_disk(MOST_STEPS, MOST_STEPS) as taken:
        write(tmp_path / "whole")
    steps = taken[0]
    assert 40 < steps < MOST_STEPS
    expected = open_run(tmp_path / "whole").fingerprint()
    for step in range(0, steps, 1 if lasting else 3):
        path = tmp_path / f"step-{step}"
        with full_disk(step, MOST_STEPS if lasting else step + 1):
            error = failure(write, path)
        assert "No space left on device" in error or not lasting
        assert not list(path.rglob(".*")), step
        state = state_in(path, manifest)
        if state.stage is Stage.COMPLETE:
            assert open_run(path).fingerprint() == expected
            continue
        assert state.stage in (Stage.ABSENT, Stage.UNFINISHED)
        write(path)
        assert open_run(path).fingerprint() == expected
        assert [p.name for p in path.rglob("*.safetensors")] == ["adapter_model.safetensors"]
