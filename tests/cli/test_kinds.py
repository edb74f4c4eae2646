"""`iovsim policies` lists every kind that files can name, those of data and backbones too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from iovsim.cli import main
from iovsim.config import scenario_from
from iovsim.config.model import read_toml
from iovsim.errors import ScenarioError
from iovsim.experiment.kinds import KINDS
from iovsim.paths import shared_dir


@pytest.mark.parametrize(("group", "key"), [("tasks.data", "data"), ("tasks.backbone", "backbone")])
def test_kinds_of_a_task_are_those_that_its_table_takes(group: str, key: str) -> None:
    tables = read_toml(shared_dir("scenarios") / "demo.toml")
    tables["tasks"][0][key] = {"kind": "nothing"}
    with pytest.raises(ScenarioError, match=rf"key 'tasks\[0\]\.{key}\.kind': unknown 'nothing'") as caught:
        scenario_from(tables, Path("demo.toml"))
    listed = str(caught.value).lower().split("allowed: ")[1]
    assert sorted(re.findall(r"'(\w+)'", listed)) == sorted(KINDS[group])


def test_every_kind_is_listed_with_what_must_and_what_may_be_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["iovsim", "policies"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    out = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines()]
    shown = {(row[0], row[1]): row[2:] for row in rows if len(row) == 4}
    for group, kinds in KINDS.items():
        assert {(group, kind) for kind in kinds} <= shown.keys()
    assert shown["tasks.data", "folder"][0] == "path, [train], [test], side = 32"
    assert shown["tasks.data", "signs"][0] == "train = 6000, test = 860"
    assert shown["radio.fading", "rician"][0] == "k_db = 6.0, blocks_per_sample = 10"
    assert "iovsim[minilm]" in out, "brackets are no markup"
