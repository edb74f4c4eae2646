"""The same command goes on where it was stopped, `resume` from anywhere, and neither disturbs what is at work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from iovsim.cli import main
from iovsim.locks import let_go, taken

if TYPE_CHECKING:
    from .conftest import Refused

RUN = ("run", "world.toml", "-p", "random", "--no-store")


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that is right, and returns what it printed."""
    monkeypatch.setenv("IOVSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["iovsim", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        assert not caught.value.code
        return capsys.readouterr().out

    return run


@pytest.fixture
def small(world: Callable[..., str]) -> str:
    return world("duration_s = 60.0", "duration_s = 30.0")


def unfinished(manifest: Path) -> None:
    """As if the process had been killed just before the last word."""
    manifest.write_text(manifest.read_text().replace('"status": "complete"', '"status": "running"'))


def test_what_is_complete_is_kept_and_the_rest_goes_on(
    go: Callable[..., str], refused: Refused, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "finished: runs/random/seed-1" in go(*RUN)
    first = (tmp_path / "runs/random/seed-1/manifest.json").read_bytes()
    printed = go(*RUN, "-s", "1-2")
    assert "complete, kept: runs/random/seed-1" in printed
    assert "finished: runs/random/seed-2" in printed
    assert "finished: runs/random/seed-1" not in printed
    assert (tmp_path / "runs/random/seed-1/manifest.json").read_bytes() == first
    assert "nothing to resume: all runs are complete" in go("resume", "runs")

    error = refused(*RUN, "--set", "tasks.signs.round_energy_j=50.0")
    assert "runs/random/seed-1: holds another run (status: complete): tasks.signs.round_energy_j" in error
    assert "(found 100.0, asked 50.0); choose another --out, or replace it with --overwrite." in error

    unfinished(tmp_path / "runs/random/seed-2/manifest.json")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    printed = go("resume", "../runs", "-j", "2")
    assert "finished: ../runs/random/seed-2" in printed
    assert "seed-1" not in printed


def test_a_folder_that_another_command_is_writing_is_left_to_it(refused: Refused, small: str, tmp_path: Path) -> None:
    folder = tmp_path / "runs/random/seed-1"
    folder.mkdir(parents=True)
    lock = taken(folder)
    assert lock is not None
    for more in ((), ("--overwrite",)):
        assert "runs/random/seed-1: is being written by another process; wait until" in refused(*RUN, *more)
    let_go(lock)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "nowhere: no such folder; name a run folder or a folder of runs"),
        ((".",), ".: no run in it or below"),
        ((".", "--store", "s", "--no-store"), "--store s and --no-store exclude each other"),
    ],
)
def test_what_cannot_be_resumed(arguments: tuple[str, ...], message: str, refused: Refused) -> None:
    assert message in refused("resume", *arguments)
