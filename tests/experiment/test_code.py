"""Changed code makes built-in data anew; unchanged code takes them from the cache."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from iovsim.config import BuiltinData, Scenario, load_scenario
from iovsim.experiment import code
from iovsim.experiment.data import load_data
from iovsim.paths import PACKAGE, shared_dir


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sources that data depend on, where they can be changed."""
    copy = tmp_path / "package"
    for part in ("domain", "learning/data", "learning/generated"):
        shutil.copytree(PACKAGE / part, copy / part)
    for file in PACKAGE.glob("*.py"):
        shutil.copy(file, copy)
    monkeypatch.setattr(code, "PACKAGE", copy)
    return copy


@pytest.fixture
def small(tmp_path: Path) -> Scenario:
    scenario = load_scenario(shared_dir("scenarios") / "demo.toml")
    task = scenario.tasks[0].model_copy(update={"data": BuiltinData(kind="signs", train=400, test=100)})
    return scenario.model_copy(update={"tasks": (task,)})


@pytest.mark.parametrize(
    "source", ["rng.py", "domain/vehicles.py", "learning/data/samples.py", "learning/generated/signs.py"]
)
def test_data_are_made_anew_where_any_of_their_code_has_changed(
    source: str, package: Path, small: Scenario, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"

    def made() -> int:
        load_data(small, small.tasks[0], cache)
        return len(list((cache / "data").iterdir()))

    assert [made(), made()] == [1, 1]
    file = package / source
    file.write_text(file.read_text() + "\n# changed\n")
    assert [made(), made()] == [2, 2]
