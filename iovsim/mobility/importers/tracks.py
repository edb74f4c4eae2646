"""Tables, GPX and GeoJSON become batches of points as they stand in the file: a vehicle, a time in words, a place."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from iovsim.domain import FloatArray
from iovsim.errors import TraceError
from iovsim.mobility.importers.columns import resolve
from iovsim.mobility.importers.source import unpacked, unpacked_bytes
from iovsim.mobility.importers.table import csv_batches, csv_header

BATCH_ROWS = 65_536
GEOJSON_BYTES = 256 << 20


@dataclass(frozen=True, slots=True, eq=False)
class RawPoints:
    """Points of a file, an entry each: `vehicle` and `time` are texts, a missing number is NaN.

    `x, y` are longitude and latitude where `degrees`, else metres.
    """

    vehicle: pa.Array
    time: pa.Array
    x: FloatArray
    y: FloatArray
    speed_mps: FloatArray
    heading_deg: FloatArray
    degrees: bool


def table_points(path: Path, columns: Mapping[str, str]) -> tuple[dict[str, str], Iterator[RawPoints]]:
    """The columns of a table by their role, and its points. Without a column for the vehicle, the file's name is it.

    Columns that are numbers ("id=1,time=2") are counted from 1 in a file without a header.
    """
    header, delimiter = csv_header(path)
    headed = True
    if columns and all(name.isdecimal() for name in columns.values()):
        headed, header = False, [str(number) for number in range(1, len(header) + 1)]
    found = resolve(header, columns, str(path))
    return found, _table_batches(path, found, delimiter, header, headed)


def _table_batches(
    path: Path, columns: Mapping[str, str], delimiter: str, names: list[str], headed: bool
) -> Iterator[RawPoints]:
    texts = ("id", "time")
    types = {name: pa.string() if role in texts else pa.float64() for role, name in columns.items()}
    degrees = "lat" in columns

    def text(role: str, batch: pa.RecordBatch) -> pa.Array:
        return pc.utf8_trim_whitespace(batch.column(columns[role]))

    def numbers(role: str, batch: pa.RecordBatch) -> FloatArray:
        if role not in columns:
            return np.full(len(batch), np.nan)
        return np.asarray(batch.column(columns[role]).to_numpy(zero_copy_only=False), dtype=np.float64)

    for batch in csv_batches(path, types, delimiter, names, headed=headed):
        yield RawPoints(
            vehicle=text("id", batch) if "id" in columns else pa.array([stem(path)] * len(batch)),
            time=text("time", batch),
            x=numbers("lon" if degrees else "x", batch),
            y=numbers("lat" if degrees else "y", batch),
            speed_mps=numbers("speed", batch),
            heading_deg=numbers("heading", batch),
            degrees=degrees,
        )


def gpx_points(path: Path) -> Iterator[RawPoints]:
    """The points of all tracks of a GPX file; a track's name, or the file's name and its number, is the vehicle."""
    return _batches(_gpx_rows(path))


def geojson_points(path: Path, columns: Mapping[str, str]) -> Iterator[RawPoints]:
    """The points of a GeoJSON file, which is read at once: up to 256 MiB.

    Points have a time among their properties; lines have a list of times, one a corner, in the property "coordTimes"
    or "times". `columns` names the properties of the roles "id" and "time"; else usual names are looked for. A line
    without an id is named after the file and its number.
    """
    return _batches(_geojson_rows(path, columns))


def stem(path: Path) -> str:
    """A file's name without its endings."""
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]


Row = tuple[str, str | None, float, float]  # vehicle, time, longitude, latitude


def _batches(rows: Iterable[Row]) -> Iterator[RawPoints]:
    waiting: list[Row] = []
    for row in rows:
        waiting.append(row)
        if len(waiting) >= BATCH_ROWS:
            yield _of_rows(waiting)
            waiting = []
    if waiting:
        yield _of_rows(waiting)


