"""The columns of somebody's table get their roles: as the user maps them, else by usual names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from iovsim.errors import TraceError, near_match

USUAL = {
    "id": ("id", "vehicle_id", "vehicle", "veh_id", "taxi_id", "taxi", "track_id", "trip_id", "device_id", "trackid"),
    "time": ("time", "timestamp", "unix_time", "datetime", "date_time", "utc", "epoch", "t"),
    "lat": ("lat", "latitude"),
    "lon": ("lon", "lng", "long", "longitude"),
    "x": ("x", "x_m", "vehicle_x"),
    "y": ("y", "y_m", "vehicle_y"),
    "speed": (),  # of a unit that names do not tell: taken only where it is mapped
    "heading": (),
}
"""Names that a role is recognised by, in any case."""


def parse_columns(text: str) -> dict[str, str]:
    """`id=taxi_id,time=unix_time` as a mapping from role to column. Raises `TraceError` for another form or role."""
    columns: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        role, equals, name = (piece.strip() for piece in part.partition("="))
        if not equals or not name:
            raise TraceError(f"--map-columns {text!r}: write role=column, for example id=taxi_id,time=unix_time.")
        if role not in USUAL:
            raise TraceError(f"--map-columns {text!r}: no role {role!r}; {near_match(role, USUAL)}")
        columns[role] = name
    return columns


def resolve(header: Sequence[str], given: Mapping[str, str], where: str) -> dict[str, str]:
    """Role to column: what is given, completed by usual names. There is a time, and either lat and lon or x and y.

    Raises `TraceError` for a given column that is not there, for roles that are missing, and for a role that two
    columns could have.
    """
    for role, name in given.items():
        if name not in header:
            raise TraceError(f"{where}: no column {name!r} for {role}; {near_match(name, header)}")
        if list(header).count(name) > 1:
            raise TraceError(f"{where}: several columns are called {name!r}; give them names of their own.")
    found = dict(given)
    places = {"lat", "lon"} if given.keys() & {"lat", "lon"} else {"x", "y"} if given.keys() & {"x", "y"} else None
    for role, usual in USUAL.items():
        if role in found or (places and role in {"lat", "lon", "x", "y"} - places):
            continue
        candidates = [name for name in header if name.lower() in usual and name not in given.values()]
        if len(candidates) > 1:
            raise TraceError(
                f"{where}: {role} could be {' or '.join(candidates)}; say which: --map-columns {role}={candidates[0]}."
            )
        if candidates:
            found[role] = candidates[0]
    if {"lat", "lon"} <= found.keys():
        found = {role: name for role, name in found.items() if role not in ("x", "y")}
    elif {"x", "y"} <= found.keys():
        found = {role: name for role, name in found.items() if role not in ("lat", "lon")}
    else:
        _refuse("lat and lon (or x and y)", header, where)
    if "time" not in found:
        _refuse("time", header, where)
    return found


def _refuse(roles: str, header: Sequence[str], where: str) -> None:
    raise TraceError(
        f"{where}: no column for {roles} among {', '.join(header)}; say which it is, for example "
        f"--map-columns id=taxi_id,time=unix_time,lat=latitude,lon=longitude."
    )
