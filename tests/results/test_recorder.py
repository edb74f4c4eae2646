"""The recorder keeps what it is given, refuses what the schema does not know, and writes equal bytes for equal rows."""

from __future__ import annotations

import re
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.errors import ResultsError
from iovsim.results import TABLES, Recorder, recorder
from iovsim.results.recorder import table_path

Rows = dict[str, dict[str, Any]]
UNITS = {"s": "s", "m": "m", "mps": "m/s", "hz": "Hz", "j": "J", "w": "W", "bits": "bit", "db": "dB"}


def test_every_unit_agrees_with_the_suffix_of_the_name() -> None:
    for declared in TABLES.values():
        for column in declared.columns:
            suffix = column.name.rsplit("_", 1)[-1]
            assert UNITS.get(suffix, "1" if column.unit == "1" else "") == column.unit, (declared.name, column.name)
            assert column.meaning


@pytest.mark.parametrize("name", TABLES)
def test_a_row_of_each_table_survives_the_round_trip(name: str, tmp_path: Path, row_of: Rows) -> None:
    made = Recorder(tmp_path)
    made.add(name, **row_of[name])
    assert made.finish()[name].rows == 1
    read = pq.read_table(table_path(tmp_path, name))
    assert read.to_pylist() == [row_of[name]]
    assert read.schema.equals(TABLES[name].schema, check_metadata=True)
    for column in TABLES[name].columns:
        assert read.schema.field(column.name).metadata[b"unit"].decode() == column.unit


def test_finish_writes_every_table_even_if_empty(tmp_path: Path) -> None:
    assert set(Recorder(tmp_path).finish()) == set(TABLES)
    assert sorted(p.name for p in (tmp_path / "tables").iterdir()) == sorted(f"{name}.parquet" for name in TABLES)


def test_nothing_is_published_before_finish_and_nothing_left_after_discard(tmp_path: Path, row_of: Rows) -> None:
    made = Recorder(tmp_path)
    made.add("rsus", **row_of["rsus"])
    assert list((tmp_path / "tables").glob("*.parquet")) == list((tmp_path / "tables").glob(".*.parquet"))
    made.discard()
    assert list((tmp_path / "tables").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"hight_m": 5.0}, ValueError, "table 'rsus': unknown column 'hight_m', did you mean 'height_m'"),
        ({"rsu": 5}, TypeError, "table 'rsus', column 'rsu': 5 is not a text value"),
        ({"rsu": None}, TypeError, "table 'rsus', column 'rsu': None is not a text value"),
        ({"x_m": "left"}, TypeError, "table 'rsus', column 'x_m': 'left' is not a real value"),
        ({"x_m": None}, TypeError, "table 'rsus', column 'x_m': None is not a real value"),
        ({"x_m": True}, TypeError, "table 'rsus', column 'x_m': True is not a real value"),
        ({"x_m": float("nan")}, ValueError, "table 'rsus', column 'x_m': nan is not finite"),
    ],
)
def test_a_wrong_row_is_refused_at_once(
    change: dict[str, object], error: type[Exception], message: str, tmp_path: Path, row_of: Rows
) -> None:
    made = Recorder(tmp_path)
    with pytest.raises(error, match=re.escape(message)):
        made.add("rsus", **row_of["rsus"] | change)
    frame = pd.DataFrame([row_of["rsus"] | change])
    with pytest.raises(error, match="table 'rsus'"):
        made.add_frame("rsus", frame)
    made.discard()


def test_whole_and_flag_columns_take_nothing_else(tmp_path: Path, row_of: Rows) -> None:
    made = Recorder(tmp_path)
    with pytest.raises(TypeError, match=re.escape("column 'job': 1.0 is not a whole value")):
        made.add("phases", **row_of["phases"] | {"job": 1.0})
    with pytest.raises(TypeError, match=re.escape("column 'completed': 1 is not a flag value")):
        made.add("phases", **row_of["phases"] | {"completed": 1})
    made.discard()


