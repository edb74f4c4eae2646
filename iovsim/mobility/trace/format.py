"""Our format of traces: plain Parquet that `pandas.read_parquet(path)` opens, the folder of one too.

A trace is a folder of parts `part-00000.parquet`, `part-00001.parquet`, ..., one a window of time, or one file of any
name. One row is one vehicle at one time:

| column | type | holds |
|---|---|---|
| `time_ms` | int64 | milliseconds of simulated time |
| `vehicle` | string, dictionary-encoded | the vehicle's name |
| `x_cm`, `y_cm` | int32 | hundredths of a metre, east and north: SUMO's own two decimals |
| `speed_cmps` | int32 | hundredths of a metre a second |
| `angle_cdeg` | int32 | hundredths of a degree, clockwise from north, as in SUMO |

Rows are sorted by window of time, then vehicle (as text), then time, so that a vehicle's track lies together. A window
ends after `WINDOW_S`, or sooner with the step that brings it to `WINDOW_ROWS`: short enough for memory, long enough for
numpy. Each is a row group of its own, whose statistics of `time_ms` say what can be skipped. zstd packs `time_ms` as
differences and the other numbers byte by byte (BYTE_STREAM_SPLIT): on Luxembourg 5.6 bytes a row in windows of 5
minutes (5.9 in windows of 1) against 5.8 (7.1) for differences throughout and 8.1 (8.6) for plain numbers, at the same
speed of reading.

Each part's metadata hold JSON under the key `iovsim.trace`: the fields of `Note`, of which `plane` says where on Earth
the metres lie, if that is known. A part is written whole or not at
all. The last one says `complete`; without it the recording was broken off, and holds what was written so far.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from iovsim.mobility.planes import Plane

VERSION = 1
KEY = b"iovsim.trace"
WINDOW_S = 300.0
WINDOW_ROWS = 1 << 18

NUMBERS = ("x_cm", "y_cm", "speed_cmps", "angle_cdeg")
SCHEMA = pa.schema(
    [("time_ms", pa.int64()), ("vehicle", pa.dictionary(pa.int32(), pa.string()))]
    + [(name, pa.int32()) for name in NUMBERS]
)
ENCODING = {"time_ms": "DELTA_BINARY_PACKED"} | dict.fromkeys(NUMBERS, "BYTE_STREAM_SPLIT")


@dataclass(frozen=True, slots=True)
class Note:
    """What a part says of itself and of the trace up to its end."""

    version: int
    part: int  # from 0
    complete: bool  # nothing follows
    begin_ms: int  # of the time that the trace covers, which may begin before the first vehicle
    end_ms: int
    step_ms: int
    window_ms: int
    source: str  # who made it, for people
    net: bool  # whether the coordinates are those of a SUMO net
    counts: Mapping[str, int] = field(default_factory=dict)  # what the source counted on the way, by what it was
    plane: Plane | None = None  # of the coordinates; None: their metres are only their own, or nobody knows

    def packed(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True).encode()

    @staticmethod
    def of(metadata: Mapping[bytes, bytes] | None) -> Note | None:
        """The note in a file's metadata; None where there is none. Raises `ValueError` for one that is broken."""
        if not metadata or KEY not in metadata:
            return None
        values: dict[str, Any] = json.loads(metadata[KEY])
        if values.get("version") != VERSION:
            raise ValueError(f"format version {values.get('version')}, where this program knows {VERSION}")
        try:
            plane = values.pop("plane", None)
            return Note(**values, plane=None if plane is None else Plane(**plane))
        except TypeError as error:
            raise ValueError(str(error)) from None


def part_name(number: int) -> str:
    return f"part-{number:05d}.parquet"
