"""Files of tracks become one stream of points, coded by vehicle; what is known of all of them is kept beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from iovsim.domain import IntArray
from iovsim.errors import TraceError
from iovsim.mobility.importers.plausible import in_degrees
from iovsim.mobility.importers.records import POINT, Records
from iovsim.mobility.importers.source import head
from iovsim.mobility.importers.times import MISSING_MS, TimeUnit, to_ms, unit_of
from iovsim.mobility.importers.tracks import RawPoints, geojson_points, gpx_points, stem, table_points
from iovsim.mobility.samples import Repairs

MOST_WRONG = 0.5
"""Above this share of points that are no places, not the receiver is wrong, but how the file is read."""


@dataclass(slots=True)
class Gathered:
    """What is known of all points once they are spilled."""

    names: list[str] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)
    middles: list[tuple[float, float]] = field(default_factory=list)  # medians of x and y, one pair a batch
    first_ms: int | None = None
    degrees: bool | None = None
    unit: TimeUnit = "auto"

    def middle(self) -> tuple[float, float]:
        """About the median place: the median of the batches' medians."""
        x, y = np.median(np.array(self.middles), axis=0).tolist()
        return x, y


def files_of(path: Path) -> list[Path]:
    """A file, or all files of a folder but hidden ones. Raises `TraceError` where there is nothing to read."""
    if not path.is_dir():
        head(path)  # tells what is wrong with it
        return [path]
    files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    if not files:
        raise TraceError(f"{path}: an empty folder; name one that holds files of tracks.")
    return files


def gather(
    files: list[Path],
    columns: Mapping[str, str],
    time_unit: TimeUnit,
    timezone: str,
    gathered: Gathered,
    repairs: Repairs,
    told: Callable[[str], None],
) -> Iterator[Records]:
    """Every file's points with a vehicle, a time and a place, as `POINT`; what is known of all goes to `gathered`."""
    for file in files:
        for raw in _raw_points(file, columns, told if file == files[0] else unheard):
            if gathered.degrees is None:
                gathered.degrees = raw.degrees
                gathered.unit = unit_of(raw.time, str(file)) if time_unit == "auto" else time_unit
                told(f"times: {'ISO 8601' if gathered.unit == 'iso' else gathered.unit}")
            if raw.degrees != gathered.degrees:
                raise TraceError(f"{file}: degrees and metres in one folder; import them one by one.")
            yield _known(raw, gathered, repairs, timezone, str(file))


def _raw_points(file: Path, given: Mapping[str, str], told: Callable[[str], None]) -> Iterator[RawPoints]:
    start = head(file).lstrip()
    if start.startswith("<"):
        return gpx_points(file)
    if start.startswith("{"):
        return geojson_points(file, given)
    columns, points = table_points(file, given)
    told("columns: " + ", ".join(f"{role}={name}" for role, name in columns.items()))
    if "id" not in columns:
        told(f"no column for the vehicle: every file is one, this one is {stem(file)!r}")
    return points


def _known(raw: RawPoints, gathered: Gathered, repairs: Repairs, timezone: str, where: str) -> Records:
    time_ms = to_ms(raw.time, gathered.unit, timezone, where)
    timed = time_ms != MISSING_MS
    named = np.asarray(raw.vehicle.is_valid())
    placed = np.isfinite(raw.x) & np.isfinite(raw.y)
    repairs.count("points without time", int((~timed).sum()))
    repairs.count("points without vehicle", int((timed & ~named).sum()))
    repairs.count("points without position", int((timed & named & ~placed).sum()))
    keep = timed & named & placed
    points = np.empty(int(keep.sum()), dtype=POINT)
    if len(points) == 0:
        return points
    points["vehicle"] = _codes(raw.vehicle.filter(pa.array(keep)), gathered)
    points["time_ms"] = time_ms[keep]
    points["x"], points["y"] = raw.x[keep], raw.y[keep]
    points["speed_mps"], points["heading_deg"] = raw.speed_mps[keep], raw.heading_deg[keep]
    if raw.degrees:
        _check_degrees(points, where)
    gathered.middles.append((float(np.median(points["x"])), float(np.median(points["y"]))))
    first_ms = int(points["time_ms"].min())
    gathered.first_ms = first_ms if gathered.first_ms is None else min(first_ms, gathered.first_ms)
    return points


def _codes(vehicle: pa.Array, gathered: Gathered) -> IntArray:
    """The vehicles' places in the list of names; new names are added in the order of appearance."""
    encoded = vehicle.dictionary_encode()
    for name in encoded.dictionary.to_pylist():
        if name not in gathered.codes:
            gathered.codes[name] = len(gathered.names)
            gathered.names.append(name)
    table = np.array([gathered.codes[name] for name in encoded.dictionary.to_pylist()], dtype=np.int64)
    codes: IntArray = table[encoded.indices.to_numpy(zero_copy_only=False)]
    return codes


def _check_degrees(points: Records, where: str) -> None:
    """Refuse a batch most of whose points are no longitudes and latitudes."""
    wrong = ~in_degrees(points["x"], points["y"])
    if wrong.mean() <= MOST_WRONG:
        return
    point = points[np.argmax(wrong)]
    found = f"{where}: longitude {point['x']:.6g} and latitude {point['y']:.6g}: "
    if in_degrees(points["y"], points["x"]).mean() > MOST_WRONG:
        raise TraceError(f"{found}the two are swapped; exchange them in --map-columns.")
    raise TraceError(f"{found}these look like metres; map the columns as x and y: --map-columns x=...,y=...")


def unheard(line: str) -> None:
    """Nobody listens."""