def test_a_text_outside_its_choices_is_named(tmp_path: Path, row_of: Rows) -> None:
    made = Recorder(tmp_path)
    message = re.escape("table 'jobs', column 'status': 'lost_uplnk', did you mean 'lost_uplink'?")
    with pytest.raises(ValueError, match=message):
        made.add("jobs", **row_of["jobs"] | {"status": "lost_uplnk"})
    with pytest.raises(ValueError, match=message):
        made.add_frame("jobs", pd.DataFrame([row_of["jobs"] | {"status": "lost_uplnk"}]))
    made.discard()


def test_missing_columns_and_unknown_tables_are_named(tmp_path: Path) -> None:
    made = Recorder(tmp_path)
    with pytest.raises(ValueError, match="table 'rsus': missing columns: height_m, range_m, x_m, y_m"):
        made.add("rsus", rsu="a")
    with pytest.raises(KeyError, match="no table 'job': did you mean 'jobs'"):
        made.add("job", rsu="a")
    made.discard()


def test_nullable_columns_take_none_and_store_what_is_not_finite_as_null(tmp_path: Path, row_of: Rows) -> None:
    made = Recorder(tmp_path)
    for value in (None, float("nan"), float("inf"), np.float64("nan"), np.float32(0.5)):
        made.add("evaluations", **row_of["evaluations"] | {"loss": value})
    made.finish()
    assert pq.read_table(table_path(tmp_path, "evaluations"))["loss"].to_pylist() == [None] * 4 + [0.5]


@pytest.fixture
def small_groups() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "ROW_GROUP_ROWS", 3)
        yield


@settings(derandomize=True, max_examples=25, deadline=None)
@given(cuts=st.lists(st.tuples(st.booleans(), st.integers(0, 7)), max_size=5))
def test_equal_rows_give_equal_bytes_whatever_way_they_came(
    cuts: list[tuple[bool, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    total = sum(length for _, length in cuts)
    rows = [
        {"job": i, "phase": "uplink", "start_s": i / 2, "end_s": i + 1.0, "completed": i % 2 == 0, "bits": float(i)}
        | {"vehicle_j": 0.1 * i, "rsu_j": 0.0, "vehicle": f"v{i}", "rsu": "r"}
        for i in range(total)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "ROW_GROUP_ROWS", 3)
        one = Recorder(tmp_path_factory.mktemp("one"))
        one.add_rows("phases", rows)
        expected = one.finish()["phases"]
        mixed = Recorder(tmp_path_factory.mktemp("mixed"))
        at = 0
        for as_frame, length in cuts:
            if as_frame:
                mixed.add_frame(
                    "phases", pd.DataFrame(rows[at : at + length], columns=list(rows[0]) if rows else NAMES)
                )
            else:
                mixed.add_rows("phases", rows[at : at + length])
            at += length
        assert mixed.finish()["phases"] == expected
    assert expected.rows == total


NAMES = [c.name for c in TABLES["phases"].columns]


@pytest.mark.usefixtures("small_groups")
def test_rows_are_streamed_in_groups_of_fixed_size(tmp_path: Path, row_of: Rows) -> None:
    made = Recorder(tmp_path)
    made.add_rows("rsus", [row_of["rsus"]] * 8)
    made.finish()
    file = pq.ParquetFile(table_path(tmp_path, "rsus")).metadata
    assert [file.row_group(i).num_rows for i in range(file.num_row_groups)] == [3, 3, 2]


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="file/tables: cannot create the folder: Not a directory"):
        Recorder(tmp_path / "file")


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, row_of: Rows) -> None:
    """A limit on file size stands for the full disk: the system refuses the write in the same way."""
    made = Recorder(tmp_path)
    noise = np.random.default_rng(1).random((20_000, 4))
    frame = pd.DataFrame(noise, columns=["x_m", "y_m", "height_m", "range_m"]).assign(rsu="a")
    made.add_frame("rsus", frame)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(ResultsError, match=r"\.rsus\.parquet\.part: cannot write: .*File too large"):
            made.finish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "tables").iterdir()) == []
