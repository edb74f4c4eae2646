"""Turns columns, declared with type, unit and meaning, into the Arrow schema of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import pyarrow as pa


class ColumnType(StrEnum):
    """What a cell holds. Statuses, reasons and causes are texts, so that a file explains itself."""

    TEXT = "text"
    WHOLE = "whole"
    REAL = "real"
    FLAG = "flag"


ARROW_TYPES: Mapping[ColumnType, pa.DataType] = {
    ColumnType.TEXT: pa.string(),
    ColumnType.WHOLE: pa.int64(),
    ColumnType.REAL: pa.float64(),
    ColumnType.FLAG: pa.bool_(),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `unit` is "" for names and flags, "1" for pure numbers; a nullable REAL holds null for "none".

    `choices`, if any, are the only texts allowed.
    """

    name: str
    type: ColumnType
    unit: str
    meaning: str
    nullable: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table: a file `tables/<name>.parquet` of the run folder. `meaning` says what one row is."""

    name: str
    meaning: str
    columns: tuple[Column, ...]

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema; unit and meaning travel as metadata of each field."""
        fields = [
            pa.field(c.name, ARROW_TYPES[c.type], nullable=c.nullable, metadata={"unit": c.unit, "meaning": c.meaning})
            for c in self.columns
        ]
        return pa.schema(fields, metadata={"table": self.name, "meaning": self.meaning})


def text(name: str, meaning: str) -> Column:
    """A text without a fixed set of values."""
    return Column(name, ColumnType.TEXT, "", meaning)


def one_of(name: str, choices: Iterable[str], meaning: str) -> Column:
    """A text that is one of `choices`."""
    return Column(name, ColumnType.TEXT, "", meaning, choices=tuple(str(choice) for choice in choices))


def count(name: str, meaning: str) -> Column:
    """A whole number without a unit."""
    return Column(name, ColumnType.WHOLE, "1", meaning)


def real(name: str, unit: str, meaning: str) -> Column:
    """A finite real number."""
    return Column(name, ColumnType.REAL, unit, meaning)


def maybe(name: str, unit: str, meaning: str) -> Column:
    """A real number, or null for "none"."""
    return Column(name, ColumnType.REAL, unit, meaning, nullable=True)
