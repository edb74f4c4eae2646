"""What a run shows of itself agrees with its tables, and says where a name is none of them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iovsim.errors import ResultsError
from iovsim.results import METRICS, TABLES, Manifest, Run, RunFolder, metrics, open_run
from iovsim.results.views import WHOLE_RUN

Rows = dict[str, dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, manifest: Manifest, row_of: Rows) -> Run:
    """Two evaluated merges of a task whose name has to be escaped, three jobs."""
    charge = manifest.charge_as["signs"]
    with RunFolder.create(tmp_path / "run", replace(manifest, charge_as={"a<b": charge, "empty": charge})) as folder:
        add = folder.recorder.add
        for merge, share in ((1, 0.5), (0, 0.25)):
            evaluated = row_of["evaluations"] | {"task": "a<b", "merge": merge, "time_s": 10.0 * merge}
            add("evaluations", **evaluated | {"scope": "global", "subject": "", "accuracy": share})
            add("evaluations", **evaluated | {"scope": "validation", "subject": "", "accuracy": 1.0})
        for status in ("delivered", "delivered", "lost_uplink"):
            add("jobs", **row_of["jobs"] | {"status": status, "start_s": 1.0, "end_s": 4.0})
    return open_run(tmp_path / "run")


def test_tables_are_attributes(run: Run) -> None:
    assert run.jobs is run.table("jobs")
    assert len(run.jobs) == 3
    assert set(TABLES) <= set(dir(run))


def test_a_name_that_is_no_table_is_answered_with_the_nearest(run: Run) -> None:
    with pytest.raises(AttributeError, match=r"a run has no 'job'; did you mean 'jobs'\?"):
        run.job  # noqa: B018
    with pytest.raises(ResultsError, match=r"table 'job': no such table; did you mean 'jobs'\?"):
        run.table("job")


def test_the_learning_curve_is_that_of_the_whole_held_out_set_by_merge(run: Run) -> None:
    curve = run.accuracy
    assert curve[["task", "merge", "time_s", "accuracy"]].values.tolist() == [
        ["a<b", 0, 0.0, 0.25],
        ["a<b", 1, 10.0, 0.5],
    ]


def test_a_run_without_evaluations_has_an_empty_curve(tmp_path: Path, manifest: Manifest) -> None:
    with RunFolder.create(tmp_path / "empty", manifest):
        pass
    empty = open_run(tmp_path / "empty")
    assert empty.accuracy.empty
    assert list(empty.accuracy.columns)[:3] == ["task", "merge", "time_s"]
    assert empty.summary().loc["delivered_jobs", WHOLE_RUN] == 0
    assert "<Run grid" in repr(empty)
    assert "final_accuracy" not in empty._repr_html_()


def test_the_summary_has_every_metric_where_it_belongs(run: Run) -> None:
    summary = run.summary()
    assert list(summary.columns) == ["unit", "a<b", "empty", WHOLE_RUN]
    assert list(summary.index) == [name for name in METRICS if name in set(summary.index)]
    figures = summary.drop(columns="unit").to_dict()
    for value in metrics(run):
        expected = math.nan if value.value is None else value.value
        assert figures[value.task or WHOLE_RUN][value.metric.name] == pytest.approx(expected, nan_ok=True)
    assert summary.loc["latency_s", "unit"] == "s"
    assert math.isnan(summary["empty"]["final_accuracy"])


def test_the_page_escapes_names_and_tells_no_path(run: Run) -> None:
    page = run._repr_html_()
    assert "grid · greedy · seed 7" in page
    assert "a&lt;b: roadvit, charged as vit-base-patch16-224" in page
    assert "<b<" not in page
    assert "a<b" not in page
    assert "lost_uplink" in page
    assert str(run.path) not in page + repr(run)
