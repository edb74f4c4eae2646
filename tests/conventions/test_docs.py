"""What the README shows works: its Python runs, its TOML loads, its commands and columns exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from iovsim.config import policy_from, scenario_from
from iovsim.experiment.method import build_method

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("block", blocks("python"))
def test_the_python_of_the_readme_runs(
    block: str, session_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IOVSIM_CACHE", str(session_cache))
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})


def test_the_worlds_of_the_readme_are_valid() -> None:
    scenario = scenario_from(tomllib.loads(blocks("toml")[0]), Path("README.md"))
    assert scenario.radio.fading.kind == "rician"
    several = scenario_from(tomllib.loads(blocks("toml")[1]), Path("README.md"))
    assert [t.sensor for t in several.tasks] == ["camera", "modem"]


def test_the_policy_of_the_readme_is_valid() -> None:
    build_method(policy_from(tomllib.loads(blocks("toml")[2]), "README.md"))


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^iovsim ([a-z]+)", README, re.MULTILINE))))
def test_the_commands_of_the_readme_exist(command: str) -> None:
    from typer.main import get_command

    from iovsim.cli import app

    assert command in get_command(app).commands  # type: ignore[attr-defined]


def test_files_that_the_readme_names_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).is_file(), target
