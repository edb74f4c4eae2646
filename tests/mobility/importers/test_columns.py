"""Which column is what: by mapping, by usual names; and kinds of files by their content."""

from __future__ import annotations

from pathlib import Path

import pytest

from iovsim.errors import TraceError
from iovsim.mobility.importers.columns import parse_columns, resolve
from iovsim.mobility.importers.kinds import kind_named, kind_of


@pytest.mark.parametrize(
    ("header", "given", "found"),
    [
        ("taxi_id,unix_time,lat,lon,occupied", {}, {"id": "taxi_id", "time": "unix_time", "lat": "lat", "lon": "lon"}),
        (
            "Latitude,Longitude,Track_ID,Time",
            {},
            {"id": "Track_ID", "time": "Time", "lat": "Latitude", "lon": "Longitude"},
        ),
        ("t,x,y,lat,lon", {}, {"time": "t", "lat": "lat", "lon": "lon"}),
        ("t,x,y,lat,lon", {"x": "x", "y": "y"}, {"time": "t", "x": "x", "y": "y"}),
        ("a,b,c", {"time": "c", "x": "a", "y": "b"}, {"time": "c", "x": "a", "y": "b"}),
        ("time,when,x,y", {"time": "when"}, {"time": "when", "x": "x", "y": "y"}),
        ("time,x,y,speed", {}, {"time": "time", "x": "x", "y": "y"}),
    ],
)
def test_roles(header: str, given: dict[str, str], found: dict[str, str]) -> None:
    assert resolve(header.split(","), given, "f") == found


@pytest.mark.parametrize(
    ("header", "given", "match"),
    [
        ("id,when,lat,lon", {}, r"no column for time among id, when, lat, lon; .*--map-columns"),
        ("id,time,lat", {}, r"no column for lat and lon \(or x and y\) among"),
        ("id,time,timestamp,lat,lon", {}, "time could be time or timestamp; say which"),
        ("id,id,time,lat,lon", {"id": "id"}, "several columns are called 'id'"),
        ("taxi,time,lat,lon", {"id": "taxi_id"}, "no column 'taxi_id' for id; did you mean 'taxi'"),
    ],
)
def test_roles_that_cannot_be_told(header: str, given: dict[str, str], match: str) -> None:
    with pytest.raises(TraceError, match=match):
        resolve(header.split(","), given, "f")


def test_mapping_in_words() -> None:
    assert parse_columns("id=taxi_id, time = unix time") == {"id": "taxi_id", "time": "unix time"}
    with pytest.raises(TraceError, match="no role 'tim'; did you mean 'time'"):
        parse_columns("tim=a")
    with pytest.raises(TraceError, match="write role=column"):
        parse_columns("taxi_id")


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("a", '<?xml version="1.0"?>\n<!-- by <b> -->\n<fcd-export xmlns:x="y">', "fcd"),
        ("a", "<gpx>", "gps"),
        ("a", "timestep_time;vehicle_id;vehicle_x", "fcd"),
        ("a", "id,time,lat,lon\n", "gps"),
        ("a", '{"type": "FeatureCollection"}', "gps"),
        ("a", "# made by setdest\n$node_(0) set X_ 1.0\n", "ns2"),
        ("a.parquet", "PAR1", "fcd"),
    ],
)
def test_kinds_by_content(tmp_path: Path, name: str, text: str, kind: str) -> None:
    (tmp_path / name).write_text(text)
    assert kind_of(tmp_path / name) == kind
    assert kind_of(tmp_path) == "gps"


def test_kinds_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "net.xml").write_text("<net version='1'>")
    with pytest.raises(TraceError, match="XML of another kind; expected <fcd-export> or <gpx>, found <net>"):
        kind_of(tmp_path / "net.xml")
    (tmp_path / "binary").write_bytes(b"\x89PNG\0\0")
    with pytest.raises(TraceError, match="binary: not a text"):
        kind_of(tmp_path / "binary")
    with pytest.raises(TraceError, match=r"--kind 'gpx': .*'gps'"):
        kind_named("gpx")
    (tmp_path / "empty").touch()
    with pytest.raises(TraceError, match="an empty file"):
        kind_of(tmp_path / "empty")
    with pytest.raises(TraceError, match=r"gone: no such file"):
        kind_of(tmp_path / "gone")
