"""Turns the declarations into the tables of a run folder, by name."""

from __future__ import annotations

from collections.abc import Mapping

from iovsim.errors import near_match
from iovsim.results.course_tables import COURSE
from iovsim.results.schema import ARROW_TYPES, Column, ColumnType, Table
from iovsim.results.world_tables import WORLD

__all__ = ["ARROW_TYPES", "TABLES", "Column", "ColumnType", "Table", "table"]

TABLES: Mapping[str, Table] = {declared.name: declared for declared in (*COURSE, *WORLD)}


def table(name: str) -> Table:
    """The declared table `name`; `KeyError` (a mistake in the program) where there is none."""
    if name not in TABLES:
        raise KeyError(f"no table {name!r}: {near_match(name, TABLES)}")
    return TABLES[name]
