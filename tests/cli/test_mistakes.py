"""What users type and feed wrongly: one clear line on standard error, exit code 2, nothing written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .conftest import Refused

RUN = ("run", "-p", "all-available")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "demmo", "-p", "random"), "scenario 'demmo': no such built-in scenario; did you mean 'demo'?"),
        (("run", "demo", "-p", "randon"), "policy 'randon': no such built-in policy; did you mean 'random'?"),
        (("run", "nowhere.toml", "-p", "random"), "nowhere.toml: no such file."),
        (("run", "demo", "-p", "mine.toml"), "mine.toml: no such file."),
        (("run", "demo", "-p", "random", "-s", "1,x"), "--seeds '1,x': cannot read 'x'"),
        (("run", "demo", "-p", "random", "-s", "3-1"), "--seeds '3-1': the range '3-1' runs backwards"),
        (("run", "demo", "-p", "random", "-s", "1,1"), "--seeds '1,1': 1 is there twice; give each seed once"),
        (("run", "demo", "-p", "random", "-p", "random"), "random, seed 1: asked for twice"),
        (("compare", "nowhere"), "nowhere: no such folder"),
        (("rsus", "demmo"), "scenario 'demmo': no such built-in scenario; did you mean 'demo'?"),
        (("rsus", "tiny", "--set", "rsus.placement='cover'"), "key 'rsus.placement': found 'cover'; Input should be"),
        (
            ("rsus", "tiny", "--set", "rsus.placement='file'", "--set", "rsus.file='a.csv'"),
            "a.csv: no such file; name a CSV or GeoJSON file of sites",
        ),
        (("compare", "."), ": no run in it or below"),
        (("figures", "nowhere"), "nowhere: no such folder"),
        (("show", "."), "not a run folder (no manifest.json)"),
        (("trace", "record", "portsite"), "trace 'portsite': no such map here; did you mean 'portside'?"),
        (("trace", "record", "nowhere.sumocfg"), "nowhere.sumocfg"),
        (("trace", "info", "nowhere.parquet"), "nowhere.parquet: no such file"),
        (("run", "demo", "-p", "random", "-s", "1-99999999"), "asks for too much; seeds are at most"),
        (("trace", "record", "portside", "--step", "0"), "--step 0: must be above 0"),
        (("trace", "record", "portside", "--out", "x.csv"), "let the name end in '.parquet'"),
        (("check", "demo", "--cache", "/dev/null"), "--cache /dev/null: cannot be made or written"),
        (("columns", "job"), "table 'job': no such table; did you mean 'jobs'?"),
    ],
)
def test_mistyped_commands(refused: Refused, arguments: tuple[str, ...], message: str) -> None:
    assert message in refused(*arguments)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"portside"', '"portsyde"', "key 'mobility.map': unknown map 'portsyde'; did you mean 'portside'?"),
        ("x_m = 1000.0", "x_m = 99000.0", "RSU 'a' at (99000, 1000) m lies outside the map, which covers x "),
        ('"npz", path = "data.npz"', '"npz", path = "other.npz"', "other.npz: no such file"),
        ('map = "portside"', 'sumocfg = "none.sumocfg"', "none.sumocfg"),
        ('map = "portside"', 'map = "portside"\ntrace = "none.parquet"', "none.parquet: no such trace; make one"),
        (
            "round_energy_j = 100.0",
            'round_energy_j = 100.0\ncharge_as = "vit-base"',
            "task 'signs', key 'charge_as': unknown architecture 'vit-base'; did you mean 'vit-base-patch16-224'?",
        ),
        (
            "[rounds]",
            "[devices]\ntiers = { orin-nanno = 1.0 }\n[rounds]",
            "unknown tier 'orin-nanno'; did you mean 'orin-nano'?",
        ),
        (
            "[rounds]",
            '[radio.fading]\nkind = "raileigh"\n[rounds]',
            "key 'radio.fading': unknown kind 'raileigh'; did you mean 'rayleigh'?",
        ),
        (
            "[rounds]",
            '[radio.path_loss]\nkind = "log-distance"\nexponant = 2.0\n[rounds]',
            "kind 'log-distance' has no parameter 'exponant'; did you mean 'exponent'?",
        ),
    ],
)
def test_wrong_worlds(refused: Refused, world: Callable[..., str], old: str, new: str, message: str) -> None:
    error = refused("check", world(old, new))
    assert error.startswith("error: world.toml: ")
    assert message in error


IMAGES = np.zeros((40, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": IMAGES[:, :16]}, "x_train has shape (40, 16, 32, 3) and type uint8; allowed: (n, side, side, 3)"),
        ({"x_train": IMAGES.astype(np.float64)}, "type float64"),
        ({"y_train": np.full(40, -1)}, "y_train[0] is -1"),
        ({"y_train": np.arange(39) % 4}, "y_train holds 39 labels for 40 pictures"),
        ({"classes": np.array(["a", "b"])}, "`classes` names 2 classes"),
        ({"x_test": IMAGES[:0], "y_test": np.arange(0)}, "x_test is empty"),
    ],
)
def test_wrong_data(refused: Refused, world: Callable[..., str], arrays: dict[str, NDArray[Any]], message: str) -> None:
    error = refused("check", world(**arrays))
    assert error.startswith("error: world.toml: task 'signs': ")
    assert message in error


def test_a_broken_configuration_of_sumo_is_shown_with_its_line(
    refused: Refused, world: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "broken.sumocfg").write_text("<configuration>\n<input>\n</configuration>")
    error = refused("check", world('map = "portside"', 'sumocfg = "broken.sumocfg"'))
    assert error.startswith("error: world.toml: ")
    assert "broken.sumocfg" in error
    assert "line 3" in error


def test_a_full_run_folder_is_not_overwritten(refused: Refused, world: Callable[..., str], tmp_path: Path) -> None:
    kept = tmp_path / "runs" / "all-available" / "seed-1"
    kept.mkdir(parents=True)
    (kept / "precious.txt").write_text("mine")
    assert "holds files but no run" in refused("run", world(), "-p", "all-available")
    assert (kept / "precious.txt").read_text() == "mine"


def test_overwrite_spares_what_is_no_run(refused: Refused, world: Callable[..., str], tmp_path: Path) -> None:
    kept = tmp_path / "runs" / "all-available" / "seed-1"
    kept.mkdir(parents=True)
    (kept / "precious.txt").write_text("mine")
    assert "holds files but no run" in refused("run", world(), "-p", "all-available", "--overwrite")
    assert (kept / "precious.txt").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_an_unwritable_folder_is_refused_before_anything_is_recorded(
    refused: Refused, world: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "is not a writable folder" in refused("run", world(), "-p", "random", "--out", "locked/runs")


def test_a_file_in_place_of_the_output_folder_is_refused(
    refused: Refused, world: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("")
    assert "taken is not a writable folder" in refused("run", world(), "-p", "random", "--out", "taken")


def test_runs_that_did_not_finish_are_not_shown(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 99}))
    assert "format version 99" in refused("show", ".")
