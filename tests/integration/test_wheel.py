"""The wheel works outside the checkout: scenarios, maps, weights, policies and figures come along."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("iovsim", "analysis", "scenarios", "sumo_maps", "pyproject.toml", "README.md", "LICENSE")

USE = """
import sys, iovsim
assert "unpacked" in iovsim.__file__, iovsim.__file__
import iovsim.analysis.figures
assert "unpacked" in iovsim.analysis.figures.__file__
sys.argv = ["iovsim", "check", "demo", "-p", "energy-budget", "--cache", "cache"]
from iovsim.cli import main
main()
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content; built from a copy, so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / "source" / name)
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(folder / "source"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_the_wheel_runs_outside_the_checkout(unpacked: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(unpacked)}
    done = subprocess.run(
        [sys.executable, "-c", USE], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "ok map: portside.sumocfg" in done.stdout
    assert "ok task signs" in done.stdout
    assert "ok policy energy-budget" in done.stdout


def test_the_wheel_installs_one_package_and_no_tests(unpacked: Path) -> None:
    assert {p.name for p in unpacked.iterdir() if not p.name.endswith(".dist-info")} == {"iovsim"}
    assert (unpacked / "iovsim/py.typed").is_file()
