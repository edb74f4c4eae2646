"""What is written appears whole or not at all; what the killed left behind goes, and nothing of the living."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iovsim.errors import ResultsError
from iovsim.files import PART, clear_leftovers, scratch, whole_file, whole_folder, write_whole
from iovsim.locks import LOCK, is_taken, let_go, taken

WRITE = """
import sys, pathlib
from iovsim.files import scratch
with scratch(pathlib.Path(sys.argv[1])) as folder:
    (folder / "half").write_text("half")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def writer(tmp_path: Path) -> subprocess.Popen[str]:
    """Another process, which is at the middle of writing in the folder `place`."""
    command = [sys.executable, "-c", WRITE, str(tmp_path / "place")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert PART in process.stdout.readline()
    return process


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_whole(path, b"one")
    with whole_file(path) as part:
        part.write_bytes(b"two")
        assert path.read_bytes() == b"one"
    assert path.read_bytes() == b"two"
    assert names(path.parent) == ["file.txt"]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder"
    for name in ("one", "two"):
        with whole_folder(path) as part:
            (part / "below").mkdir()
            (part / "below" / name).write_text(name)
            assert name == "one" or names(path / "below") == ["one"]
    assert names(path / "below") == ["two"]
    assert names(path.parent) == ["folder"]


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_what_is_not_finished_never_appears(tmp_path: Path, whole: Callable[[Path], Any]) -> None:
    for error in (KeyboardInterrupt, ValueError):
        with pytest.raises(error), whole(tmp_path / "thing"):
            raise error
    with pytest.raises(ResultsError, match="thing: cannot write: No space left on device"), whole(tmp_path / "thing"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert names(tmp_path) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ResultsError, match="file/thing: cannot write: Not a directory"):
        write_whole(tmp_path / "file" / "thing", b"")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("step", ["os.mkdir", "iovsim.files.taken", "os.fsync", "os.replace"])
def test_a_full_disk_leaves_nothing_whatever_step_it_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*arguments: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_whole(tmp_path / "file", b"old")
    monkeypatch.setattr(step, full)
    with pytest.raises(ResultsError, match="file: cannot write: No space left"):
        write_whole(tmp_path / "file", b"new")
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_leftovers_of_the_killed_go_and_work_of_the_living_stays(writer: subprocess.Popen[str], tmp_path: Path) -> None:
    place = tmp_path / "place"
    clear_leftovers(place)
    write_whole(place / "whole", b"")
    assert [p.name for p in place.glob(f"{PART}*/half")] == ["half"]
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert len(names(place)) == 2
    write_whole(place / "whole", b"")
    assert names(place) == ["whole"]


def test_a_writer_that_ends_leaves_nothing(writer: subprocess.Popen[str], tmp_path: Path) -> None:
    writer.communicate("")
    assert names(tmp_path / "place") == []


def test_leftovers_without_a_lock_and_half_removed_ones_go_too(tmp_path: Path) -> None:
    (tmp_path / f"{PART}1" / "deep").mkdir(parents=True)
    (tmp_path / f"{PART}2").mkdir()
    (tmp_path / ".mine").mkdir()
    clear_leftovers(tmp_path)
    clear_leftovers(tmp_path / "nowhere")
    assert names(tmp_path) == [".mine"]


def test_a_folder_taken_for_a_leftover_before_it_was_locked_is_there_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first: list[Path] = []
    real = taken

    def slow(folder: Path) -> object:
        if not first:
            first.append(folder)
            clear_leftovers(tmp_path)
            assert not folder.exists()
        return real(folder)

    monkeypatch.setattr("iovsim.files.taken", slow)
    with scratch(tmp_path) as folder:
        assert folder.is_dir()
        assert is_taken(folder)
    assert names(tmp_path) == []


def test_a_lock_is_held_once_and_leaves_no_file(tmp_path: Path) -> None:
    assert not is_taken(tmp_path)
    lock = taken(tmp_path)
    assert lock is not None
    assert taken(tmp_path) is None
    assert is_taken(tmp_path)
    let_go(lock)
    assert not is_taken(tmp_path)
    assert names(tmp_path) == []
    (tmp_path / LOCK).write_text("")  # of a process that was killed
    assert not is_taken(tmp_path)
