"""`run` keeps finished training and says where it cannot; `store` shows and empties what is kept."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from iovsim.cli import main
from iovsim.learning.digest import digest_of
from iovsim.learning.store.folder import StoreFolder, StoreSpec, stored_files
from iovsim.results import read_manifest

if TYPE_CHECKING:
    from .conftest import Refused

RUN = ("run", "demo", "-p", "random")


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that is right, in a folder and with a cache of its own, and returns what it printed."""
    monkeypatch.setenv("IOVSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["iovsim", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        assert not caught.value.code
        printed = capsys.readouterr()
        return printed.out + printed.err

    return run


def filled(path: Path, count: int) -> Path:
    folder = StoreFolder(StoreSpec(path, 10**9))
    for k in range(count):
        folder.write(digest_of(k), bytes(1000))
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*RUN, "--store", "s", "--no-store"), "--store s and --no-store exclude each other; give one of them"),
        ((*RUN, "--store", "/dev/null"), "--store /dev/null: is a file, a store needs a folder; choose another"),
        ((*RUN, "--store-limit", "0"), "--store-limit 0: must be above 0 GiB and finite; 4 is usual"),
        ((*RUN, "--store-limit", "inf"), "--store-limit inf: must be above 0 GiB and finite"),
        ((*RUN, "--store-limit", "nan"), "--store-limit nan: must be above 0 GiB and finite"),
        (("store", "info", "--store", "nowhere"), "--store nowhere: no such folder; name one that"),
        (("store", "clear", "--store", "nowhere"), "--store nowhere: no such folder; name one that"),
        (("store", "clear", "--store", "/dev/null"), "--store /dev/null: is a file"),
        (("store", "info", "--store-limit", "-1"), "--store-limit -1: must be above 0 GiB and finite"),
    ],
)
def test_mistyped_options(refused: Refused, arguments: tuple[str, ...], message: str) -> None:
    assert message in refused(*arguments)


def test_a_store_is_shown_and_emptied_of_its_own_files_alone(go: Callable[..., str], tmp_path: Path) -> None:
    folder = filled(tmp_path / "mine", 3)
    (folder / "notes.txt").write_text("keep me")
    for file in stored_files(folder):
        os.utime(file.path, (file.used_s - 2.5 * 86_400, file.used_s - 2.5 * 86_400))
    shown = go("store", "info", "--store", "mine", "--store-limit", "0.5")
    assert shown.splitlines() == [
        "store: mine",
        "entries: 3",
        "bytes: 3000 (0.0 MiB)",
        "oldest: last used 2.5 days ago",
        "limit: 536870912 (512.0 MiB)",
    ]
    assert go("store", "clear", "--store", "mine") == "removed 3 entries, 0.0 MiB: mine\n"
    assert [p.name for p in folder.rglob("*") if p.is_file()] == ["notes.txt"]


def test_the_usual_store_lies_in_the_cache_folder(go: Callable[..., str], tmp_path: Path) -> None:
    assert "entries: 0\nbytes: 0 (0.0 MiB)\noldest: none\nlimit: 4294967296" in go("store", "info")
    filled(tmp_path / "cache" / "training", 2)
    filled(tmp_path / "other" / "training", 5)
    assert "entries: 2\n" in go("store", "info")
    assert "entries: 5\n" in go("store", "info", "--cache", "other")
    assert go("store", "clear").startswith("removed 2 entries")
    assert "entries: 0\n" in go("store", "info")


def test_times_of_a_wrong_clock_are_shown_as_now(go: Callable[..., str], tmp_path: Path) -> None:
    for file in stored_files(filled(tmp_path / "mine", 1)):
        os.utime(file.path, (file.used_s + 1e8, file.used_s + 1e8))
    assert "oldest: last used 0.0 days ago" in go("store", "info", "--store", "mine")


def test_what_cannot_be_removed_is_told(refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    filled(tmp_path / "mine", 2)
    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    assert "mine: 2 of its 2 files cannot be removed; check its permissions" in refused(
        "store", "clear", "--store", "mine"
    )


def test_runs_keep_training_unless_told_not_to_and_go_on_where_they_cannot(
    go: Callable[..., str], world: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ("run", world("duration_s = 60.0", "duration_s = 30.0"), "-p", "random", "--cache", "cache")
    usual, full = tmp_path / "cache" / "training", tmp_path / "full"
    go(*run, "-o", "without", "--no-store")
    assert not usual.exists()
    go(*run, "-o", "first")
    assert stored_files(usual)
    real = os.replace

    def refuse(source: Path, target: Path) -> None:
        if full in Path(target).absolute().parents:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, target)

    monkeypatch.setattr("os.replace", refuse)
    printed = go(*run, "-s", "1", "-p", "all-available", "-o", "last", "--store", "full")
    assert printed.count("warning:") == 1, "not once a run"
    assert "warning: training store full: nothing more is kept in it: No space left on device; free space" in printed
    assert "Traceback" not in printed
    assert stored_files(full) == []
    records = {n: read_manifest(tmp_path / n / "random" / "seed-1") for n in ("without", "first", "last")}
    assert len({str(m.tables) for m in records.values()}) == 1
    assert records["without"].store is None
    shown = go("show", "first/random/seed-1")
    assert "training store" in shown
    assert "trainings and 0 of" in shown
