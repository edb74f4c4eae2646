"""SUMO's floating car data become samples: XML, CSV (both also gzipped) or Parquet, a batch of time steps at once.

Names are those of SUMO 1.28, https://sumo.dlr.de/docs/Simulation/Output/FCDOutput.html. Only vehicles count.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from iovsim.domain import FloatArray, IntArray
from iovsim.errors import TraceError
from iovsim.mobility.importers.plausible import check_degrees, check_metres, in_degrees
from iovsim.mobility.importers.records import BoolArray
from iovsim.mobility.importers.source import unpacked
from iovsim.mobility.importers.table import csv_batches, csv_header
from iovsim.mobility.planes import Plane, net_plane, utm_plane
from iovsim.mobility.samples import Repairs, Samples

COLUMNS = ("timestep_time", "vehicle_id", "vehicle_x", "vehicle_y", "vehicle_speed", "vehicle_angle")
BATCH_ROWS = 65_536

METRIC_ADVICE = "If SUMO wrote them with --fcd-output.geo, say so (--geographic), with --net for the net's own plane."
DEGREES_ADVICE = "Leave --geographic out; SUMO writes metres, with a warning, where the net has no projection."


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Rows as they stand in a file: `Samples` without their order."""

    time_s: FloatArray
    vehicle: np.ndarray[tuple[int], np.dtype[np.object_]]
    x: FloatArray
    y: FloatArray
    speed_mps: FloatArray
    angle_deg: FloatArray

    def chosen(self, rows: slice | BoolArray | IntArray) -> _Rows:
        return _Rows(*(getattr(self, field.name)[rows] for field in fields(self)))


def read_fcd(
    path: Path,
    repairs: Repairs,
    *,
    geographic: Plane | None = None,
    begin_s: float | None = None,
    end_s: float | None = None,
) -> Iterator[Samples]:
    """Yield the samples with `begin_s <= time_s < end_s`. One batch is in memory, however long the file.

    `geographic` turns degrees (`--fcd-output.geo`) into metres; None: the file holds metres. A vehicle's second row of
    a time and rows with a position, speed or angle that is no number are left out and counted.

    Raises `TraceError` for a file that is no FCD, is damaged or cut short, lacks an attribute, or has no vehicle, for
    time that runs backwards, and for degrees where metres are expected or the other way round.
    """
    first_s, stop_s = -np.inf if begin_s is None else begin_s, np.inf if end_s is None else end_s
    judged, empty = False, True
    for rows in _whole_steps(_rows(path, repairs), path):
        known = np.isfinite(rows.x) & np.isfinite(rows.y) & np.isfinite(rows.speed_mps) & np.isfinite(rows.angle_deg)
        repairs.count("rows without position, speed or angle", int((~known).sum()))
        _, code = np.unique(rows.vehicle.astype(str), return_inverse=True)
        order = np.lexsort((code, rows.time_s))
        order = order[known[order]]
        rows, code = rows.chosen(order), code[order]
        fresh = np.ones(len(code), dtype=bool)
        fresh[1:] = (np.diff(rows.time_s) > 0) | (np.diff(code) != 0)
        repairs.count("duplicates", int((~fresh).sum()))
        rows, code = rows.chosen(fresh), code[fresh]
        if not judged:
            check, advice = (check_degrees, DEGREES_ADVICE) if geographic else (check_metres, METRIC_ADVICE)
            judged = check(rows.time_s, code, rows.x, rows.y, str(path), advice)
        keep = (rows.time_s >= first_s) & (rows.time_s < stop_s)
        if keep.any():
            empty = False
            rows = rows.chosen(keep)
            x_m, y_m = geographic.metres(rows.x, rows.y) if geographic else (rows.x, rows.y)
            vehicle = rows.vehicle.tolist()
            yield Samples(rows.time_s, vehicle, x_m, y_m, rows.speed_mps, rows.angle_deg)
    if empty:
        raise TraceError(f"{path}: holds no vehicle between begin and end; check these, and the demand.")


def geographic_plane(path: Path, net: Path | None) -> Plane:
    """Where degrees of an FCD file are laid: the net's plane, else the UTM zone of its first vehicle.

    Raises `TraceError` as `read_fcd` does, and for a net without projection.
    """
    if net is not None:
        return net_plane(net)
    for rows in _rows(path, Repairs()):
        known = in_degrees(rows.x, rows.y)
        if known.any():
            return utm_plane(float(rows.x[known][0]), float(rows.y[known][0]))
        if len(rows.x):
            raise TraceError(
                f"{path}: position ({rows.x[0]:.6g}, {rows.y[0]:.6g}) is no longitude and latitude. {DEGREES_ADVICE}"
            )
    raise TraceError(f"{path}: holds no vehicle at any time; check the demand.")


