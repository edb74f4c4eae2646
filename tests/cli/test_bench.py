"""`bench precision` trains in both precisions and tells the paired difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from iovsim.cli import main
from tests.cli.conftest import WORLD, Refused


def test_both_precisions_are_told_beside_their_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    pictures = (labels[:, None, None, None] * 80 + rng.integers(0, 40, (60, 32, 32, 3))).astype(np.uint8)
    np.savez(
        tmp_path / "data.npz",
        x_train=pictures[:40],
        y_train=labels[:40],
        x_test=pictures[40:],
        y_test=labels[40:],
    )
    (tmp_path / "world.toml").write_text(WORLD)
    monkeypatch.setattr(
        "sys.argv", ["iovsim", "bench", "precision", str(tmp_path / "world.toml"), "-s", "1,2", "--epochs", "8"]
    )
    monkeypatch.setenv("IOVSIM_CACHE", str(tmp_path / "cache"))
    with pytest.raises(SystemExit) as caught:
        main()
    assert not caught.value.code
    printed = capsys.readouterr().out
    (row,) = (line for line in printed.splitlines() if "signs" in line and "│" in line)
    cells = [cell.strip() for cell in row.strip("│ ").split("│")]
    assert cells[:4] == ["signs", "8", "24", "2"]
    fp32, bf16, difference = (float(cell.split()[0]) for cell in cells[4:])
    assert difference == pytest.approx(bf16 - fp32, abs=0.1)
    assert fp32 > 0.5


def test_an_unknown_task_is_refused(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "world.toml").write_text(WORLD)
    assert "no task 'sings'" in refused("bench", "precision", "world.toml", "-t", "sings")
