"""Tells by its content what kind of trajectories a file holds, and so which reader it needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, get_args

from iovsim.errors import TraceError, near_match
from iovsim.mobility.importers.source import head

Kind = Literal["fcd", "gps", "ns2"]
KINDS: tuple[Kind, ...] = get_args(Kind)

ROOT = re.compile(r"<\s*([A-Za-z_][\w.:-]*)")
ROOTS: dict[str, Kind] = {"fcd-export": "fcd", "gpx": "gps"}


def kind_named(name: str) -> Kind:
    """A kind by its name. Raises `TraceError` for another."""
    for kind in KINDS:
        if kind == name:
            return kind
    raise TraceError(f"--kind {name!r}: {near_match(name, KINDS)}")


def kind_of(path: Path) -> Kind:
    """The kind of a file, by how it begins; a folder holds tracks. Raises `TraceError` where it cannot be told."""
    if path.is_dir():
        return "gps"
    if path.suffix == ".parquet":
        return "fcd"
    start = head(path)
    if "\0" in start:
        raise TraceError(f"{path}: not a text; allowed are SUMO's FCD, tracks as CSV, GPX or GeoJSON, and ns-2.")
    if "$node_(" in start:
        return "ns2"
    if start.lstrip().startswith("<"):
        root = ROOT.search(re.sub(r"<!--.*?-->|<\?.*?\?>|<!DOCTYPE[^>]*>", "", start, flags=re.DOTALL))
        if root is None or root[1] not in ROOTS:
            found = "no element" if root is None else f"<{root[1]}>"
            raise TraceError(f"{path}: XML of another kind; expected <fcd-export> or <gpx>, found {found}.")
        return ROOTS[root[1]]
    first = start.splitlines()[0] if start.strip() else ""
    return "fcd" if "timestep_time" in first and "vehicle_id" in first else "gps"