def _of_rows(rows: list[Row]) -> RawPoints:
    vehicle, time, lon, lat = zip(*rows, strict=True)
    unknown = np.full(len(rows), np.nan)
    texts = pa.array(vehicle, pa.string()), pa.array(time, pa.string())
    return RawPoints(*texts, np.array(lon), np.array(lat), unknown, unknown, degrees=True)


def _gpx_rows(path: Path) -> Iterator[Row]:
    number, name = 0, ""
    stack: list[ET.Element] = []
    with unpacked(path) as file:
        try:
            for event, element in ET.iterparse(file, events=("start", "end")):
                tag = element.tag.rpartition("}")[2]
                if event == "start":
                    if not stack and tag != "gpx":
                        raise TraceError(f"{path}: not GPX; expected <gpx>, found <{tag}>.")
                    if tag == "trk":
                        number += 1
                        name = f"{stem(path)}-{number}"
                    stack.append(element)
                    continue
                stack.pop()
                if tag == "name" and stack[-1].tag.endswith("trk") and element.text:
                    name = element.text.strip()
                elif tag == "trkpt":
                    time = next((child.text for child in element if child.tag.endswith("time")), None)
                    yield name, time, float(element.get("lon", "nan")), float(element.get("lat", "nan"))
                    stack[-1].remove(element)
        except ET.ParseError as error:
            raise TraceError(f"{path}: broken XML ({error}), as where a file is cut short; repair it.") from None
        except ValueError as error:
            raise TraceError(f"{path}: a point of track {name!r} has no numbers for its place ({error}).") from None


def _geojson_rows(path: Path, columns: Mapping[str, str]) -> Iterator[Row]:
    content = unpacked_bytes(path, GEOJSON_BYTES, "write it as CSV, which is read in parts.")
    try:
        root = json.loads(content)
    except ValueError as error:
        raise TraceError(f"{path}: broken JSON ({error}), as where a file is cut short; repair it.") from None
    features = root.get("features") if isinstance(root, dict) else None
    if not isinstance(features, list):
        raise TraceError(f"{path}: not GeoJSON; expected a FeatureCollection with features.")
    for number, feature in enumerate(features, start=1):
        where = f"{path}, feature {number}"
        try:
            yield from _of_feature(feature, columns, f"{stem(path)}-{number}", where)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise TraceError(f"{where}: not as GeoJSON has it ({type(error).__name__}: {error}).") from None


def _of_feature(feature: Any, columns: Mapping[str, str], name: str, where: str) -> Iterator[Row]:
    properties: dict[str, Any] = feature.get("properties") or {}
    kind, places = feature["geometry"]["type"], feature["geometry"]["coordinates"]
    times: Any
    given = {role: column for role, column in columns.items() if role in ("id", "time")}
    if kind == "Point":
        found = resolve([*properties, "lon", "lat"], {**given, "lon": "lon", "lat": "lat"}, where)
        vehicle = properties.get(found.get("id", ""), name)
        places, times = [places], [properties[found["time"]]]
    elif kind in ("LineString", "MultiLineString"):
        nested = properties.get("coordinateProperties") or {}
        times = properties.get(given.get("time", "coordTimes")) or properties.get("times") or nested.get("times")
        if not times:
            raise TraceError(f"{where}: a line without times; expected a list of them in the property 'coordTimes'.")
        vehicle = properties.get(given.get("id", "id"), feature.get("id", name))
        if kind == "MultiLineString":
            places, times = [place for line in places for place in line], [time for part in times for time in part]
    else:
        raise TraceError(f"{where}: geometry {kind!r} is no track; allowed: Point, LineString, MultiLineString.")
    if len(places) != len(times):
        raise TraceError(f"{where}: {len(places)} corners, but {len(times)} times; one a corner is needed.")
    for place, time in zip(places, times, strict=True):
        yield str(vehicle), None if time is None else str(time), float(place[0]), float(place[1])
