"""Our format: what is written is read again to the last digit, by pandas too; a broken-off writing stays a trace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iovsim.errors import TraceError
from iovsim.mobility.planes import Plane
from iovsim.mobility.samples import Samples
from iovsim.mobility.trace import Covered, Trace, write_trace
from iovsim.rng import stream

WAYS = ("folder", "one.parquet")


def batches(seed: int, steps: int, vehicles: int = 30, step_s: float = 1.0) -> Iterator[Samples]:
    """Vehicles that come and go, at places of two decimals; in no order within a step."""
    rng = stream(seed, "batches")
    for k in range(steps):
        here = rng.permutation(np.flatnonzero(rng.random(vehicles) < 0.7))
        x_m, y_m = np.round(rng.uniform(-2e4, 2e4, (2, len(here))), 2)
        speed_mps, angle_deg = np.round(rng.uniform(0, [[40], [360]], (2, len(here))), 2)
        yield Samples(np.full(len(here), 5.0 + k * step_s), [f"v{v}" for v in here], x_m, y_m, speed_mps, angle_deg)


def rows(samples: list[Samples]) -> list[tuple[float, str, float, float, float, float]]:
    return sorted(
        row
        for s in samples
        for row in zip(
            s.time_s.tolist(), s.vehicle, s.x_m.tolist(), s.y_m.tolist(), s.speed_mps.tolist(), s.angle_deg.tolist(),
            strict=True,
        )
    )  # fmt: skip


def held(trace: Trace, begin_s: float | None = None, end_s: float | None = None) -> list[tuple[object, ...]]:
    return [
        row
        for w in trace.windows(7.0, begin_s, end_s)
        for row in zip(
            w.time_s.tolist(),
            [w.names[v] for v in w.vehicle],
            w.x_m.tolist(),
            w.y_m.tolist(),
            w.speed_mps.tolist(),
            w.angle_deg.tolist(),
            strict=True,
        )
    ]


@pytest.mark.parametrize("way", WAYS)
@settings(derandomize=True, max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10**6),
    steps=st.integers(2, 40),
    step_s=st.sampled_from([0.1, 0.25, 1.0]),
    window_s=st.sampled_from([0.1, 1.0, 3.0, 100.0]),
)
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, way: str, seed: int, steps: int, step_s: float, window_s: float
) -> None:
    path = tmp_path_factory.mktemp("trace") / way
    given_ = list(batches(seed, steps, step_s=step_s))
    write_trace(path, given_, source="test", step_s=step_s, window_s=window_s)
    trace = Trace(path)
    assert held(trace) == [(round(t, 3), *rest) for t, *rest in rows(given_)]
    assert (trace.step_s, trace.complete) == (step_s, True)
    assert trace.rows == len(rows(given_))


@pytest.mark.parametrize("way", WAYS)
def test_a_part_of_the_time(tmp_path: Path, way: str) -> None:
    given_ = list(batches(1, 60))
    write_trace(tmp_path / way, given_, source="test", window_s=4.0)
    assert held(Trace(tmp_path / way), 11.5, 33.0) == [row for row in rows(given_) if 11.5 <= row[0] < 33.0]


@pytest.mark.parametrize("way", WAYS)
def test_pandas_alone_reads_it(tmp_path: Path, way: str) -> None:
    given_ = list(batches(2, 30))
    write_trace(tmp_path / way, given_, source="test", window_s=5.0)
    frame = pd.read_parquet(tmp_path / way)
    assert list(frame.columns) == ["time_ms", "vehicle", "x_cm", "y_cm", "speed_cmps", "angle_cdeg"]
    read = sorted(zip(frame["time_ms"] / 1000, frame["vehicle"].astype(str), frame["x_cm"] / 100, strict=True))
    assert read == [row[:3] for row in rows(given_)]


def test_two_writings_have_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        write_trace(tmp_path / name, batches(3, 20), source="test")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_window_ends_with_its_rows_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iovsim.mobility.trace.write.WINDOW_ROWS", 100)
    write_trace(tmp_path / "f", batches(4, 60), source="test")
    files = sorted((tmp_path / "f").iterdir())
    assert [100 <= pq.read_metadata(file).num_rows < 130 for file in files[:-1]] == [True] * (len(files) - 1)
    assert held(Trace(tmp_path / "f")) == rows(list(batches(4, 60)))


def breaking(samples: Iterator[Samples], error: BaseException) -> Iterator[Samples]:
    yield from samples
    raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt("stop"), TraceError("stop")])
def test_a_broken_off_folder_stays_a_trace(tmp_path: Path, error: BaseException) -> None:
    """Written are the windows that were whole: 23 steps of windows of 5 s give 20."""
    with pytest.raises(type(error), match="stop"):
        write_trace(tmp_path / "f", breaking(batches(4, 23), error), source="test", window_s=5.0)
    assert len(list((tmp_path / "f").iterdir())) == 4
    trace = Trace(tmp_path / "f")
    assert not trace.complete
    assert not trace.summary().complete
    assert held(trace) == rows(list(batches(4, 20)))


def test_parts_of_a_killed_writing_are_a_trace(tmp_path: Path) -> None:
    write_trace(tmp_path / "f", batches(4, 60), source="test", window_s=5.0)
    (tmp_path / "f" / "part-00011.parquet").unlink()
    trace = Trace(tmp_path / "f")
    assert (trace.complete, trace.end_s) == (False, 59.0)
    assert held(trace) == rows(list(batches(4, 55)))


def test_a_broken_off_file_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_trace(tmp_path / "t.parquet", breaking(batches(4, 23), KeyboardInterrupt()), source="test")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_part_is_told(tmp_path: Path) -> None:
    write_trace(tmp_path / "f", batches(4, 60), source="test", window_s=5.0)
    (tmp_path / "f" / "part-00001.parquet").unlink()
    with pytest.raises(TraceError, match="part 1 of the trace is missing"):
        Trace(tmp_path / "f")


def test_a_part_cut_short_is_told(tmp_path: Path) -> None:
    write_trace(tmp_path / "f", batches(4, 60), source="test", window_s=5.0)
    part = tmp_path / "f" / "part-00001.parquet"
    part.write_bytes(part.read_bytes()[:-50])
    with pytest.raises(TraceError, match=r"part-00001\.parquet: not a complete Parquet file"):
        Trace(tmp_path / "f")


def test_what_the_source_knows_is_kept(tmp_path: Path) -> None:
    known = Covered(begin_s=0.0, end_s=99.0, counts={"teleports": 3})
    write_trace(tmp_path / "t.parquet", batches(5, 9), source="who", net=False, covered=lambda: known)
    trace = Trace(tmp_path / "t.parquet")
    summary = trace.summary()
    assert (trace.begin_s, trace.end_s) == (0.0, 99.0)
    assert (summary.source, summary.net, summary.counts) == ("who", False, {"teleports": 3})


@pytest.mark.parametrize("way", WAYS)
def test_how_far_it_reaches_and_where_it_lies(tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what the files say of their columns; where they say nothing, by reading them."""
    plane = Plane("+proj=utm +zone=10", -5.0, 7.5)
    write_trace(tmp_path / way, batches(7, 30), source="test", window_s=5.0, covered=lambda: Covered(plane=plane))
    x_m, y_m = ([value for part in batches(7, 30) for value in getattr(part, axis).tolist()] for axis in ("x_m", "y_m"))
    trace = Trace(tmp_path / way)
    assert trace.plane == trace.summary().plane == plane
    assert trace.bounds() == (min(x_m), min(y_m), max(x_m), max(y_m))
    monkeypatch.setattr("iovsim.mobility.trace.read.column_range", lambda files, column: None)
    assert trace.bounds() == (min(x_m), min(y_m), max(x_m), max(y_m))