def _whole_steps(batches: Iterator[_Rows], path: Path) -> Iterator[_Rows]:
    """The same rows, cut so that all rows of a time lie in one batch."""
    rest: _Rows | None = None
    for rows in batches:
        if rest is not None:
            rows = _Rows(*(np.concatenate([getattr(rest, f.name), getattr(rows, f.name)]) for f in fields(_Rows)))
        steps = np.diff(rows.time_s)
        if np.any(~(steps >= 0)):
            at = int(np.argmax(~(steps >= 0)))
            raise TraceError(
                f"{path}: time runs backwards, from {rows.time_s[at]:g} s to {rows.time_s[at + 1]:g} s; rows of FCD "
                f"must be sorted by time (as a table of points, with --kind gps, they are sorted here)."
            )
        cut = int(np.searchsorted(rows.time_s, rows.time_s[-1])) if len(rows.time_s) else 0
        if cut:
            yield rows.chosen(slice(0, cut))
        rest = rows.chosen(slice(cut, None))
    if rest is not None and len(rest.time_s):
        yield rest


def _rows(path: Path, repairs: Repairs) -> Iterator[_Rows]:
    if path.suffix == ".parquet":
        return (_of_table(batch, path) for batch in _parquet_batches(path))
    if path.name.removesuffix(".gz").endswith(".csv"):
        return (_of_table(batch, path) for batch in _csv_batches(path))
    return _of_xml(path, repairs)


def _parquet_batches(path: Path) -> Iterator[pa.RecordBatch]:
    if not path.is_file():
        raise TraceError(f"{path}: no such file; name an existing file of trajectories.")
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            _require(file.schema_arrow.names, path)
            yield from file.iter_batches(BATCH_ROWS, columns=list(COLUMNS))
    except (pa.ArrowException, OSError) as error:
        raise TraceError(f"{path}: damaged or cut short Parquet file ({error}); record it again.") from None


def _csv_batches(path: Path) -> Iterator[pa.RecordBatch]:
    header, delimiter = csv_header(path)
    _require(header, path)
    types = {name: pa.string() if name == "vehicle_id" else pa.float64() for name in COLUMNS}
    yield from csv_batches(path, types, delimiter, header, headed=True)


def _require(found: list[str], path: Path) -> None:
    missing = [name for name in COLUMNS if name not in found]
    if missing:
        raise TraceError(
            f"{path}: column(s) {', '.join(missing)} missing, found {', '.join(found)}; record FCD with "
            f"--fcd-output.attributes x,y,speed,angle, or read a table of points with --kind gps and --map-columns."
        )


def _of_table(batch: pa.RecordBatch, path: Path) -> _Rows:
    batch = batch.filter(batch.column("vehicle_id").is_valid())  # steps without a vehicle have a row of their own
    time_s, x, y, speed, angle = (
        batch.column(name).to_numpy(zero_copy_only=False).astype(np.float64) for name in COLUMNS if name != "vehicle_id"
    )
    vehicle = np.asarray(batch.column("vehicle_id").to_numpy(zero_copy_only=False), dtype=object)
    return _Rows(time_s, vehicle, x, y, speed, angle)


def _of_xml(path: Path, repairs: Repairs) -> Iterator[_Rows]:
    """The rows of an `<fcd-export>`; every step is forgotten once it is read."""
    rows: list[tuple[float, str, float, float, float, float]] = []
    root: ET.Element | None = None
    with unpacked(path) as file:
        try:
            for event, element in ET.iterparse(file, events=("start", "end")):
                if root is None:
                    root = element
                    if root.tag != "fcd-export":
                        raise TraceError(f"{path}: not SUMO's FCD; expected <fcd-export>, found <{root.tag}>.")
                if event == "end" and element.tag == "timestep":
                    rows += _of_step(element, path)
                    repairs.count("persons left out", sum(1 for _ in element.iterfind("person")))
                    root.clear()
                    if len(rows) >= BATCH_ROWS:
                        yield _of_list(rows)
                        rows = []
        except ET.ParseError as error:
            line, column = error.position
            raise TraceError(
                f"{path}, line {line}, column {column + 1}: broken XML ({error.msg.split(':')[0]}), as where a run was "
                f"killed; record it again."
            ) from None
    if rows:
        yield _of_list(rows)


def _of_step(step: ET.Element, path: Path) -> Iterator[tuple[float, str, float, float, float, float]]:
    time = step.get("time", "")
    try:
        time_s = float(time)
    except ValueError:
        raise TraceError(f"{path}: time {time!r} is not seconds; record without --human-readable-time.") from None
    for vehicle in step.iterfind("vehicle"):
        given = vehicle.attrib
        try:
            yield (
                time_s,
                given["id"],
                float(given["x"]),
                float(given["y"]),
                float(given["speed"]),
                float(given["angle"]),
            )
        except KeyError as error:
            raise TraceError(
                f"{path}: a vehicle at {time} s has no {error}, only {', '.join(given)}; record FCD with "
                f"--fcd-output.attributes x,y,speed,angle."
            ) from None
        except ValueError as error:
            raise TraceError(f"{path}: vehicle {given.get('id')!r} at {time} s: {error}.") from None


def _of_list(rows: list[tuple[float, str, float, float, float, float]]) -> _Rows:
    time_s, vehicle, x, y, speed, angle = zip(*rows, strict=True)
    numbers = (np.array(column, dtype=np.float64) for column in (x, y, speed, angle))
    return _Rows(np.array(time_s, dtype=np.float64), np.array(vehicle, dtype=object), *numbers)
