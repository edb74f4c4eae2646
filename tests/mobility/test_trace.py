"""The trace reader: values, windows, and one clear error for each kind of broken file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from iovsim.errors import TraceError
from iovsim.mobility.trace import Trace, TraceWindow, fcd

NAMES = ["timestep_time", "vehicle_id", "vehicle_x", "vehicle_y", "vehicle_angle", "vehicle_speed"]
Row = tuple[float, str | None, float | None, float | None, float, float]


def write(path: Path, rows: list[Row], names: list[str] = NAMES) -> Path:
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in names]
    kinds = (pa.float64(), pa.string(), pa.float64(), pa.float64(), pa.float64(), pa.float64())
    arrays = [pa.array(column, type=kind) for column, kind in zip(columns, kinds, strict=True)]
    pq.write_table(pa.table(dict(zip(names, arrays, strict=True))), path, row_group_size=7)
    return path


def many(steps: int = 40) -> list[Row]:
    """Vehicles that come and go; ids whose order as text differs from their order as numbers."""
    return [
        (float(t), str(v), 10.0 * t + v, -5.0 * v, 90.0, 10.0)
        for t in range(steps)
        for v in sorted(range(25), key=str)
        if (t + v) % 7 and v <= t
    ]


def joined(windows: list[TraceWindow]) -> list[tuple[float, str, float, float, float, float]]:
    return [
        (float(t), w.names[v], float(x), float(y), float(vx), float(vy))
        for w in windows
        for t, v, x, y, vx, vy in zip(w.time_s, w.vehicle, w.x_m, w.y_m, w.vx_mps, w.vy_mps, strict=True)
    ]


def test_angles_are_clockwise_from_north(tmp_path: Path) -> None:
    rows: list[Row] = [
        (0.0, "n", 0, 0, 0, 2),
        (0.0, "o", 0, 0, 90, 2),
        (1.0, "n", 0, 2, 180, 2),
        (1.0, "o", 2, 0, 270, 2),
    ]
    (window,) = Trace(write(tmp_path / "t.parquet", rows)).windows()
    np.testing.assert_allclose(window.vx_mps, [0, 2, 0, -2], atol=1e-12)
    np.testing.assert_allclose(window.vy_mps, [2, 0, -2, 0], atol=1e-12)


def test_limits_and_summary(tmp_path: Path) -> None:
    rows: list[Row] = [
        (0.0, None, None, None, 0, 0),
        (0.5, "a", 1, 2, 90, 4),
        (1.0, "a", 3, 2, 90, 4),
        (1.0, "b", 9, 9, 0, 1),
    ]
    rows.append((1.5, None, None, None, 0, 0))
    trace = Trace(write(tmp_path / "t.parquet", rows))
    assert (trace.begin_s, trace.end_s, trace.step_s, trace.rows) == (0.0, 1.5, 0.5, 3)
    summary = trace.summary()
    assert (summary.vehicles, summary.peak_vehicles, summary.vehicle_s) == (2, 2, 1.5)
    assert summary.mean_speed_mps == pytest.approx(3.0)
    assert summary.bytes == (tmp_path / "t.parquet").stat().st_size


@pytest.mark.parametrize("window_s", [0.3, 1.0, 7.0, 1000.0])
@pytest.mark.parametrize("batch_rows", [1, 5, 10_000])
def test_windows_hold_each_row_once_in_order(
    tmp_path: Path, window_s: float, batch_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcd, "BATCH_ROWS", batch_rows)
    rows = many()
    windows = list(Trace(write(tmp_path / "t.parquet", rows)).windows(window_s))
    expected = sorted((t, v, x, y) for t, v, x, y, _, _ in rows)
    assert [row[:4] for row in joined(windows)] == expected
    for window in windows:
        assert window.begin_s <= window.time_s[0]
        assert window.time_s[-1] < window.end_s
        assert [time_s for time_s, _ in window.steps()] == sorted(set(window.time_s.tolist()))


def test_windows_of_a_part(tmp_path: Path) -> None:
    rows = many()
    windows = list(Trace(write(tmp_path / "t.parquet", rows)).windows(4.0, begin_s=11.5, end_s=20.0))
    assert [row[:4] for row in joined(windows)] == sorted((t, v, x, y) for t, v, x, y, _, _ in rows if 11.5 <= t < 20)
    assert windows[0].begin_s == 11.5


def test_rows_unsorted_within_a_step_and_dictionary_ids(tmp_path: Path) -> None:
    plain = write(tmp_path / "t.parquet", many())
    table = pq.read_table(plain)
    order = np.lexsort((-np.arange(table.num_rows), table["timestep_time"].to_numpy()))
    shuffled = table.take(order).set_column(1, "vehicle_id", table.take(order)["vehicle_id"].dictionary_encode())
    pq.write_table(shuffled, tmp_path / "u.parquet")
    assert joined(list(Trace(tmp_path / "u.parquet").windows(9.0))) == joined(list(Trace(plain).windows(9.0)))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"gone\.parquet: no such file"):
        Trace(tmp_path / "gone.parquet")


def test_not_parquet(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_text("<fcd-export/>")
    with pytest.raises(
        TraceError, match=r"t\.parquet: not a Parquet file, as traces are; `iovsim trace import` makes one"
    ):
        Trace(path)


def test_cut_short(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", many())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TraceError, match="not a complete Parquet file"):
        Trace(path)


def test_damaged_inside(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", many())
    data = bytearray(path.read_bytes())
    data[4:2000] = bytes(1996)
    path.write_bytes(data)
    with pytest.raises(TraceError, match="damaged Parquet file"):
        Trace(path)


def test_missing_column(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", many(), [*NAMES[:4], "vehicle_angel", "vehicle_speed"])
    with pytest.raises(TraceError, match=r"column\(s\) vehicle_angle missing"):
        Trace(path)


@pytest.mark.parametrize("rows", [[], [(0.0, None, None, None, 0.0, 0.0), (1.0, None, None, None, 0.0, 0.0)]])
def test_no_vehicles(tmp_path: Path, rows: list[Row]) -> None:
    with pytest.raises(TraceError, match="holds no vehicle"):
        Trace(write(tmp_path / "t.parquet", rows))


def test_time_runs_backwards(tmp_path: Path) -> None:
    rows: list[Row] = [(0.0, "a", 0, 0, 0, 0), (5.0, "a", 0, 0, 0, 0), (4.0, "a", 0, 0, 0, 0)]
    with pytest.raises(TraceError, match="time runs backwards, from 5 s to 4 s"):
        Trace(write(tmp_path / "t.parquet", rows))


def test_time_off_the_grid(tmp_path: Path) -> None:
    rows: list[Row] = [(t, "a", 0, 0, 0, 0) for t in (0.0, 1.0, 2.4)]
    with pytest.raises(TraceError, match=r"not multiples of one step.*1 s and 1\.4 s"):
        Trace(write(tmp_path / "t.parquet", rows))


def test_single_instant(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="a single instant"):
        Trace(write(tmp_path / "t.parquet", [(3.0, "a", 0, 0, 0, 0)]))


@pytest.mark.parametrize("column", [2, 3, 4, 5])
def test_not_a_number(tmp_path: Path, column: int) -> None:
    rows = many()
    bad = list(rows[50])
    bad[column] = float("nan")
    rows[50] = tuple(bad)  # type: ignore[assignment]
    trace = Trace(write(tmp_path / "t.parquet", rows))
    with pytest.raises(TraceError, match=f"column {NAMES[column]} holds a value that is not a number"):
        list(trace.windows())


def test_vehicle_twice_at_one_time(tmp_path: Path) -> None:
    rows: list[Row] = [(0.0, "a", 0, 0, 0, 0), (1.0, "a", 0, 0, 0, 0), (1.0, "a", 1, 0, 0, 0)]
    with pytest.raises(TraceError, match="'a' has two rows at 1 s"):
        list(Trace(write(tmp_path / "t.parquet", rows)).windows())


def test_the_same_row_twice_counts_once(tmp_path: Path) -> None:
    rows: list[Row] = [(0.0, "a", 0, 0, 0, 0), (1.0, "a", 0, 0, 0, 0), (1.0, "a", 0, 0, 0, 0)]
    summary = Trace(write(tmp_path / "t.parquet", rows)).summary()
    assert (summary.rows, str(summary.repairs)) == (2, "1 duplicate samples")


def test_jumps_and_returns_are_counted(tmp_path: Path) -> None:
    """Faster than 100 m/s, plus 10 m, is a jump; a vehicle without a row at the next step has left."""
    rows: list[Row] = [(float(t), "stays", 109.0 * t, 0, 0, 0) for t in range(6)]
    rows += [(0.0, "jumps", 0, 0, 0, 0), (1.0, "jumps", 0, 111, 0, 0)]
    rows += [(1.0, "back", 0, 0, 0, 0), (4.0, "back", 900, 0, 0, 0)]
    path = write(tmp_path / "t.parquet", sorted(rows, key=lambda row: row[:2]))
    assert Trace(path).summary().repairs.counts == {"jumps": 1, "vehicles that vanish and come back": 1}
    assert Trace(path, jump_mps=102.0).summary().repairs.counts == {"vehicles that vanish and come back": 1}
