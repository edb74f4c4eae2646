"""The folder keeps whole entries under its limit, the last used longest, and never ends a run."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from iovsim.learning.digest import digest_of
from iovsim.learning.store.folder import (
    FILLED,
    LOOK_EVERY,
    StoredFile,
    StoreFolder,
    StoreSpec,
    oldest_first,
    remove,
    stored_files,
)
from tests.learning.store import busy

KEYS = [digest_of(k) for k in range(400)]
CONTENT = bytes(range(250)) * 4  # 1000 bytes


def folder_of(path: Path, limit_bytes: int = 1_000_000) -> StoreFolder:
    return StoreFolder(StoreSpec(path, limit_bytes))


def size_of(path: Path) -> int:
    return sum(file.size_bytes for file in stored_files(path))


def aged(path: Path, key: str, by_s: float) -> None:
    then_s = time.time() - by_s
    os.utime(path / key[:2] / f"{key}.safetensors", (then_s, then_s))


def refusing(number: int) -> object:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


def test_what_was_written_is_read_and_lies_under_its_key(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "store")
    assert folder.read(KEYS[0]) is None
    assert folder.write(KEYS[0], CONTENT) == 1000
    assert folder.read(KEYS[0]) == CONTENT
    assert [p.relative_to(tmp_path) for p in tmp_path.rglob("*.*")] == [
        Path("store") / KEYS[0][:2] / f"{KEYS[0]}.safetensors"
    ]
    folder.remove(KEYS[0])
    folder.remove(KEYS[0])
    assert folder.read(KEYS[0]) is None


def test_the_store_stays_under_its_limit_and_keeps_what_was_used_last(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 40_000)
    for number, key in enumerate(KEYS):
        folder.write(key, CONTENT)
        aged(tmp_path, key, by_s=1000.0 - number)
        assert folder.read(KEYS[0]) == CONTENT, "what is read again and again stays"
        assert size_of(tmp_path) <= 40_000
    kept = {file.path.stem for file in stored_files(tmp_path)}
    assert len(kept) >= 30
    assert kept == {KEYS[0], *KEYS[len(KEYS) - len(kept) + 1 :]}


def test_a_new_process_looks_before_its_first_write(tmp_path: Path) -> None:
    for key in KEYS[:60]:
        folder_of(tmp_path, 10_000).write(key, CONTENT)
    assert size_of(tmp_path) <= 10_000


def test_a_clock_that_was_wrong_keeps_nothing_alive(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 40_000)
    for key in KEYS[:30]:
        folder.write(key, CONTENT)
        aged(tmp_path, key, by_s=-1e8)  # three years ahead
    for number, key in enumerate(KEYS[30:80]):
        folder.write(key, CONTENT)
        aged(tmp_path, key, by_s=1000.0 - number)
    assert size_of(tmp_path) <= 40_000
    kept = {file.path.stem for file in stored_files(tmp_path)}
    assert kept == set(KEYS[80 - len(kept) : 80])


def test_files_are_ordered_by_use_and_those_of_the_future_come_first() -> None:
    used_s = {"future": 2000.0, "far": 9000.0, "skewed": 1010.0, "old": -5.0, "now": 1000.0}
    files = [StoredFile(Path(name), 1, at_s) for name, at_s in used_s.items()]
    assert [f.path.name for f in oldest_first(files, now_s=1000.0)] == ["future", "far", "old", "now", "skewed"]


def test_foreign_files_are_neither_counted_nor_removed(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 5_000)
    strange = [tmp_path / "thesis.pdf", tmp_path / KEYS[0][:2] / "notes.safetensors", tmp_path / "zz" / KEYS[0]]
    for path in strange:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(CONTENT * 10)
        os.utime(path, (0, 0))
    for key in KEYS[:40]:
        folder.write(key, CONTENT)
    assert size_of(tmp_path) <= 5_000
    remove(stored_files(tmp_path), float("inf"))
    assert stored_files(tmp_path) == []
    assert all(path.is_file() for path in strange)


def test_what_a_killed_process_left_is_removed_when_the_store_is_used_again(tmp_path: Path) -> None:
    left = tmp_path / ".part-0123abcd" / f"{KEYS[0]}.safetensors"
    left.parent.mkdir()
    left.write_bytes(CONTENT)
    assert stored_files(tmp_path) == []
    folder_of(tmp_path, 5_000).write(KEYS[0], CONTENT)
    assert [path.name for path in tmp_path.iterdir()] == [KEYS[0][:2]]


def test_one_result_above_the_limit_is_told_and_not_kept(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 1_050)
    assert folder.write(KEYS[0], CONTENT) == 0
    assert "one result takes 1000 bytes of at most 1050; raise --store-limit" in folder.problem
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("where", ["os.replace", "pathlib.Path.write_bytes", "pathlib.Path.mkdir"])
def test_a_full_or_read_only_disk_ends_writing_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, number: int
) -> None:
    folder = folder_of(tmp_path)
    folder.write(KEYS[0], CONTENT)
    with monkeypatch.context() as patched:
        patched.setattr(where, refusing(number))
        assert folder.write(KEYS[1], CONTENT) == 0
    assert f"training store {tmp_path}: nothing more is kept in it: {os.strerror(number)};" in folder.problem
    assert folder.write(KEYS[2], CONTENT) == 0, "told once, and not tried again"
    assert folder.read(KEYS[0]) == CONTENT
    assert {p.name for p in tmp_path.rglob("*") if p.is_file()} == {f"{KEYS[0]}.safetensors"}, "no half entry"


def test_a_disk_that_fills_up_in_the_middle_of_an_entry_keeps_none_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", half)
    folder = folder_of(tmp_path)
    assert folder.write(KEYS[0], CONTENT) == 0
    assert "No space left on device; free space, or choose another with --store" in folder.problem
    assert stored_files(tmp_path) == []


def test_an_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        folder_of(tmp_path).write(KEYS[0], CONTENT)
    assert stored_files(tmp_path) == []


def test_a_folder_that_is_removed_meanwhile_is_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("os.replace", refusing(errno.ENOENT))
        assert folder.write(KEYS[0], CONTENT) == 0
    assert folder.problem == ""
    assert folder.write(KEYS[0], CONTENT) == 1000


def test_what_cannot_be_read_or_removed_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path, 5_000)
    folder.write(KEYS[0], CONTENT)
    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.read_bytes", refusing(errno.EIO))
        assert folder.read(KEYS[0]) is None
    monkeypatch.setattr("os.utime", refusing(errno.EROFS))
    assert folder.read(KEYS[0]) == CONTENT
    monkeypatch.setattr("pathlib.Path.unlink", refusing(errno.EROFS))
    folder.remove(KEYS[0])
    assert remove(stored_files(tmp_path), 1.0) == 0
    assert folder.read(KEYS[0]) == CONTENT
    assert stored_files(tmp_path / "nowhere") == []


def test_many_processes_write_read_and_evict_at_once(tmp_path: Path) -> None:
    command = [sys.executable, str(Path(busy.__file__)), str(tmp_path)]
    processes = [subprocess.Popen([*command, str(100 * k)], stderr=subprocess.PIPE) for k in range(3)]
    errors = [process.communicate(timeout=120)[1].decode() for process in processes]
    assert errors == ["", "", ""]
    assert [process.returncode for process in processes] == [0, 0, 0]
    files = stored_files(tmp_path)
    assert not list(tmp_path.glob(".*"))
    assert sum(file.size_bytes for file in files) <= busy.LIMIT_BYTES * (FILLED + 3 * LOOK_EVERY) + 3 * busy.ENTRY_BYTES
    assert files
