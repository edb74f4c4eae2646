"""Cutting, merging, thinning out and exporting traces; what is exported is what SUMO itself would have written."""

from __future__ import annotations

import gzip
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from iovsim.errors import TraceError
from iovsim.mobility.samples import Samples
from iovsim.mobility.trace import Trace, write_trace
from iovsim.mobility.trace.edit import cut, cut_times, merge, sample
from iovsim.mobility.trace.export import export

Row = tuple[float, str, float, float]


def make(folder: Path, name: str, begin_s: float = 0.0, steps: int = 130, step_s: float = 1.0) -> Trace:
    """Forty vehicles side by side that drive east at 10 m/s, each from its own step on."""
    batches = [
        Samples(
            np.full(40, begin_s + k * step_s)[: k + 1],
            [f"v&{v}" for v in range(40)][: k + 1],
            10.0 * (k * step_s - np.arange(40.0))[: k + 1],
            np.arange(40.0)[: k + 1] * 2,
            np.full(40, 10.0)[: k + 1],
            np.full(40, 90.0)[: k + 1],
        )
        for k in range(steps)
    ]
    write_trace(folder / name, batches, source="test", step_s=step_s)
    return Trace(folder / name)


def rows(samples: list[Samples]) -> list[Row]:
    for one, other in pairwise(samples):
        assert len(one) == 0 or len(other) == 0 or one.time_s[-1] < other.time_s[0]
    return [
        row for s in samples for row in zip(s.time_s.tolist(), s.vehicle, s.x_m.tolist(), s.y_m.tolist(), strict=True)
    ]


def everything(trace: Trace) -> list[Row]:
    return rows(list(cut(trace)))


def test_a_cut_keeps_what_is_inside(tmp_path: Path) -> None:
    trace = make(tmp_path, "a.parquet")
    found = rows(list(cut(trace, 50, 100, (100, 10, 600, 40))))
    expected = [r for r in everything(trace) if 50 <= r[0] < 100 and 100 <= r[2] <= 600 and 10 <= r[3] <= 40]
    assert found == expected
    assert len(found) > 100
    covered = cut_times(trace, 49.5, 100.0)
    assert (covered.begin_s, covered.end_s) == (50.0, 99.0)
    assert cut_times(trace, None, None).end_s == trace.end_s


def test_a_sample_takes_the_same_vehicles_whatever_else_is_there(tmp_path: Path) -> None:
    trace = make(tmp_path, "a.parquet")
    some = rows(list(sample(trace, share=0.5, seed=3)))
    names = {name for _, name, *_ in some}
    assert 8 < len(names) < 32
    assert some == [row for row in everything(trace) if row[1] in names]
    write_trace(tmp_path / "cut.parquet", cut(trace, box=(-1e9, 20, 1e9, 1e9)), source="test", step_s=1.0)
    fewer = {name for _, name, *_ in rows(list(sample(Trace(tmp_path / "cut.parquet"), share=0.5, seed=3)))}
    assert fewer == {name for name in names if 2 * int(name[2:]) >= 20}


def test_a_sample_takes_fewer_steps(tmp_path: Path) -> None:
    trace = make(tmp_path, "a.parquet", begin_s=7.0)
    assert rows(list(sample(trace, step_s=3.0))) == [r for r in everything(trace) if (r[0] - 7.0) % 3 == 0]
    for step_s in (1.5, 0.5):
        with pytest.raises(TraceError, match="is no multiple of the trace's 1 s"):
            list(sample(trace, step_s=step_s))
    with pytest.raises(TraceError, match="must be above 0 and at most 1"):
        list(sample(trace, share=0.0))


@pytest.mark.parametrize("align", [False, True])
def test_a_merge_holds_all(tmp_path: Path, align: bool) -> None:
    a, b = make(tmp_path, "a.parquet", begin_s=70.0), make(tmp_path, "b.parquet", begin_s=5.0, steps=50)
    merged = rows(list(merge([a, b], align=align)))
    shift_s = 65.0 if align else 0.0
    expected = [(t, f"0:{v}", x, y) for t, v, x, y in everything(a)]
    expected += [(t + shift_s, f"1:{v}", x, y) for t, v, x, y in everything(b)]
    assert sorted(merged) == sorted(expected)


def test_what_does_not_fit_is_not_merged(tmp_path: Path) -> None:
    a = make(tmp_path, "a.parquet", steps=10)
    with pytest.raises(TraceError, match=r"b\.parquet: has a step of 0\.5 s"):
        list(merge([a, make(tmp_path, "b.parquet", steps=10, step_s=0.5)]))
    with pytest.raises(TraceError, match="merging needs the same times"):
        list(merge([a, make(tmp_path, "c.parquet", steps=10, begin_s=0.4)]))


def test_exported_parquet_is_the_same_trace(tmp_path: Path) -> None:
    trace = make(tmp_path, "a.parquet", step_s=0.5)
    export(trace, tmp_path / "fcd.parquet")
    again = Trace(tmp_path / "fcd.parquet")
    assert everything(again) == everything(trace)
    assert again.step_s == 0.5


@pytest.mark.parametrize("name", ["fcd.xml", "fcd.xml.gz"])
def test_exported_xml_is_sumos(tmp_path: Path, name: str) -> None:
    trace = make(tmp_path, "a.parquet")
    export(trace, tmp_path / name)
    data = (tmp_path / name).read_bytes()
    root = ET.fromstring(gzip.decompress(data) if name.endswith(".gz") else data)
    found = [
        (float(step.get("time", "")), v.get("id", ""), float(v.get("x", "")), float(v.get("y", "")))
        for step in root
        for v in step
    ]
    assert found == everything(trace)
    assert {v.get("angle") for step in root for v in step} == {"90.00"}


@pytest.mark.parametrize(
    ("kind", "separator", "names"),
    [("fcd-csv", ";", ("timestep_time", "vehicle_id", "vehicle_x")), (None, ",", ("time_s", "vehicle", "x_m"))],
)
def test_exported_csv(tmp_path: Path, kind: str | None, separator: str, names: tuple[str, str, str]) -> None:
    trace = make(tmp_path, "a.parquet")
    export(trace, tmp_path / "t.csv", kind)
    frame = pd.read_csv(tmp_path / "t.csv", sep=separator)
    assert list(zip(*(frame[name] for name in names), strict=True)) == [row[:3] for row in everything(trace)]


def test_an_unknown_format_is_told(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="did you mean 'fcd-xml'"):
        export(make(tmp_path, "a.parquet", steps=3), tmp_path / "x.txt", "fcdxml")
    assert not (tmp_path / "x.txt").exists()
