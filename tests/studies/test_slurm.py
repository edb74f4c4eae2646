"""The script for SLURM in the README is sound bash, and its commands take the options that it gives."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

SCRIPT = re.findall(r"```bash\n(.*?)```", (Path(__file__).parents[2] / "README.md").read_text(), re.DOTALL)


def test_the_script_is_sound() -> None:
    (script,) = SCRIPT
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_its_commands_take_its_options() -> None:
    from ray.scripts.scripts import start
    from typer.main import get_command

    from iovsim.cli import app

    (script,) = SCRIPT
    known = {option for parameter in start.params for option in parameter.opts}
    given = set(re.findall(r"--[a-z-]+", " ".join(re.findall(r"ray start (.*)", script))))
    assert given
    assert given <= known
    study = get_command(app).commands["study"].commands["run"]  # type: ignore[attr-defined]
    assert "--engine" in {option for parameter in study.params for option in parameter.opts}
    assert "iovsim study study.toml --engine ray" in script
