"""What `compare`, `show` and `metrics` print of runs with several tasks, and what of their options they refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from iovsim.cli import main
from iovsim.results import METRICS, Run
from iovsim.results.frame import SHARE
from iovsim.results.metrics import DEFAULT

Printed = Callable[..., str]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Printed:
    def run(*arguments: str | Path, code: int = 0) -> str:
        monkeypatch.setattr("sys.argv", ["iovsim", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        assert (caught.value.code or 0) == code
        output = capsys.readouterr()
        return output.err if code else output.out

    return run


def cells(text: str, name: str) -> list[list[str]]:
    """The cells of every line of a table that begins with `name`."""
    lines = [[cell.strip() for cell in line.strip("│┃").split("│")] for line in text.splitlines()]
    return [line[1:] for line in lines if line[0] == name]


def test_a_comparison_has_a_section_a_task_and_macro_f1_beside_accuracy(runs: list[Run], printed: Printed) -> None:
    text = printed("compare", *(run.path for run in runs))
    places = [text.index(section) for section in ("task incidents", "task lights", "task signs", "whole run")]
    assert places == sorted(places)
    for name in ("final_accuracy ↑", "final_macro_f1 ↑"):
        assert len(cells(text, name)) == 3
    assert len(cells(text, "energy_j [J] ↓")) == 1
    assert "random (baseline)" in text
    assert all(name in text for name in DEFAULT)
    assert "calibration_error" not in text
    assert max(map(len, text.splitlines())) <= 200
    [first, *_] = cells(text, "final_accuracy ↑")
    assert [" ± " in cell for cell in first] == [True, True]


def test_metrics_can_be_chosen_or_all_be_shown_and_files_hold_them(
    runs: list[Run], printed: Printed, tmp_path: Path
) -> None:
    paths = [run.path for run in runs]
    csv, markdown = tmp_path / "all.csv", tmp_path / "shown.md"
    some = printed("compare", *paths, "-m", "final_loss", "--csv", csv, "--markdown", markdown)
    assert [name for name in METRICS if f"  {name} " in some] == ["final_loss"]
    assert set(pd.read_csv(csv)["metric"]) == {*METRICS, SHARE}
    assert "### lights" in markdown.read_text()
    assert "\n| final_accuracy" not in markdown.read_text()
    every = printed("compare", *paths, "--all")
    assert all(name in every for name in METRICS)


def test_wrong_choices_are_refused_before_anything_is_read(printed: Printed) -> None:
    error = printed("compare", "nowhere", "--metric", "final_f1", code=2)
    assert "metric 'final_f1': no such metric; did you mean 'final_macro_f1'?" in error
    assert "--all and --metric exclude each other" in printed("compare", "nowhere", "--all", "-m", "energy_j", code=2)


def test_many_policies_go_on_in_further_tables(
    runs: list[Run], printed: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iovsim.cli.progress.WIDE", 60)
    text = printed("compare", runs[0].path, runs[3].path)
    assert len(cells(text, "energy_j [J] ↓")) == 2
    assert max(map(len, text.splitlines())) <= 60


def test_details_targets_and_pairs_are_shown_and_written(runs: list[Run], printed: Printed, tmp_path: Path) -> None:
    files = [tmp_path / f"table.{kind}" for kind in ("csv", "md", "tex")]
    options = ("--target", "signs=0.55", "--pairs", "all", "--details", "--half-width", "final_accuracy=0.001")
    text = printed(
        "compare",
        *(run.path for run in runs),
        *(*options, "-m", "final_accuracy", "--csv", files[0], "--markdown", files[1], "--latex", files[2]),
    )
    [times] = cells(text, "time_to_accuracy_0.55 [s] ↓")[:1]
    assert times[0] == "not reached (0/3)"
    assert "median" in times[1]
    assert "paired differences, task lights" in text
    assert "With 3 seeds no p is below 0.25" in text
    assert "Pareto front of accuracy, latency and energy" in text
    assert len(cells(text, "mean over tasks")) == 1
    again = (
        "iovsim compare again/toy-city --baseline random --metric final_accuracy --pairs all --target signs=0.55 "
        "--half-width final_accuracy=0.001 --details"
    )
    for file in files[1:]:
        assert again in file.read_text()
    named = set(re.findall(r"inputs/[\w.-]+", files[2].read_text()))
    assert {f"inputs/{path.name}" for path in (tmp_path / "inputs").iterdir()} == named
    assert len(named) == 3  # a world and two policies
    assert set(pd.read_csv(files[0])["command"].dropna().str.split().str[2]) == {
        f"inputs/{path.name}" for path in (tmp_path / "inputs").glob("toy-city-*")
    }


def test_wilcoxons_test_may_decide_what_is_bold(runs: list[Run], printed: Printed, tmp_path: Path) -> None:
    paths = [run.path for run in runs]
    for test, clear in (("t", True), ("wilcoxon", False)):
        printed("compare", *paths, "-m", "final_accuracy", "--test", test, "--markdown", tmp_path / test)
        assert ("**Δ" in (tmp_path / test).read_text()) is clear
        assert ("--test wilcoxon" in (tmp_path / test).read_text()) is not clear


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--target", "signs"), "--target 'signs': write TASK=SHARE"),
        (("--half-width", "energy_j=-1"), "--half-width 'energy_j=-1': write METRIC=WIDTH, above 0"),
        (("--half-width", "energy_j=wide"), "--half-width 'energy_j=wide': write METRIC=WIDTH, above 0"),
    ],
)
def test_options_that_cannot_be_read_are_refused(printed: Printed, option: tuple[str, str], message: str) -> None:
    assert message in printed("compare", "nowhere", *option, code=2)


def test_show_counts_the_data_of_each_task(runs: list[Run], printed: Printed) -> None:
    text = printed("show", runs[0].path)
    assert cells(text, "vehicles that hold data") == [["9", "60", "40"]]
    assert cells(text, "classes") == [["9", "5", "43"]]
    [arrivals] = cells(text, "samples arrive")
    assert arrivals == ["before the start", "until 25818 s", "before the start"]
    [accuracy] = cells(text, "final_accuracy ↑")
    assert accuracy[-1] == ""
    assert all(0 < float(value) < 1 for value in accuracy[:-1])


def test_metrics_are_listed_with_unit_and_meaning(printed: Printed) -> None:
    text = printed("metrics")
    for name, metric in METRICS.items():
        [line] = cells(text, name)
        assert line[:3] == ["" if metric.unit == "1" else metric.unit, metric.better, "yes" if name in DEFAULT else ""]
