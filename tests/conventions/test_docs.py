"""What the README shows works: its Python runs, its TOML loads, its commands and columns exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

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


def tables(key: str) -> list[dict[str, Any]]:
    """The README's TOML that has this key at its top."""
    return [table for table in map(tomllib.loads, blocks("toml")) if key in table]


def test_the_worlds_of_the_readme_are_valid() -> None:
    scenario, several = (scenario_from(table, Path("README.md")) for table in tables("tasks"))
    assert scenario.radio.fading.kind == "rician"
    assert [t.sensor for t in several.tasks] == ["camera", "modem"]


@pytest.mark.parametrize("key", ["battery", "mobility"])
def test_the_parts_of_worlds_in_the_readme_are_valid(key: str) -> None:
    """Laid over its second world, live where only live runs have such a thing."""
    (whole,) = (table for table in tables("tasks") if "evaluation" in table)
    (part,) = (table for table in tables(key) if "tasks" not in table)
    live = {"mobility": {"map": "portside", "source": "live"}} if key == "battery" else {}
    scenario_from(whole | live | part, Path("README.md"))


def test_the_policy_of_the_readme_is_valid() -> None:
    (policy,) = tables("policy")
    build_method(policy_from(policy, "README.md"))


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^iovsim ([a-z]+)", README, re.MULTILINE))))
def test_the_commands_of_the_readme_exist(command: str) -> None:
    from typer.main import get_command

    from iovsim.cli import app

    assert command in get_command(app).commands  # type: ignore[attr-defined]


def test_files_that_the_readme_names_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).is_file(), target
