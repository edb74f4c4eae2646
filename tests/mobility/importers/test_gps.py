"""Tracks of points: every form and order of a file gives the same samples; every wrong file one clear error."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from iovsim.errors import TraceError
from iovsim.mobility.importers import gps as gps_module
from iovsim.mobility.importers import segments as segments_module
from iovsim.mobility.importers import table as table_module
from iovsim.mobility.importers.cleaning import Cleaning
from iovsim.mobility.importers.gps import GpsOptions, read_gps
from iovsim.mobility.planes import utm_plane
from iovsim.mobility.samples import Repairs
from tests.mobility.importers.tables import Row, rows_of, write_csv

NOON = "2008-05-19T12:00:00Z"
NOON_S = 1_211_198_400
Point = tuple[str, int, float, float]  # vehicle, seconds after noon, lat, lon


def city(vehicles: int = 5, points: int = 20) -> list[Point]:
    """Vehicles that wander through San Francisco, sorted by vehicle."""
    rng = np.random.default_rng(7)
    found: list[Point] = []
    for number in range(vehicles):
        lat, lon, time = 37.76, -122.42, int(rng.integers(100))
        for _ in range(points):
            found.append((f"cab{number}", time, round(lat, 6), round(lon, 6)))
            lat, lon, time = lat + rng.normal(0, 1e-3), lon + rng.normal(0, 1e-3), time + int(rng.integers(20, 90))
    return found


def write(path: Path, points: list[Point], header: str = "id,time,lat,lon") -> Path:
    return write_csv(path, header, [(v, NOON_S + t, lat, lon) for v, t, lat, lon in points])


def read(path: Path, **options: object) -> tuple[list[Row], Repairs, list[str]]:
    repairs, told = Repairs(), list[str]()
    work = path.parent / "work"
    rows = rows_of(read_gps(path, repairs, GpsOptions(**options), work=work, told=told.append))  # type: ignore[arg-type]
    assert not list(work.iterdir()), "what was spilled must be gone"
    return rows, repairs, told


def test_positions_are_on_the_line_between_points(tmp_path: Path) -> None:
    points = city(vehicles=1)
    rows, repairs, told = read(write(tmp_path / "f.csv", points))
    x, y = utm_plane(-122.42, 37.76).metres(np.array([p[3] for p in points]), np.array([p[2] for p in points]))
    time_s = np.array([p[1] for p in points]) + 12 * 3600
    grid = np.arange(time_s[0], time_s[-1] + 1)
    assert [row[0] for row in rows] == grid.tolist()
    np.testing.assert_allclose([row[2] for row in rows], np.interp(grid, time_s, x), atol=1e-6)
    np.testing.assert_allclose([row[3] for row in rows], np.interp(grid, time_s, y), atol=1e-6)
    assert not repairs.counts
    assert told == [
        "columns: id=id, time=time, lat=lat, lon=lon",
        "times: s",
        "time 0: 2008-05-19T00:00:00+00:00",
        "plane: +proj=utm +zone=10 +datum=WGS84 +units=m +no_defs",
        "points: 20 of 1 vehicles",
    ]


@pytest.mark.parametrize("part_bytes", [1 << 20, 500])
def test_the_order_of_the_file_does_not_count(tmp_path: Path, part_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    points = city()
    expected = read(write(tmp_path / "a.csv", points))[0]
    assert len(expected) > 2000
    monkeypatch.setattr(gps_module, "PART_BYTES", part_bytes)
    monkeypatch.setattr(table_module, "BLOCK_BYTES", 1000)
    assert read(write(tmp_path / "b.csv", points))[0] == expected
    assert read(write(tmp_path / "c.csv", sorted(points, key=lambda p: p[1])))[0] == expected
    backwards, repairs, _ = read(write(tmp_path / "d.csv", points[::-1]))
    assert backwards == expected
    assert repairs.counts == {"points out of order": 95}


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sorted by vehicle, the worst order: ten times the vehicles, one after the other, take hardly more memory."""
    monkeypatch.setattr(gps_module, "PART_BYTES", 50_000)
    monkeypatch.setattr(table_module, "BLOCK_BYTES", 50_000)
    monkeypatch.setattr(segments_module, "RUN_ROWS", 2000)
    monkeypatch.setattr(segments_module, "READ_ROWS", 100)
    peaks = []
    for vehicles in (100, 1000):
        rows = ((f"v{v}", 3600 * (v // 50) + 60 * t, 10 * t, v) for v in range(vehicles) for t in range(50))
        path = write_csv(tmp_path / f"{vehicles}.csv", "id,time,x,y", rows)
        options = GpsOptions(step_s=10.0)
        tracemalloc.start()
        assert sum(len(batch) for batch in read_gps(path, Repairs(), options, work=tmp_path)) == vehicles * 295
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2.0 * peaks[0]


def test_every_form_gives_the_same(tmp_path: Path) -> None:
    points = city(vehicles=3)
    expected = read(write(tmp_path / "plain.csv", points))[0]
    (tmp_path / "packed.csv.gz").write_bytes(gzip.compress((tmp_path / "plain.csv").read_bytes()))
    iso = [(v, f"2008-05-19 {12 + t // 3600}:{t // 60 % 60:02}:{t % 60:02}", lat, lon) for v, t, lat, lon in points]
    write_csv(tmp_path / "iso.csv", "Taxi;Datetime;Latitude;Longitude".replace(";", ","), iso)
    (tmp_path / "semicolons.csv").write_text((tmp_path / "iso.csv").read_text().replace(",", ";"))
    write_csv(tmp_path / "ms.csv", "lat,lon,id,time", [(a, o, v, (NOON_S + t) * 1000) for v, t, a, o in points])
    names = sorted({p[0] for p in points})
    of = {name: [(iso[k], p) for k, p in enumerate(points) if p[0] == name] for name in names}
    tracks = "".join(
        f"<trk><name>{name}</name><trkseg>"
        + "".join(
            f'<trkpt lat="{p[2]}" lon="{p[3]}"><time>{i[1].replace(" ", "T")}Z</time></trkpt>' for i, p in of[name]
        )
        + "</trkseg></trk>"
        for name in names
    )
    (tmp_path / "tracks.gpx").write_text(f'<gpx xmlns="http://www.topografix.com/GPX/1/1">{tracks}</gpx>')
    lines = [
        {
            "type": "Feature",
            "properties": {"id": name, "coordTimes": [i[1] for i, _ in of[name]]},
            "geometry": {"type": "LineString", "coordinates": [[p[3], p[2], 10.0] for _, p in of[name]]},
        }
        for name in names
    ]
    dots = [
        {
            "type": "Feature",
            "properties": {"vehicle": p[0], "when": NOON_S + p[1]},
            "geometry": {"type": "Point", "coordinates": [p[3], p[2]]},
        }
        for p in points
    ]
    for name, features in (("lines", lines), ("dots", dots)):
        (tmp_path / f"{name}.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in names:
        write_csv(folder / f"{name}.txt", "time,lat,lon", [(NOON_S + t, a, o) for v, t, a, o in points if v == name])
    headless = tmp_path / "headless.csv"
    headless.write_text((tmp_path / "plain.csv").read_text().partition("\n")[2])
    columns = {"id": "1", "time": "2", "lat": "3", "lon": "4"}
    (tmp_path / "windows.csv").write_bytes(
        b"\xef\xbb\xbf"
        + (tmp_path / "plain.csv")
        .read_bytes()
        .replace(b"id,time", b'"id", time')
        .replace(b"\n", b"\r\n")
        .replace(b",", b", ")
    )
    for path, options in (
        (tmp_path / "windows.csv", {}),
        (tmp_path / "packed.csv.gz", {}),
        (tmp_path / "iso.csv", {}),
        (tmp_path / "semicolons.csv", {}),
        (tmp_path / "ms.csv", {}),
        (tmp_path / "tracks.gpx", {}),
        (tmp_path / "lines.geojson", {}),
        (tmp_path / "dots.geojson", {"columns": {"time": "when"}}),
        (folder, {}),
        (headless, {"columns": columns}),
    ):
        rows, repairs, _ = read(path, **options)
        assert [row[:2] for row in rows] == [row[:2] for row in expected], path.name
        np.testing.assert_allclose([r[2:] for r in rows], [r[2:] for r in expected], atol=1e-3, err_msg=path.name)
        assert not repairs.counts, path.name


def test_speed_and_heading_of_the_file_are_taken_where_they_are_mapped(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "f.csv", "t,x,y,v,h", [(0, 0, 0, 5, 80), (10, 100, 0, 15, 100), (20, 200, 0, "", "")])
    rows, _, told = read(path, columns={"speed": "v", "heading": "h"}, step_s=5.0)
    assert [row[4:] for row in rows] == [(5, 80), (10, 80), (15, 100), (12.5, 100), (10, 100)]
    assert "no column for the vehicle: every file is one, this one is 'f'" in told
    assert {row[1] for row in rows} == {"f"}


def test_begin_end_step_and_time_zone(tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", city(vehicles=2))
    whole = read(path, timezone="America/Los_Angeles")[0]
    assert whole[0][0] // 3600 == 5, "noon in London is 5 in San Francisco"
    begin, end = "2008-05-19T05:05:00", "2008-05-19T12:08:00Z"
    cut, _, told = read(path, timezone="America/Los_Angeles", begin=begin, end=end)
    assert cut == [row for row in whole if 5 * 3600 + 300 <= row[0] < 5 * 3600 + 480]
    assert "time 0: 2008-05-19T00:00:00-07:00" in told
    assert read(path, timezone="America/Los_Angeles", begin=str(5 * 3600 + 300), end=str(5 * 3600 + 480))[0] == cut
    assert read(path, timezone="America/Los_Angeles", step_s=2.0)[0] == [row for row in whole if row[0] % 2 == 0]
    tenths = read(path, timezone="America/Los_Angeles", step_s=0.1, begin=begin, end=end)[0]
    assert [row for row in tenths if row[0] == int(row[0])] == cut


def test_a_vehicle_vanishes_and_comes_back(tmp_path: Path) -> None:
    rows, repairs, _ = read(write_csv(tmp_path / "f.csv", "t,x,y", [(0, 0, 0), (3, 9, 0), (500, 9, 0), (502, 9, 9)]))
    assert [row[0] for row in rows] == [0, 1, 2, 3, 500, 501, 502]
    assert repairs.counts == {"gaps": 1}


def test_what_is_missing_is_counted(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "f.csv",
        "id,time,x,y",
        [("a", 0, 0, 0), ("a", "", 1, 1), ("", 2, 2, 2), ("a", 3, "nan", 3), ("a", 4, 40, 0)],
    )
    rows, repairs, _ = read(path)
    assert len(rows) == 5
    assert repairs.counts == {"points without time": 1, "points without vehicle": 1, "points without position": 1}


def test_swapped_points_and_points_far_off(tmp_path: Path) -> None:
    points = city(vehicles=2)
    spoilt = list(points)
    for at in (3, 9):
        spoilt[at] = (*spoilt[at][:2], spoilt[at][3], spoilt[at][2])
    spoilt.insert(20, ("cab0", 5000, 0.0, 0.0))
    rows, repairs, _ = read(write(tmp_path / "f.csv", spoilt))
    assert repairs.counts == {"swapped points": 2, "points outside the box": 1}
    assert rows == read(write(tmp_path / "g.csv", points))[0]
    inside = read(tmp_path / "g.csv", cleaning=Cleaning(box=(-122.4201, 37.7, -122.3, 37.8)))
    assert inside[1].counts["points outside the box"] > 0


def mistake(path: Path, match: str, **options: object) -> None:
    with pytest.raises(TraceError, match=match):
        read(path, **options)
    assert not list((path.parent / "work").iterdir())


def test_columns_and_coordinates_that_are_not_what_they_are_taken_for(tmp_path: Path) -> None:
    points = city()
    mistake(write(tmp_path / "a.csv", points, "id,time,lon,lat"), "latitude -122.42: the two are swapped")
    mistake(write(tmp_path / "b.csv", points, "id,time,y,x"), "look like degrees where metres.*lat=")
    metric = [(v, t, 5000.0 + 10 * t, 70_000.0 + t) for v, t, _, _ in points]
    mistake(write(tmp_path / "c.csv", metric, "id,time,lat,lon"), "these look like metres; map the columns as x and y")
    mistake(write(tmp_path / "d.csv", points, "cab,when,north,east"), "no column for lat and lon .* cab, when, north")
    west = [(v, t, -37.06 + (lat - 37.76), -10.9 + (lon + 122.42)) for v, t, lat, lon in points]
    box = Cleaning(box=(-38.0, -12.0, -36.0, -10.0))
    mistake(write(tmp_path / "e.csv", west), "most points have longitude and latitude swapped", cleaning=box)
    fast = [("a", t, 3000 * t, 0) for t in range(50)]
    mistake(write_csv(tmp_path / "g.csv", "id,time,x,y", fast), "most moves are faster than 70 m/s")


def test_times_that_are_not_what_they_are_taken_for(tmp_path: Path) -> None:
    often = write_csv(tmp_path / "a.csv", "t,x,y", [(100 * t, 1000 + t, 0) for t in range(200)])
    mistake(often, "times look like milliseconds that are read as seconds")
    assert len(read(often, time_unit="ms")[0]) == 20
    seldom = write_csv(tmp_path / "e.csv", "t,x,y", [(1000 * t, 1000 + 10 * t, 0) for t in range(20)])
    mistake(seldom, r"no vehicle is left to sample \(19 gaps, 20 lone points\); .* the unit of time")
    mistake(write(tmp_path / "b.csv", city()), "not in ms, that would be early in 1970", time_unit="ms")
    mistake(write_csv(tmp_path / "c.csv", "t,x,y", [("12:00", 0, 0)]), "not ISO 8601")
    mistake(write(tmp_path / "d.csv", city()), "no such zone", timezone="Mars/Olympus")


def test_files_that_are_broken(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    whole = write(tmp_path / "a.csv", city())
    packed = gzip.compress(whole.read_bytes())
    (tmp_path / "b.csv.gz").write_bytes(packed[: len(packed) // 2])
    mistake(tmp_path / "b.csv.gz", "b.csv.gz: damaged or cut short gzip")
    (tmp_path / "c.csv").touch()
    mistake(tmp_path / "c.csv", "an empty file")
    mistake(tmp_path / "gone.csv", "no such file")
    mistake(write_csv(tmp_path / "d.csv", "id,time,lat,lon", []), "holds no point with a time and a place")
    mistake(write_csv(tmp_path / "e.csv", "id,time,lat,lon", [("a", 1, "x", 3)]), "e.csv: .*'x'.*repair the row")
    mistake(write_csv(tmp_path / "f.csv", "id,time,lat,lon", [("a", 1, 2)]), "Expected 4 columns, got 3")
    (tmp_path / "g.gpx").write_text("<gpx><trk><trkseg><trkpt lat='1' lon='2'>")
    mistake(tmp_path / "g.gpx", "broken XML")
    (tmp_path / "h.geojson").write_text('{"features": [')
    mistake(tmp_path / "h.geojson", "broken JSON")
    (tmp_path / "i.geojson").write_text('{"features": [{"geometry": {"type": "Polygon", "coordinates": []}}]}')
    mistake(tmp_path / "i.geojson", "feature 1: geometry 'Polygon' is no track")
    line = {"properties": {}, "geometry": {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}}
    (tmp_path / "j.geojson").write_text(json.dumps({"features": [line]}))
    mistake(tmp_path / "j.geojson", "a line without times")
    (tmp_path / "folder").mkdir()
    mistake(tmp_path / "folder", "an empty folder")
    mistake(whole, r"begin 9 is not before end 5", begin="9", end="5")
    mistake(whole, "no vehicle is left to sample", begin="0", end="5")
    mistake(whole, "must be at least 0.001 s", step_s=0.0)


def test_geojson_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.setattr("iovsim.mobility.importers.tracks.GEOJSON_BYTES", 1 << 20)
    (tmp_path / "a.geojson").write_text('{"features": [' + " " * (1 << 20))
    mistake(tmp_path / "a.geojson", "holds more than 1 MiB, too much to read at once; write it as CSV")
