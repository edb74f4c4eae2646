"""`regret` prints a table, writes CSV files, a figure and JSON, and refuses what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from iovsim.cli import main
from tests.cli.conftest import Refused


def test_table_files_and_json_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["iovsim", "regret", "-b", "ucb-dual", "-b", "clairvoyant", "--rounds", "1000", "-s", "1-3"]
    monkeypatch.setattr("sys.argv", [*command, "--explore", "1,2", "--json", "out.json"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert not caught.value.code
    printed = capsys.readouterr().out
    found = json.loads((tmp_path / "out.json").read_text())
    assert [(row["policy"], row["explore"]) for row in found] == [
        ("ucb-dual", 1.0),
        ("ucb-dual", 2.0),
        ("clairvoyant", 1.0),
    ]
    first, last = found[0], found[-1]
    assert first["low"] < first["exponent"] < first["high"]
    assert 0 <= first["violation_per_t"] < 0.05
    assert f"{first['exponent']:.3f} [{first['low']:.3f}, {first['high']:.3f}]" in printed
    assert last["exponent"] is None
    assert "UCB-DUAL, each vehicle on its own" in printed
    assert {"ucb-dual x 2", "clairvoyant"} <= {
        line.split("│")[1].strip() for line in printed.splitlines() if "│" in line
    }
    rows = pd.read_csv(tmp_path / "regret" / "regret.csv")
    at_end = rows[(rows["policy"] == "ucb-dual") & (rows["explore"] == 1) & (rows["rounds"] == 1000)]
    assert at_end["regret"].mean() == pytest.approx(first["regret"])
    assert len(pd.read_csv(tmp_path / "regret" / "exponents.csv")) == 3
    assert {f.name for f in (tmp_path / "regret").glob("regret.*")} == {
        f"regret.{k}" for k in ("csv", "png", "pdf", "svg")
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-b", "ucb-daul"], "--bandit 'ucb-daul': no such bandit; did you mean 'ucb-dual'"),
        (["--quick", "--rounds", "5000"], "--quick and --rounds exclude each other"),
        (["--rounds", "50"], "--rounds 50: must be 1000 or more"),
        (["--explore", "0,1"], "--explore '0,1': write numbers above 0"),
        (["--weights", "1,0"], "--weights '1,0': write three numbers that sum to 1"),
        (["--seeds", "2,1-3"], "--seeds '2,1-3': 2 is there twice"),
        (["--weights", "1,0,0"], "--quality and --weights are for arms measured in runs; add --runs FOLDER"),
        (["--quality", "gain"], "--quality and --weights are for arms measured in runs; add --runs FOLDER"),
        (["--task", "signs"], "--task is for arms measured in runs; add --runs FOLDER"),
        (["--budget", "0.1"], "raise the share"),
        (["--runs", "nowhere"], "nowhere: no such folder"),
        (["-s", "5-1"], "runs backwards"),
    ],
)
def test_mistakes_are_refused_in_a_line(refused: Refused, arguments: list[str], message: str) -> None:
    assert message in refused("regret", *arguments)
