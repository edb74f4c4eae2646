"""A full disk and a read-only one end a run with one line and exit code 2, and with nothing that is half-written."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import Any

import pytest

from iovsim.bench.soak import WORLD

from . import hard_places
from .hard_places import BLOCKED, CANNOT_MOUNT

MESSAGES = {
    "little room for results": "cannot write: .*No space left on device",
    "hardly any room for results": r"tables/\S* cannot write: .*No space left on device",
    "results may only be read": "Read-only file system|is not a writable folder",
    "little room for traffic": "cache/traces.* cannot write: .*No space left on device",
    "little room for contacts": "cache/cities/.* cannot write: .*No space left on device",
    "the cache may only be read": "cache/traces: cannot write: Read-only file system",
    BLOCKED: "cache/traces.* cannot write: .*File too large",
}


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """How a run ended in each place."""
    if shutil.which("unshare") is None:
        pytest.skip("no small disks can be had here: they need Linux's unshare")
    folder = tmp_path_factory.mktemp("place")
    (folder / "world.toml").write_text(WORLD)
    command = ["unshare", "-rm", sys.executable, hard_places.__file__]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode in (1, CANNOT_MOUNT) and "Traceback" not in done.stderr:
        pytest.skip(f"no small disks can be had here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert "Exception ignored" not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("place", MESSAGES)
def test_what_refuses_is_told_in_one_line_and_nothing_is_half_written(place: str, ends: dict[str, Any]) -> None:
    end = ends[place]
    assert end["status"] == 2
    (line,) = end["said"].strip().splitlines()
    assert line.startswith("error: ")
    assert re.search(MESSAGES[place], line), line
    assert set(end["runs"]) <= {"failed"}
    assert (end["tables"], end["left"]) == ([], [])


def test_where_there_is_room_again_the_run_goes_on(ends: dict[str, Any]) -> None:
    assert ends["again"]["status"] == ends["complete"]["status"] == 0
    assert ends["again"]["rows"] == ends["complete"]["rows"]
    assert ends["again"]["runs"] == ["complete"]
