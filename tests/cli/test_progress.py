"""An interrupted command ends in one line and the exit code of Ctrl-C."""

from __future__ import annotations

import pytest
import typer

from iovsim.cli.progress import interruptible


def test_an_interruption_says_what_is_left_and_exits_as_after_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, interruptible("nothing was written"):
        raise KeyboardInterrupt
    assert caught.value.exit_code == 130
    assert capsys.readouterr().err == "interrupted; nothing was written\n"
    with pytest.raises(ValueError, match=r"^another fault$"), interruptible("nothing was written"):
        raise ValueError("another fault")
