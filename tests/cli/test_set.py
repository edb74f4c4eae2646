"""`--set KEY=VALUE` changes the scenario of one command, or says in one line why it cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from iovsim.cli import main


def test_a_changed_world_is_what_the_command_sees(
    world: Callable[..., str],
    session_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    changes = ("--set", "rsus.sites.a.x_m=900.0", "--set", "tasks.signs.ranks = [2]")
    monkeypatch.setattr("sys.argv", ["iovsim", "check", world(), *changes, "--cache", str(session_cache)])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert "RSUs: 1, a (900 m, 1000 m)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "time.duraton_s=60.0",
            "with time.duraton_s changed: unknown key 'time.duraton_s'; did you mean 'duration_s'?",
        ),
        ("time.duration_s=long", "--set 'time.duration_s=long': 'long' is no TOML value; write KEY=VALUE"),
        ("tasks.sings.ranks=[2]", "change 'tasks.sings.ranks': 'tasks' has none that is named 'sings'; did you mean"),
        ("rounds.period_s=90.0", "time.duration_s = 60 holds no round of period_s = 90"),
    ],
)
def test_a_change_that_cannot_be_is_refused(
    world: Callable[..., str], refused: Callable[..., str], change: str, message: str
) -> None:
    assert message in refused("run", world(), "-p", "random", "--set", change)
