"""What SUMO itself writes of the built-in town, once a session."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from iovsim.mobility.sumo_config import sumo_command, sumo_environment

ROOT = Path(__file__).parents[3]
PORTSIDE = ROOT / "sumo_maps" / "portside" / "portside.sumocfg"


@pytest.fixture(scope="session")
def fcd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the first 40 s of Portside: fcd.xml, fcd.xml.gz, fcd.csv, fcd.csv.gz, fcd.parquet."""
    folder = tmp_path_factory.mktemp("fcd")
    for ending in ("xml", "xml.gz", "csv", "csv.gz", "parquet"):
        output = ["--fcd-output", str(folder / f"fcd.{ending}"), "--no-step-log", "--end", "40"]
        subprocess.run([*sumo_command(), "-c", str(PORTSIDE), *output], env=sumo_environment(), check=True)
    return folder
