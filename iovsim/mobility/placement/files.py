"""A file becomes sites: a CSV table or GeoJSON of RSUs, or a register of cell sites as OpenCelliD publishes it.

| what | holds |
|---|---|
| CSV with `x_m`, `y_m` | RSUs in metres of the map; `name`, `range_m` and `height_m` as one likes |
| CSV with `lon`, `lat` | the same in degrees (WGS84), which the map's projection turns into metres |
| GeoJSON (RFC 7946) | points in degrees; the same names among their properties |
| OpenCelliD CSV | known by its columns; base stations on the map, those with most measurements first |

A list of RSUs is meant as it stands, so one outside the map is a mistake. A register is of a whole region: of it the
base stations on the map are taken. A base station of LTE has several cells, one a sector and carrier, whose 28-bit
identities begin with the station's 20 bits (3GPP TS 23.003, 19.6): they become one site. OpenCelliD places a cell at
the mean of where it was heard, so the mean of the cells by `samples` is that of all measurements of the station (ours);
it may still be far from its mast. Cells of other networks have no such rule, and are a site each. The register's
`range` is the cellular network's, and not used.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from iovsim.domain import FloatArray
from iovsim.errors import ScenarioError
from iovsim.mobility.placement.sites import Site, apart, check_sites, numbered, on_map
from iovsim.mobility.roadmap import RoadMap
from iovsim.mobility.samples import Repairs

Degrees = Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]
"""Turns longitudes and latitudes (WGS84) into metres of the map."""

SECTOR_BITS = 8
"""Of the 28 bits of an LTE cell's identity, those that tell a base station's cells apart (3GPP TS 23.003, 19.6)."""

OPENCELLID = ("radio", "mcc", "cell", "lon", "lat", "samples")


@dataclass(frozen=True, slots=True)
class _Row:
    """One line or feature: where it stands in the file, and what it says by name."""

    where: str
    values: Mapping[str, Any]

    def number(self, name: str) -> float:
        try:
            value = float(self.values[name])
        except (KeyError, TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            raise ScenarioError(f"{self.where}: {name} is {self.values.get(name)!r}; it must be a number.")
        return value

    def positive(self, name: str) -> float | None:
        """None where it is left out."""
        if self.values.get(name) in (None, ""):
            return None
        value = self.number(name)
        if value <= 0:
            raise ScenarioError(f"{self.where}: {name} is {value:g}; it must be above 0.")
        return value


def read_sites(
    file: Path,
    roadmap: RoadMap,
    degrees: Degrees | None,
    *,
    count: int | None = None,
    spacing_m: float | None = None,
    counted: Repairs | None = None,
) -> tuple[Site, ...]:
    """The RSUs of a file, in its order: at most `count`, each at least `spacing_m` from those before.

    `degrees` is None for a map without a projection. RSUs without names are `rsu_00`, `rsu_01`, ... `counted` is told
    what of a register was joined or left out. Raises `ScenarioError` for a file that is none of the kinds above, a
    wrong number, a name twice, a site outside the map, degrees without projection, longitude and latitude exchanged,
    and fewer sites than `count`.
    """
    counted = Repairs() if counted is None else counted
    rows = [*_rows(file)]
    if not rows:
        raise ScenarioError(f"{file}: holds no sites; give at least one.")
    register = all(name in rows[0].values for name in OPENCELLID)
    if register:
        stations = _stations(rows)
        counted.count("cells joined to others of their base station", len(rows) - len(stations))
        rows = sorted(stations, key=lambda row: -row.number("samples"))  # stable: ties stay in the file's order
    sites = _sites(file, rows, degrees)
    if degrees is not None:
        _check_order(file, rows, sites, roadmap, degrees)
    if register:
        sites = [site for site in sites if on_map(site, roadmap)]
        counted.count("base stations outside the map", len(rows) - len(sites))
    else:
        check_sites(sites, roadmap)
    if spacing_m is not None or register:
        at = {(site.x_m, site.y_m): site for site in reversed(sites)}  # of several at a place the first
        sites = [at[place] for place in apart(((site.x_m, site.y_m) for site in sites), spacing_m or 0.0, count)]
    if register and sites:
        on = len(rows) - counted.counts["base stations outside the map"]
        counted.count("base stations on the map and not taken", on - len(sites[:count]))
    if not sites or (count is not None and len(sites) < count):
        raise ScenarioError(
            f"{file}: {len(sites)} sites are on the map{f' at least {spacing_m:g} m apart' if spacing_m else ''}, "
            f"{count or 'at least 1'} wanted; lower count or spacing_m, or name another file."
        )
    return _named(file, sites[:count])


def _named(file: Path, sites: list[Site]) -> tuple[Site, ...]:
    """The sites with names: all their own, or all counted."""
    if not any(site.rsu for site in sites):
        counted = numbered([(site.x_m, site.y_m) for site in sites])
        return tuple(replace(site, rsu=number.rsu) for site, number in zip(sites, counted, strict=True))
    names = [site.rsu for site in sites]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        what = f"two sites are named {twice!r}" if twice else "two sites have no name, while others do"
        raise ScenarioError(f"{file}: {what}; names must differ.")
    return tuple(sites)


def _stations(cells: list[_Row]) -> list[_Row]:
    """A row for each base station, in the order of their first cells, with the mean place of all its measurements."""
    groups: dict[tuple[object, ...], list[_Row]] = {}
    for cell in cells:
        identity = int(cell.number("cell"))
        lte = str(cell.values["radio"]).strip().upper() == "LTE"
        own = (cell.values["mcc"], cell.values["net"], identity >> SECTOR_BITS) if lte else (id(cell),)
        groups.setdefault(own, []).append(cell)
    return [_joined(group) for group in groups.values()]


def _joined(cells: list[_Row]) -> _Row:
    lon, lat, samples = np.array([[cell.number(name) for name in ("lon", "lat", "samples")] for cell in cells]).T
    weights = samples if (samples > 0).all() else np.ones(len(cells))
    mean = {"lon": np.average(lon, weights=weights), "lat": np.average(lat, weights=weights)}
    return _Row(cells[0].where, {**mean, "samples": samples.sum()})


def _check_order(file: Path, rows: list[_Row], sites: list[Site], roadmap: RoadMap, degrees: Degrees) -> None:
    """Raises `ScenarioError` where no site is on the map, but one would be with longitude and latitude exchanged."""
    if "lon" not in rows[0].values or any(on_map(site, roadmap) for site in sites):
        return
    lon, lat = (np.array([row.number(name) for row in rows]) for name in ("lon", "lat"))
    possible = np.abs(lon) <= 90
    for x_m, y_m in zip(*degrees(lat[possible], lon[possible]), strict=True):
        if on_map(Site("", x_m, y_m), roadmap):
            raise ScenarioError(
                f"{file}: no site lies on the map, but with longitude and latitude exchanged they do; name the columns "
                "the other way round (GeoJSON gives longitude first)."
            )


def _sites(file: Path, rows: list[_Row], degrees: Degrees | None) -> list[Site]:
    if "x_m" in rows[0].values and "y_m" in rows[0].values:
        x_m, y_m = (np.array([row.number(name) for row in rows]) for name in ("x_m", "y_m"))
    elif "lon" in rows[0].values and "lat" in rows[0].values:
        if degrees is None:
            raise ScenarioError(
                f"{file}: its sites are in degrees, but the map or trace says nothing of its projection, which "
                f"could place them; give x_m and y_m in its own metres."
            )
        for row in rows:
            if abs(row.number("lat")) > 90 or abs(row.number("lon")) > 180:
                raise ScenarioError(
                    f"{row.where}: longitude {row.number('lon'):g}, latitude {row.number('lat'):g} is no place on "
                    f"Earth; are they exchanged? GeoJSON gives longitude first."
                )
        x_m, y_m = degrees(*(np.array([row.number(name) for row in rows]) for name in ("lon", "lat")))
    else:
        raise ScenarioError(
            f"{file}: columns {', '.join(map(str, rows[0].values))}; sites need x_m and y_m (metres of the map), or "
            f"lon and lat (degrees)."
        )
    return [
        Site(str(row.values.get("name") or ""), float(x), float(y), row.positive("range_m"), row.positive("height_m"))
        for row, x, y in zip(rows, x_m, y_m, strict=True)
    ]


def _rows(file: Path) -> Iterator[_Row]:
    if not file.is_file():
        raise ScenarioError(f"{file}: no such file; name a CSV or GeoJSON file of sites.")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{file}: cannot be read as text ({error}); name a CSV or GeoJSON file of sites.") from None
    if file.suffix.lower() in (".geojson", ".json"):
        yield from _features(file, text)
    elif file.suffix.lower() == ".csv":
        table = csv.DictReader(text.splitlines(), skipinitialspace=True)
        yield from (_Row(f"{file}, line {table.line_num}", row) for row in table)
    else:
        raise ScenarioError(f"{file}: sites come from a file whose name ends in '.csv', '.geojson' or '.json'.")


def _features(file: Path, text: str) -> Iterator[_Row]:
    try:
        features = json.loads(text)["features"]
    except (ValueError, KeyError, TypeError):
        raise ScenarioError(f"{file}: not GeoJSON; expected an object with 'features', as in RFC 7946.") from None
    for number, feature in enumerate(features):
        where = f"{file}, feature {number}"
        try:
            kind, (lon, lat, *_) = feature["geometry"]["type"], feature["geometry"]["coordinates"]
        except (KeyError, TypeError, ValueError):
            kind, lon, lat = "nothing", None, None
        if kind != "Point":
            raise ScenarioError(f"{where}: its geometry is {kind}; a site is a Point of longitude and latitude.")
        yield _Row(where, {**(feature.get("properties") or {}), "lon": lon, "lat": lat})
