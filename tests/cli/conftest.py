"""A small world to be broken, and a command that must refuse it in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from iovsim.cli import main

WORLD = """
name = "small"
[time]
start_s = 10.0
duration_s = 60.0
[mobility]
map = "portside"
[rsus]
placement = "sites"
[[rsus.sites]]
name = "a"
x_m = 1000.0
y_m = 1000.0
[[tasks]]
name = "signs"
round_energy_j = 100.0
shards = { samples = 8 }
data = { kind = "npz", path = "data.npz" }
[rounds]
period_s = 30.0
"""

Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs the command and returns the one line with which it was refused; checks that nothing was left behind."""
    monkeypatch.setenv("IOVSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def go(*arguments: str) -> str:
        before = {p for p in tmp_path.rglob("*") if "cache" not in p.parts}
        monkeypatch.setattr("sys.argv", ["iovsim", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code == 2
        error = capsys.readouterr().err.strip()
        assert error.startswith("error: ")
        assert "Traceback" not in error
        assert "\n" not in error
        assert {p for p in tmp_path.rglob("*") if "cache" not in p.parts} == before
        return error

    return go


@pytest.fixture
def world(tmp_path: Path) -> Callable[..., str]:
    """Writes the small world, changed, with data beside it, and returns its name."""

    def write(old: str = "", new: str = "", **arrays: NDArray[Any]) -> str:
        assert old in WORLD
        (tmp_path / "world.toml").write_text(WORLD.replace(old, new, 1) if old else WORLD)
        images = np.zeros((40, 32, 32, 3), dtype=np.uint8)
        labels = np.arange(40) % 4
        data: dict[str, Any] = {
            "x_train": images,
            "y_train": labels,
            "x_test": images,
            "y_test": labels,
        } | arrays
        np.savez(tmp_path / "data.npz", allow_pickle=False, **data)
        return "world.toml"

    return write