def one(time_s: float, vehicle: str = "v", x_m: float = 0.0) -> Samples:
    return Samples(np.array([time_s]), [vehicle], np.array([x_m]), np.zeros(1), np.zeros(1), np.zeros(1))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "there is no vehicle at any time to write"),
        ([one(3.0), one(2.0)], "runs backwards, by 1 s"),
        ([one(3.0), one(4.0), one(4.0, x_m=1.0)], "'v' has two rows at 4 s"),
        ([one(3.0), one(4.5)], r"samples lie 1\.5 s apart, which is no multiple of the step of 1 s"),
        ([one(3.0, x_m=float("nan"))], "is not a number"),
        ([one(3.0, x_m=1e9)], "are the coordinates metres"),
    ],
)
def test_samples_that_make_no_trace(tmp_path: Path, samples: list[Samples], message: str) -> None:
    with pytest.raises(TraceError, match=message):
        write_trace(tmp_path / "t.parquet", samples, source="test", step_s=1.0)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(TraceError, match="this folder is not empty"):
        write_trace(tmp_path, batches(1, 3), source="test")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TraceError, match="a folder without a trace"):
        Trace(tmp_path / "empty")


def test_another_version_is_told(tmp_path: Path) -> None:
    write_trace(tmp_path / "t.parquet", batches(1, 3), source="test")
    table = pq.read_table(tmp_path / "t.parquet")
    note = json.loads(pq.read_metadata(tmp_path / "t.parquet").metadata[b"iovsim.trace"])
    pq.write_table(
        table.replace_schema_metadata({b"iovsim.trace": json.dumps(note | {"version": 9}).encode()}),
        tmp_path / "u.parquet",
    )
    with pytest.raises(TraceError, match="format version 9, where this program knows 1"):
        Trace(tmp_path / "u.parquet")


def test_rows_out_of_order_are_put_in_order(tmp_path: Path) -> None:
    given_ = list(batches(6, 20))
    write_trace(tmp_path / "t.parquet", given_, source="test")
    table = pq.read_table(tmp_path / "t.parquet", read_dictionary=["vehicle"])
    note = pq.read_metadata(tmp_path / "t.parquet").metadata[b"iovsim.trace"]
    shuffled = table.take(stream(1, "rows").permutation(table.num_rows))
    pq.write_table(shuffled.replace_schema_metadata({b"iovsim.trace": note}), tmp_path / "u.parquet")
    assert held(Trace(tmp_path / "u.parquet")) == rows(given_)
